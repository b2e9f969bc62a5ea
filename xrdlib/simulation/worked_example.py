"""Worked examples of the notebooks that explain: absences in a pattern, and one made step by step.

The functions are those that make training patterns; only the amounts are fixed here, not drawn.
"""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..base.patterns import CU_KA1, GRID
from ..base.records import Crystals, Reflections
from ..symmetry.groups import absent
from . import powder
from .background import measure
from .diffraction import (
    d_star,
    full_precision,
    lorentz_polarisation,
    march_dollase,
    reflections,
    squared_lengths,
    two_theta,
)
from .realism import Realism, draw
from .specimen_effects import as_phase

FWHM, ETA = 0.12, 0.5  # degrees, Lorentzian share
PLATY = 0.85  # March-Dollase r of a powder of platelets, as brucite often has it
_SEED, _SLOT = 7, 1  # of the counting noise

# Background and noise of a good pattern; the first is 8 % of the strongest peak.
_SMOOTH = dict(background=(0.08, 0.0), noise=(0.008, 0.0), hump_probability=1.0)


def brucite() -> Crystals:
    """Mg(OH)2 without its hydrogen, which X-rays hardly see: one crystal.

    Cell and coordinates after Zigan & Rothbauer, Neues Jahrbuch fuer Mineralogie, Monatshefte, 137
    (1967).
    """
    from pymatgen.core import Lattice, Structure

    return powder.from_structures(
        [
            Structure.from_spacegroup(
                "P-3m1",
                Lattice.hexagonal(3.142, 4.766),
                ["Mg", "O"],
                [[0, 0, 0], [1 / 3, 2 / 3, 0.2203]],
            )
        ]
    )


def absences() -> list[dict]:
    """Patterns of three crystals, with every place where their lattice has a reflection.

    An alloy whose atoms are ordered, the same alloy disordered, and rutile: nothing absent, a
    centring, a glide plane. Each has "title", "space_group" (number), "pattern" (GRID.size,), and
    "places": a table of "two_theta" (degrees), "hkl" (indices of one of the reflections there) and
    "absent" (bool).
    """
    from pymatgen.core import Lattice, Structure

    ends, alloy = [[0, 0, 0], [0.5, 0.5, 0.5]], Lattice.cubic(2.909)
    half = {"Fe": 0.5, "Al": 0.5}
    rutile = [["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]]
    cases = {
        "FeAl, atoms ordered": (221, alloy, ["Fe", "Al"], ends),
        "FeAl, atoms mixed at random": (229, alloy, [half], ends[:1]),
        "rutile, TiO2": (136, Lattice.tetragonal(4.594, 2.959), *rutile),
    }
    found = []
    for title, (number, *parts) in cases.items():
        crystals = powder.from_structures([Structure.from_spacegroup(number, *parts)])
        places = _places(crystals.lattice[0], number)
        shown = {"title": title, "space_group": number, "pattern": pattern(reflections(crystals))}
        found.append({**shown, "places": places})
    return found


def _places(lattice, number):
    hkl = np.array([h for h in product(range(7), repeat=3) if any(h)])
    angle = two_theta(d_star(lattice, hkl), CU_KA1)
    table = pd.DataFrame({"two_theta": angle.round(4), "absent": absent(number, hkl)})
    table["hkl"] = ["".join(map(str, h)) for h in hkl]
    table = table[table["two_theta"] < GRID.stop].sort_values(["two_theta", "hkl"])
    together = table.groupby("two_theta", as_index=False)
    return together.agg(hkl=("hkl", "last"), absent=("absent", "all"))


def table(known: Reflections) -> pd.DataFrame:
    """Reflections of one crystal, what their intensity is made of, and their sum made 100 at most.

    Columns "hkl", "d" (angstrom), "two_theta" (degrees, Cu K-alpha1), "multiplicity", "f2" (|F|^2,
    electrons squared), "lorentz_polarisation" and "intensity" (product, 100 the strongest), in the
    order of the angle.
    """
    reciprocal = d_star(known.lattice[0], known.hkl)
    factor = lorentz_polarisation(torch.from_numpy(reciprocal * CU_KA1 / 2)).numpy()
    intensity = known.multiplicity * known.f2 * factor
    return pd.DataFrame(
        {
            "hkl": [" ".join(map(str, hkl)) for hkl in known.hkl],
            "d": 1 / reciprocal,
            "two_theta": two_theta(reciprocal, CU_KA1),
            "multiplicity": known.multiplicity.astype(int),
            "f2": known.f2,
            "lorentz_polarisation": factor,
            "intensity": 100 * intensity / intensity.max(),
        }
    ).sort_values("two_theta", ignore_index=True)


@full_precision()
def textured(known: Reflections, r: float, axis: tuple = (0, 0, 1)) -> Reflections:
    """Reflections of one crystal in a powder with preferred orientation.

    Parameters
    ----------
    r : float
        March-Dollase parameter: 1 is a random powder, below 1 platelets that lie flat, above 1
        needles.
    axis : tuple of 3 ints
        Indices of the plane whose normals gather (platelets) or avoid (needles) the direction of
        the scattering vector.
    """
    phase = as_phase(known, "cpu")
    metric = torch.linalg.inv(phase.lattice @ phase.lattice.transpose(1, 2))
    length2 = squared_lengths(metric, phase.hkl, phase.owner)
    about = torch.tensor([axis]), torch.tensor([float(r)])
    factor = march_dollase(metric, phase.rotations, *about, phase.hkl, phase.owner, length2)
    return replace(known, f2=known.f2 * factor.numpy())


def pattern(known: Reflections, fwhm: float = FWHM) -> np.ndarray:
    """Clean pattern of one crystal's reflections on `base.patterns.GRID`, 100 at most."""
    return powder.calculated(known, CU_KA1, fwhm, ETA, GRID)[0].numpy()


def steps() -> dict:
    """The pattern of brucite after each step.

    "reflections", as `table` has them, and by name of the step a pattern (GRID.size,): "peaks",
    "texture", "background", "noise" and "subtracted", with the strongest of the first 100 and all
    others on its scale but for the last two, which are counted.
    """
    known = reflections(brucite())
    clean, platy = pattern(known), pattern(textured(known, PLATY))
    signal = torch.from_numpy(platy / platy.max())[None]
    mean = _measured(signal, noise=(1e-6, 0.0), counts=(1e12, 1e12), subtracted=0.0)
    return {
        "reflections": table(known),
        "peaks": clean,
        "texture": platy,
        "background": mean,
        "noise": _measured(signal, subtracted=0.0),
        "subtracted": _measured(signal, subtracted=1.0),
    }


def _measured(signal: Tensor, **changes) -> np.ndarray:
    """A pattern with background and counting noise, its strongest peak about 100."""
    index = torch.tensor([0])
    draws = draw(Realism.measured(**{**_SMOOTH, **changes}), _SEED, index)
    counted = measure(signal, draws, GRID, _SEED, index, _SLOT)[0].numpy()
    return 100 * counted / counted.max()
