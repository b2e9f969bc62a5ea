"""What the simulator is measured against: structures, and patterns by pymatgen and gemmi.

Every reference renders with the same profile on the same 8501 points.
"""

import gemmi
import numpy as np
import torch
from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS, XRDCalculator
from pymatgen.core import Element, Lattice, Structure

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import CALCULATION_GRID
from xrdlib.simulation import structure_factors
from xrdlib.simulation.diffraction import two_theta
from xrdlib.structures import datasets, structure_library, unit_cells
from xrdlib.structures.entries import Entry, Unreadable, amcsd_entries, element

WAVELENGTH, FWHM, ETA = 1.540593, 0.1, 0.5
ANGLES = CALCULATION_GRID.two_theta
# Symbol, cell, then "element x y z" sites: textbook structures for machines without the AMCSD.
BUILT_IN = {
    "halite": ("F m -3 m", (5.6402, 5.6402, 5.6402, 90, 90, 90), "Na 0 0 0;Cl .5 .5 .5"),
    "silicon": ("F d -3 m :1", (5.4309, 5.4309, 5.4309, 90, 90, 90), "Si 0 0 0"),
    "quartz": (
        "P 32 2 1",
        (4.9134, 4.9134, 5.4052, 90, 90, 120),
        "Si .4699 0 .666667;O .4141 .2681 .7854",
    ),
    "calcite": (
        "R -3 c :H",
        (4.9896, 4.9896, 17.061, 90, 90, 120),
        "Ca 0 0 0;C 0 0 .25;O .25682 0 .25",
    ),
    "forsterite": (
        "P n m a",
        (10.1902, 5.9783, 4.7535, 90, 90, 90),
        "Mg 0 0 0;Mg .2774 .25 .9915;Si .094 .25 .4262;O .0913 .25 .7657;O .4474 .25 .2215;"
        "O .1628 .0331 .2777",
    ),
    "pyrope": (
        "I a -3 d",
        (11.459, 11.459, 11.459, 90, 90, 90),
        "Mg .125 0 .25;Al 0 0 0;Si .375 0 .25;O .0329 .0502 .6534",
    ),
    "tremolite": (
        "C 1 2/m 1",
        (9.863, 18.048, 5.285, 90, 104.79, 90),
        "Ca 0 .2776 .5;Mg 0 .088 0;Mg 0 .1766 .5;Mg 0 0 .5;Si .2802 .084 .2972;"
        "Si .2886 .1707 .8046;O .1115 .0858 .2171;O .1185 .1709 .724;O .3653 .2478 .7935",
    ),
    "rutile": ("P 42/m n m", (4.5937, 4.5937, 2.9587, 90, 90, 90), "Ti 0 0 0;O .3053 .3053 0"),
    "fluorapatite": (
        "P 63/m",
        (9.397, 9.397, 6.878, 90, 90, 120),
        "Ca .333333 .666667 .001;Ca .2416 .0071 .25;P .3981 .3688 .25;O .3262 .4843 .25;"
        "O .588 .4668 .25;O .3416 .2568 .0704;F 0 0 .25",
    ),
    "albite-like": (
        "P -1",
        (8.1408, 12.789, 7.1583, 94.2, 116.6, 87.7),
        "Na .26 .98 .14;Al .01 .16 .2;Si .5 .18 .31;Si .69 .11 .32;O .01 .13 .96;O .59 .99 .28;"
        "O .81 .11 .19;O .82 .85 .26;O .01 .3 .27;O .02 .69 .22",
    ),
}


def built_in():
    """`BUILT_IN` as entries."""
    entries = []
    for name, (symbol, cell, sites) in BUILT_IN.items():
        rows = [site.split() for site in sites.split(";")]
        labels = [row[0] for row in rows]
        frac = np.array([[float(x) for x in row[1:]] for row in rows])
        ops = tuple(op.triplet() for op in gemmi.SpaceGroup(symbol).operations())
        blank = float("nan")
        ones = np.ones(len(rows))
        entries.append(
            Entry(name, name, " ".join(labels), symbol, ops, cell, blank, blank, labels, frac, ones)
        )
    return entries


