"""Library of prototypes: real structures, made exactly symmetric, with symmetric displacements.

Read and checked once with spglib (and pymatgen for the AFLOW library); `prototypes` then makes
crystals from the record without either.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from ..base.errors import XrdlibError
from ..base.records import Crystals, concatenate
from ..structures.detection import detect
from ..structures.structure_library import one_of_each, ordinary
from ..symmetry.groups import group_of_space_group, half_rotations
from .prototypes import N_MODES, Prototypes

MAX_ATOMS = 400

# Angstrom. AFLOW structures are exact, so that they must have their symmetry at the one tolerance;
# and none that is higher at the other.
_TIGHT, _LOOSE = 1e-3, 5e-2
_STILL = 1e-9  # angstrom, or fraction of a cell's edge; displacements this small are none
_SEED = 20260423


def prepare(crystals: Crystals) -> Prototypes:
    """Prototypes, in order, from crystals whose extinction groups are known and spglib confirms.

    Takes some 10 ms a crystal. Coordinates are moved by the rounding errors that keep them from
    being symmetric; left out are crystals with a noble gas, with hydrogen alone, with more than
    `MAX_ATOMS` atoms, or whose atoms have another extinction group than the record says.
    `space_group` and `rotations` are those detected.

    Raises
    ------
    XrdlibError
        If none can be used.
    """
    usable = np.flatnonzero(ordinary(crystals, MAX_ATOMS))
    symmetry = {int(i): detect(crystals, i) for i in usable}
    groups = group_of_space_group()
    kept = [i for i in symmetry if groups[symmetry[i].space_group] == crystals.group[i]]
    if not kept:
        raise XrdlibError(f"None of {len(crystals)} crystals can be a prototype; pass confirmed.")
    chosen = crystals.take(kept)
    made = [_symmetric(symmetry[i], crystals.lattice[i], i) for i in kept]
    return Prototypes(
        **vars(
            replace(
                chosen,
                frac=np.concatenate([frac for frac, _ in made]).astype(np.float32),
                rotations=np.stack([half_rotations(symmetry[i].rotations) for i in kept]),
                space_group=np.array([symmetry[i].space_group for i in kept], dtype=np.int16),
            )
        ),
        mode=np.concatenate([mode for _, mode in made]).astype(np.float32),
    )


def training_prototypes(crystals: Crystals, table: pd.DataFrame) -> Prototypes:
    """Prototypes of the AMCSD's training part and of the AFLOW library.

    Of the AMCSD (`structure_library.load_amcsd`) structures whose symmetry is confirmed, not held
    out, one a family and space group; of AFLOW those that are not named like a held-out family.
    """
    chosen = (table["agrees"] & ~table["holdout"]).to_numpy()
    held_out = table.loc[table["holdout"], "family"]
    return concatenate([prepare(one_of_each(crystals.take(chosen))), aflow_prototypes(held_out)])


def aflow_prototypes(without: Iterable[str] = ()) -> Prototypes:
    """Prototypes of the AFLOW library (M. J. Mehl et al., Comput. Mater. Sci. 136, S1, 2017).

    From pymatgen's copy, those whose atoms have the extinction group of the stated space group at
    tolerances of 0.001, 0.01 and 0.05 angstrom, but for the minerals named in `without`, whatever
    their case. In the reference setting, named by their AFLOW label.
    """
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    from .powder import from_structures

    unwanted = {name.lower() for name in without}
    rows = [r for r in AFLOW_PROTOTYPE_LIBRARY if r["tags"]["mineral"].lower() not in unwanted]
    structures = [
        SpacegroupAnalyzer(row["snl"].structure, _TIGHT).get_refined_structure() for row in rows
    ]
    names = np.array([row["tags"]["aflow"] for row in rows])
    stated = np.array([int(name.split("_")[2]) for name in names])
    crystals = replace(
        from_structures(structures),
        space_group=stated.astype(np.int16),
        group=group_of_space_group()[stated],
        name=names,
    )
    for symprec in (_TIGHT, _LOOSE):
        detected = [detect(crystals, i, symprec).space_group for i in range(len(crystals))]
        crystals = crystals.take(group_of_space_group()[detected] == crystals.group)
    return prepare(crystals)


def _symmetric(symmetry, lattice, seed):
    """Exactly symmetric coordinates (m, 3) and `Prototypes.mode` (m, N_MODES, 3) of a crystal."""
    partner, error = _images(symmetry)
    back = np.linalg.inv(symmetry.rotations)
    frac = symmetry.frac + np.einsum("kij,kpj->pi", back, error) / len(back)
    rng = np.random.default_rng([_SEED, seed])
    drawn = rng.standard_normal((*symmetry.frac.shape[:1], N_MODES, 3)) @ np.linalg.inv(lattice)
    # Each site takes the mean over all operations of the displacement that its image asks for.
    mode = np.einsum("kij,kpnj->pni", back, drawn[partner]) / len(back)
    longest = np.linalg.norm(mode @ lattice, axis=2).max(0)[:, None]
    mode = np.where(longest > _STILL, mode / np.maximum(longest, _STILL), 0.0)
    mode[np.abs(mode) < _STILL] = 0.0
    return _wrapped(frac)[symmetry.position], mode[symmetry.position]


def _images(symmetry):
    """For each operation and site, the site it is moved to, and by how much that one is off."""
    from scipy.spatial import cKDTree

    moved = np.einsum("kij,pj->kpi", symmetry.rotations, symmetry.frac)
    moved += symmetry.translations[:, None]
    partner = cKDTree(_wrapped(symmetry.frac), boxsize=1).query(_wrapped(moved))[1]
    error = symmetry.frac[partner] - moved
    return partner, error - np.rint(error)


def _wrapped(frac):
    """Coordinates in [0, 1): -1e-17 % 1 is 1."""
    frac = frac % 1
    return np.where(frac >= 1, 0.0, frac)
