"""Patterns that a predictor is judged on, and what is known of each."""

from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd

from ..base.patterns import CU_KA1, GRID
from ..base.records import Crystals, Reflections
from ..simulation.diffraction import reflections
from ..simulation.powder import calculated
from ..structures import datasets, materials_project
from ..structures.crystals import generate_balanced
from ..structures.measured import Measured, load_other, split
from ..structures.recipes import shipped
from ..symmetry.cells import cell_of_lattice
from ..symmetry.groups import N_GROUPS, space_group

OTHER, COMPOUNDS, CRYSTALS = "measured_other", "mp100", "random_crystals"

# Half-height width in degrees, and Lorentzian share, of the clean patterns: those of `simulate`.
_FWHM, _ETA = 0.1, 0.5


@dataclass
class BenchmarkSet:
    """n patterns with parts that get a table of their own.

    Attributes
    ----------
    patterns : structures.measured.Measured
    parts : dict of str to ndarray of int
        Name of a table -> rows of `patterns`.
    cells : list of tuple of 6 floats, or None
        True cells, reduced and primitive, where they are known.
    prior : str
        That the predictor is asked with, see `priors.resolve_prior`.
    """

    patterns: Measured
    parts: dict[str, np.ndarray]
    cells: list[tuple] | None = None
    prior: str = "minerals"


def crystal_systems(patterns: Measured) -> np.ndarray:
    """Crystal system of each pattern's own space group, (n,) str.

    Trigonal groups are "trigonal P" or "rhombohedral", by their lattice. It is not the system of
    the extinction group, which may hold trigonal and hexagonal space groups.
    """
    rows = [space_group(int(number)) for number in patterns.space_group]
    trigonal = {"P": "trigonal P", "R": "rhombohedral"}
    return np.array(
        [
            trigonal[row["symbol"][0]] if row["crystal_system"] == "trigonal" else
            row["crystal_system"]
            for row in rows
        ]
    )  # fmt: skip


def other_laboratories(path: str | Path | None = None) -> BenchmarkSet:
    """Measured patterns of other laboratories and materials, its halves split by family.

    Parameters
    ----------
    path : path-like, optional
        As for `measured.load_other`.

    Raises
    ------
    XrdlibError
        If the file is missing or damaged.
    """
    patterns = load_other(path)
    calibration, test = (set(half.family) for half in split(patterns, "other"))
    tested = np.isin(patterns.family, sorted(test))
    collection = np.char.partition(patterns.family, "-")[:, 0]
    name = f"{OTHER}, test half"
    parts = {name: tested, f"{name}, XRED": tested & (collection == "xred")}
    parts[f"{OTHER}, calibration half"] = ~tested
    return BenchmarkSet(patterns, {k: np.flatnonzero(v) for k, v in parts.items()})


def compounds(path: str | Path | None = None, n: int = 100, seed: int = 0) -> BenchmarkSet:
    """Clean patterns of compounds of the Materials Project whose structure types are held out.

    Parameters
    ----------
    path : path-like, optional
        As for `materials_project.table`; by default the file in the data folder.
    n, seed : int
        How many are drawn, each structure as likely as another, and with which seed.

    Returns
    -------
    BenchmarkSet
        Families are structure types. Cu K-alpha1, pseudo-Voigt profiles of 0.1 degree, no noise.

    Raises
    ------
    XrdlibError
        If the file is missing or holds no such table.
    """
    rows = compound_rows(path, n, seed)
    crystals = materials_project.crystals(rows)
    intensity = clean(reflections(crystals))
    patterns = Measured(
        intensity=intensity,
        space_group=crystals.space_group,
        group=crystals.group,
        family=rows["type"].to_numpy(str),
        source=crystals.name,
    )
    return BenchmarkSet(patterns, {COMPOUNDS: np.arange(len(rows))}, _cells(crystals))


def random_crystals(each: int = 2, seed: int = 7) -> BenchmarkSet:
    """Clean patterns of random crystals, balanced over the groups; the prior is uniform too.

    Parameters
    ----------
    each : int
        Patterns of a group.
    """
    drawn = generate_balanced(shipped(), 20 * each * N_GROUPS, seed)
    order = np.argsort(drawn.group, kind="stable")
    rank = np.arange(len(order)) - np.searchsorted(drawn.group[order], drawn.group[order])
    crystals = drawn.take(order[rank < each])
    names = np.array([f"crystal {i}" for i in range(len(crystals))])
    about = crystals.space_group, crystals.group, names, names
    patterns = Measured(clean(reflections(crystals)), *about)
    rows = {CRYSTALS: np.arange(len(crystals))}
    return BenchmarkSet(patterns, rows, _cells(crystals), "uniform")


def _cells(crystals: Crystals) -> list[tuple]:
    centring = [space_group(int(number))["symbol"][0] for number in crystals.space_group]
    return [
        reduced(cell_of_lattice(lattice), letter)
        for lattice, letter in zip(crystals.lattice, centring, strict=True)
    ]


def compound_rows(path: str | Path | None = None, n: int = 100, seed: int = 0) -> pd.DataFrame:
    """Rows of `materials_project.table` that `compounds` takes."""
    rows = materials_project.table(datasets.path(materials_project.NAME) if path is None else path)
    rows = rows[rows["holdout"]]
    chosen = np.random.default_rng(seed).choice(len(rows), min(n, len(rows)), replace=False)
    return rows.iloc[np.sort(chosen)]


def clean(crystals: Reflections) -> np.ndarray:
    """Clean patterns (n, GRID.size) with profiles of 0.1 degree, as `simulate` makes them."""
    return calculated(crystals, CU_KA1, _FWHM, _ETA, GRID).numpy()


def load_set(name: str) -> BenchmarkSet:
    """The set `OTHER`, `COMPOUNDS` (from the files in the data folder) or `CRYSTALS`."""
    return {OTHER: other_laboratories, COMPOUNDS: compounds, CRYSTALS: random_crystals}[name]()


def reduced(cell: np.ndarray, centring: str = "P") -> tuple[float, ...]:
    """Niggli cell of the primitive lattice of a conventional cell, angstrom and degrees."""
    vector = gemmi.GruberVector(gemmi.UnitCell(*map(float, cell)), centring)
    vector.niggli_reduce()
    return tuple(vector.cell_parameters())