def load(n):
    """(entries, crystals, where they come from), about n of them."""
    try:
        path = datasets.path("amcsd")
        entries = [e for e in amcsd_entries(path) if not isinstance(e, Unreadable)]
        entries, source = entries[:: max(1, len(entries) // n)][:n], "AMCSD"
    except XrdlibError:
        entries, source = built_in(), "built in"
    crystals, table = structure_library.build(entries)
    by_id = {entry.id: entry for entry in entries}
    entries = [by_id[i] for i in table.id]
    # Operators that contradict the cell or the atoms are faults of the source, not test cases.
    cells = np.array([gemmi.UnitCell(*entry.cell).orth.mat.tolist() for entry in entries])
    exact = np.abs(cells.transpose(0, 2, 1) - crystals.lattice).max((1, 2)) < 1e-6
    usable = [i for i in np.flatnonzero(table.agrees & exact) if as_gemmi(entries[i]) is not None]
    return [entries[i] for i in usable], crystals.take(usable), source


def as_pymatgen(crystals, i):
    """Crystal i as a pymatgen Structure, atoms at one place joined into a disordered site."""
    a, b = crystals.start[i : i + 2]
    sites = {}
    for z, x, amount in zip(
        crystals.number[a:b], crystals.frac[a:b], crystals.occupancy[a:b], strict=True
    ):
        species = sites.setdefault(tuple(np.round(x, 4)), ({}, x))[0]
        symbol = Element.from_Z(int(z)).symbol
        species[symbol] = species.get(symbol, 0) + float(amount)
    species = [{s: v / max(1, sum(d.values())) for s, v in d.items()} for d, _ in sites.values()]
    return Structure(Lattice(crystals.lattice[i]), species, [x for _, x in sites.values()])


def as_gemmi(entry):
    """An entry as a gemmi SmallStructure with its images, None if gemmi lacks its setting."""
    small = gemmi.SmallStructure()
    small.cell.set(*entry.cell)
    small.symops = list(entry.operators)
    small.determine_and_set_spacegroup("S")
    if small.spacegroup is None:
        return None
    ops = list(small.spacegroup.operations())
    rotations = np.array([op.rot for op in ops]) / gemmi.Op.DEN
    translations = np.array([op.tran for op in ops]) / gemmi.Op.DEN
    lattice = np.array(small.cell.orth.mat.tolist()).T
    for label, x, occupancy in zip(entry.labels, entry.frac, entry.occupancy, strict=True):
        site = gemmi.SmallStructure.Site()
        site.label = label
        site.element = gemmi.Element(element(label, entry.formula))
        site.fract = gemmi.Fractional(*x)
        # gemmi adds up all images, of which a special position has several in one place.
        images = unit_cells.expand(x, rotations, translations, lattice)
        site.occ = occupancy * len(images) / len(ops)
        small.add_site(site)
    small.setup_cell_images()
    return small


def pseudo_voigt(offset):
    """Profile of area 1 at offsets in degrees."""
    x = np.square(offset / FWHM)
    gauss = np.exp(-4 * np.log(2) * x) * (2 * np.sqrt(np.log(2) / np.pi) / FWHM)
    return (1 - ETA) * gauss + ETA * (2 / np.pi / FWHM) / (1 + 4 * x)


def render_dense(angle, intensity):
    """Every line on every point."""
    return pseudo_voigt(ANGLES[:, None] - angle) @ intensity


def render_windowed(angle, intensity, half=200):
    """Every line on the 401 points around it."""
    centre = np.round((angle - ANGLES[0]) / 0.01).astype(int)
    index = centre[:, None] + np.arange(-half, half + 1)
    values = pseudo_voigt(ANGLES[0] + 0.01 * index - angle[:, None]) * intensity[:, None]
    inside = (index >= 0) & (index < len(ANGLES))
    return np.bincount(index[inside], values[inside], len(ANGLES))


def lorentz_polarisation(angle):
    theta = np.radians(angle / 2)
    return (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))


def with_pymatgen(structure):
    pattern = XRDCalculator(WAVELENGTH).get_pattern(
        structure, scaled=False, two_theta_range=(0, 90.5)
    )
    return pattern.x, pattern.y


def with_gemmi(small):
    """Lines of the asymmetric unit of hkl."""
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    d_min = WAVELENGTH / 2 / np.sin(np.radians(45.25))
    hkl = gemmi.make_miller_array(small.cell, small.spacegroup, d_min, 0, True)
    ops = small.spacegroup.operations()
    factor = np.abs([calculator.calculate_sf_from_small_structure(small, h) for h in hkl.tolist()])
    multiplicity = len(ops.sym_ops) / ops.epsilon_factor_without_centering_array(hkl)
    multiplicity = multiplicity * (2 - ops.centric_flag_array(hkl))
    angle = two_theta(np.sqrt(small.cell.calculate_1_d2_array(hkl)), WAVELENGTH)
    return angle, multiplicity * factor**2 * lorentz_polarisation(angle)


def pymatgen_factors(s_max, device):
    """pymatgen's form factors in the layout of the simulator's table."""
    s = np.linspace(0, s_max, structure_factors._FACTOR_STEPS + 1)
    table = np.zeros((structure_factors.N_ELEMENTS + 1, len(s)), dtype=np.float32)
    for symbol, rows in ATOMIC_SCATTERING_PARAMS.items():
        height, width = np.array(rows).T
        z = Element(symbol).Z
        table[z] = z - 41.78214 * s**2 * (np.exp(-width * s[:, None] ** 2) @ height)
    return torch.from_numpy(table).to(device)
