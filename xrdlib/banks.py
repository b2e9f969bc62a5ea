"""Published structures as crystals: unit cells filled, symmetry checked, provenance kept."""

import zlib
from collections import Counter
from functools import cache
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import spglib
from tqdm import tqdm

from . import records
from .entries import Unreadable, amcsd_entries, element, or_reason
from .errors import XrdlibError
from .groups import N_GROUPS, group_of_space_group, half_rotations, operations
from .overlap import overlap
from .priors import smooth_prior

SAME_POSITION = 0.01  # angstrom; images of a site that are closer are one atom
SYMPREC = 0.01  # angstrom; tolerance of the symmetry that spglib detects
METRIC = 1e-3  # relative tolerance of a metric that a rotation should leave as it is
HOLDOUT_PERCENT = 8
CRYSTALS, TABLE = "amcsd.npz", "amcsd.parquet"


def build_amcsd(database, folder, limit=None):
    """Turn the AMCSD file into crystals and a table, and write both.

    Takes about a minute; returns what `build` does.

    Parameters
    ----------
    database : path-like
        The SQLite file, ``datasets.path("amcsd")``.
    folder : path-like
        Where amcsd.npz and amcsd.parquet go.
    limit : int, optional
        Use about this many structures, spread evenly over the file.

    Raises
    ------
    XrdlibError
        If the database cannot be read.
    """
    entries = amcsd_entries(database)
    if limit is not None:
        entries = entries[:: max(1, len(entries) // limit)][:limit]
    crystals, table = build(entries)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    records.save(crystals, folder / CRYSTALS)
    table.to_parquet(folder / TABLE)
    return crystals, table


def load_amcsd(folder):
    """Read what `build_amcsd` wrote: (Crystals, table).

    Raises
    ------
    XrdlibError
        If a file is missing, or the two do not belong together.
    """
    folder = Path(folder)
    crystals = records.load(records.Crystals, folder / CRYSTALS)
    if not (folder / TABLE).is_file():
        raise XrdlibError(f"{folder / TABLE} does not exist; run the stage that writes it.")
    table = pd.read_parquet(folder / TABLE)
    if len(table) != len(crystals):
        raise XrdlibError(f"{CRYSTALS} and {TABLE} in {folder} differ in length; build them anew.")
    return crystals, table


def build(entries):
    """Fill the unit cells of published structures and check their stated symmetry.

    Parameters
    ----------
    entries : list of entries.Entry or entries.Unreadable

    Returns
    -------
    crystals : records.Crystals
        `space_group` and `group` are the stated ones (0 where they cannot be told); `name` is
        the family.
    table : pandas.DataFrame
        One row a crystal, in order: id, mineral ("" where unnamed), family (`families`), formula,
        symbol, stated and detected (space group, 0 where unknown), stated_group and
        detected_group (extinction group), agrees (extinction groups equal and known),
        agrees_space_group, n_atoms, volume (cubic angstrom), density (g/cm^3, as stated),
        holdout (kept from training). ``attrs["skipped"]`` counts the unusable ones by reason.

    Raises
    ------
    XrdlibError
        If none of the entries can be used.
    """
    skipped, cells, rows = Counter(), [], []
    for entry in tqdm(entries, desc="structures", mininterval=2, leave=False):
        cell = entry if isinstance(entry, Unreadable) else or_reason(_fill, entry)
        if isinstance(cell, Unreadable):
            skipped[str(cell)] += 1
            continue
        cells.append(cell)
        rows.append(
            {
                "id": entry.id,
                "mineral": entry.mineral,
                "formula": entry.formula,
                "symbol": entry.symbol,
                "stated": stated_space_group(entry.symbol, entry.operators),
                "detected": cell["detected"],
                "n_atoms": len(cell["number"]),
                "volume": abs(np.linalg.det(cell["lattice"])),
                "density": entry.density,
            }
        )
    if not rows:
        raise XrdlibError(f"None of {len(entries)} structures can be used: {dict(skipped)}.")
    table = pd.DataFrame(rows)
    group = group_of_space_group()
    table["stated_group"] = group[table["stated"]]
    table["detected_group"] = group[table["detected"]]
    known = table["stated"] > 0
    table["agrees_space_group"] = known & (table["stated"] == table["detected"])
    table["agrees"] = known & (table["stated_group"] == table["detected_group"])
    table["family"] = families(table)
    table["holdout"] = [zlib.crc32(f.encode()) % 100 < HOLDOUT_PERCENT for f in table["family"]]
    table.attrs["skipped"] = dict(skipped)
    return _crystals(cells, table), table


def counts(table):
    """How many structures there are of each kind, a dict of int."""
    return {
        "structures": len(table),
        "minerals": int(table.loc[table["mineral"] != "", "mineral"].nunique()),
        "extinction group known": int((table["stated_group"] > 0).sum()),
        "extinction group confirmed by the atoms": int(table["agrees"].sum()),
        "space group confirmed by the atoms": int(table["agrees_space_group"].sum()),
        "held out": int((table["agrees"] & table["holdout"]).sum()),
        **{f"unusable: {reason}": n for reason, n in table.attrs.get("skipped", {}).items()},
    }


def families(table):
    """Name that structures of one phase share, so that a split can keep them together.

    The mineral's name; for an unnamed structure that of a mineral with the same formula and
    symbol, else its formula.
    """
    named = table[table["mineral"] != ""].sort_values("mineral", ascending=False)
    alike = named.set_index(["formula", "symbol"])["mineral"].to_dict()
    return [
        row.mineral or alike.get((row.formula, row.symbol), row.formula)
        for row in table.itertuples()
    ]


def minerals_prior(table, strength=50):
    """How often minerals have each extinction group.

    Parameters
    ----------
    table : pandas.DataFrame
        As from `build`. Each named mineral has one vote, shared by its structures.
    strength : float
        Votes spread over all classes (`priors.smooth_prior`), so that none is impossible.

    Returns
    -------
    ndarray, (99,) float64
        Sums to 1.

    Raises
    ------
    XrdlibError
        If no named mineral has a known group.
    """
    usable = table[(table["mineral"] != "") & (table["stated_group"] > 0)]
    if usable.empty:
        raise XrdlibError("No named mineral with a known space group; a prior needs some.")
    vote = 1 / usable.groupby("mineral")["mineral"].transform("size")
    votes = np.bincount(usable["stated_group"] - 1, vote, minlength=N_GROUPS)
    return smooth_prior(votes, strength)


@cache
def stated_space_group(symbol, operators):
    """Space-group number of a Hermann-Mauguin symbol, or else of the operators.

    Returns
    -------
    int
        0 where neither can be told.
    """
    found = gemmi.find_spacegroup_by_name(symbol)
    if found:
        return found.number
    rotations, translations = _parsed(operators)
    kind = spglib.get_spacegroup_type_from_symmetry(rotations, translations, symprec=1e-4)
    # A list of operators that is no group is matched to one of its subgroups.
    if kind and _order(rotations) == _order(operations(kind.number)[0]):
        return kind.number
    return 0


def _order(rotations):
    return len(np.unique(rotations, axis=0))


def expand(frac, rotations, translations, lattice):
    """All distinct images of one site in the unit cell.

    Parameters
    ----------
    frac : array_like, (3,)
    rotations, translations : ndarray, (k, 3, 3) and (k, 3)
        Operations x' = W x + w.
    lattice : ndarray, (3, 3)
        Rows a, b, c in angstrom.

    Returns
    -------
    ndarray, (m, 3) float64
        In [0, 1); images within `SAME_POSITION` of each other are one.
    """
    images = (rotations @ np.asarray(frac, dtype=np.float64) + translations) % 1
    near = _distances(images, images, lattice) < SAME_POSITION
    return images[near.argmax(1) == np.arange(len(images))]


def _distances(a, b, lattice):
    """Distances (len(a), len(b)) in angstrom, to the nearest translate along each axis."""
    difference = a[:, None] - b[None]
    return np.linalg.norm((difference - np.rint(difference)) @ lattice, axis=-1)


@cache
def _parsed(operators):
    """Rotations (k, 3, 3) int and translations (k, 3) of triplets."""
    try:
        parsed = [gemmi.Op(triplet) for triplet in operators]
    except RuntimeError:
        raise Unreadable("an operator that cannot be parsed") from None
    rotations, translations = (np.array([getattr(op, a) for op in parsed]) for a in ("rot", "tran"))
    return rotations // gemmi.Op.DEN, translations / gemmi.Op.DEN


def _fill(entry):
    """Atoms of the unit cell, lattice, rotations and detected symmetry of one entry."""
    cell = gemmi.UnitCell(*entry.cell)
    if min(entry.cell) <= 0 or not cell.volume > 1:
        raise Unreadable("an impossible cell")
    if abs(entry.volume / cell.volume - 1) > 0.01:
        raise Unreadable("a cell that contradicts the stated volume")
    if not np.isfinite(entry.frac).all():
        raise Unreadable("a site without coordinates")
    lattice = np.array(cell.orth.mat.tolist()).T
    rotations, translations = _parsed(entry.operators)
    species = np.array([element(label, entry.formula) for label in entry.labels])
    images = []  # of each site; sites that share a position share its images
    for site in entry.frac:
        shared = (i for i in images if _distances(site[None] % 1, i, lattice).min() < SAME_POSITION)
        found = next(shared, None)
        images.append(expand(site, rotations, translations, lattice) if found is None else found)
    # An occupancy above 1 is a refined scale; an empty site scatters nothing.
    occupancy = np.clip(entry.occupancy, 0, 1)
    filled = [k for k in range(len(images)) if occupancy[k] > 0]
    if not filled:
        raise Unreadable("no atoms")
    counts = [len(images[k]) for k in filled]
    try:
        half = half_rotations(rotations)
    except XrdlibError:
        raise Unreadable("operators that form no group") from None
    lattice = _symmetric(lattice, half)
    frac = np.concatenate([images[k] for k in filled])
    shares = np.repeat(occupancy[filled], counts)
    if overlap(lattice, frac, shares):
        raise Unreadable("atoms that lie upon each other")
    return {
        "lattice": lattice,
        "number": np.repeat(species[filled], counts),
        "frac": frac,
        "occupancy": shares,
        "rotations": half,
        "detected": _detected(lattice, images, species, occupancy),
    }


def _symmetric(lattice, rotations):
    """The lattice, its published digits rounded so that all rotations W keep its metric M.

    Raises
    ------
    Unreadable
        If some W^T M W differs from M by more than rounding.
    """
    metric = lattice @ lattice.T
    turned = rotations.transpose(0, 2, 1) @ metric @ rotations
    length = np.sqrt(np.diag(metric))
    if (np.abs(turned - metric) > METRIC * length[:, None] * length).any():
        raise Unreadable("operators that contradict the cell")
    return np.linalg.cholesky(turned.mean(0))


def _detected(lattice, images, species, occupancy):
    """Space-group number that spglib finds from the atoms, 0 where it finds none."""
    content = {}  # position -> what sits there; a mixed site is a kind of atom of its own
    for points, z, share in zip(images, species, occupancy, strict=True):
        content.setdefault(id(points), (points, []))[1].append((int(z), round(float(share), 3)))
    sites = [(points, tuple(sorted(kinds))) for points, kinds in content.values()]
    kinds = {kind: number for number, kind in enumerate(sorted({kind for _, kind in sites}), 1)}
    numbers = np.repeat([kinds[kind] for _, kind in sites], [len(points) for points, _ in sites])
    positions = np.concatenate([points for points, _ in sites])
    dataset = spglib.get_symmetry_dataset((lattice, positions, numbers), symprec=SYMPREC)
    return dataset.number if dataset else 0


def _crystals(cells, table):
    counts = [len(cell["number"]) for cell in cells]
    return records.Crystals(
        lattice=np.stack([cell["lattice"] for cell in cells]),
        start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        number=np.concatenate([cell["number"] for cell in cells]).astype(np.int16),
        frac=np.concatenate([cell["frac"] for cell in cells]).astype(np.float32),
        occupancy=np.concatenate([cell["occupancy"] for cell in cells]).astype(np.float32),
        rotations=np.stack([cell["rotations"] for cell in cells]),
        space_group=table["stated"].to_numpy(np.int16),
        group=table["stated_group"].to_numpy(np.int16),
        name=table["family"].to_numpy(str),
    )
