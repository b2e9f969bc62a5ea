"""What the simulator leaves out: the size of anomalous scattering, on known structures.

Near an absorption edge the form factor is f0 + f' + i f''. Both terms change intensities, iron's
most of all with copper radiation. Neither changes a position, and neither fills an absence of
glides, screws and centrings: those hold for any form factor.
"""

from collections.abc import Sequence

import gemmi
import numpy as np
import torch

from ..base.patterns import CU_KA1
from ..base.records import Crystals
from ..simulation.diffraction import d_star, lorentz_polarisation, reflections

_STRONG = 10  # reflections


def changes(crystals: Crystals, wavelength: float = CU_KA1) -> list[dict]:
    """How far intensities of a powder move when anomalous scattering is added.

    Form factors and f', f'' (Cromer and Liberman, Acta Cryst. A 37, 267, 1981) are gemmi's.

    Parameters
    ----------
    crystals : records.Crystals
    wavelength : float
        Angstrom.

    Returns
    -------
    list of dict
        One a crystal: "name", "heaviest" (symbol of the element with the largest |f'| + f''),
        "r" (sum of |I - I0| over the sum of I, I0 scaled to the same sum, percent) and "strong"
        (largest change of one of the ten strongest reflections, in percent of the strongest).

    Examples
    --------
    >>> from xrdlib.structures.crystals import generate_balanced
    >>> from xrdlib.structures.recipes import shipped
    >>> 0 <= changes(generate_balanced(shipped(), 1, seed=0))[0]["r"] < 50
    True
    """
    without = reflections(crystals, wavelength)
    rows = range(len(crystals))
    return [_change(crystals.take([i]), without.take([i]), wavelength) for i in rows]


def _change(crystal, own, wavelength):
    length = d_star(crystal.lattice[0], own.hkl)
    plain = np.zeros((len(crystal.number), len(length)))
    terms = np.zeros(len(crystal.number), dtype=complex)
    for z in np.unique(crystal.number):
        mine = crystal.number == z
        plain[mine] = _form_factor(int(z), length / 2)
        terms[mine] = complex(*gemmi.cromer_liberman(z=int(z), energy=gemmi.hc / wavelength))
    phase = np.exp(2j * np.pi * crystal.frac.astype(float) @ own.hkl.T.astype(float))
    amplitude = crystal.occupancy[:, None] * (plain + terms[:, None])
    # Friedel opposites fall together in a powder and are no longer equal.
    friedel = [np.abs((amplitude * p).sum(0)) ** 2 for p in (phase, phase.conj())]
    sine = torch.from_numpy(length * wavelength / 2)
    factor = lorentz_polarisation(sine).numpy() * own.multiplicity
    before, after = own.f2 * factor, np.mean(friedel, axis=0) * factor
    before, after = before / before.sum(), after / after.sum()
    most = np.argsort(-before)[:_STRONG]
    return {
        "name": str(crystal.name[0]),
        "heaviest": gemmi.Element(int(crystal.number[np.abs(terms).argmax()])).name,
        "r": 100 * float(np.abs(after - before).sum()),
        "strong": 100 * float(np.abs(after - before)[most].max() / before.max()),
    }


def _form_factor(number, s):
    """f0 of an element at s = sin(theta) / lambda, International Tables C, table 6.1.1.4."""
    table = gemmi.Element(number).it92
    return np.exp(-np.outer(s**2, table.b)) @ np.array(table.a) + table.c


def summary(rows: Sequence[dict]) -> list[dict]:
    """Median and 90th percentile of the changes: all structures, and by their strongest scatterer.

    Returns
    -------
    list of dict
        "structures" ("all" or a symbol), "n", and "median", "high" of "r" in percent. Elements of
        fewer than ten structures are left out.
    """
    element, change = (np.array([row[key] for row in rows]) for key in ("heaviest", "r"))
    parts = {"all": np.ones(len(rows), dtype=bool)}
    parts |= {symbol: element == symbol for symbol in np.unique(element)}
    table = [
        {"structures": name, "n": int(mine.sum()), "median": m, "high": high}
        for name, mine in parts.items()
        if name == "all" or mine.sum() >= 10
        for m, high in [np.percentile(change[mine], (50, 90)).tolist()]
    ]
    return [table[0], *sorted(table[1:], key=lambda row: -row["median"])]
