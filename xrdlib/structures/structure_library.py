"""The structure library: published structures as crystals, with a table of their data."""

import os
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ..base import files, records
from ..base.errors import XrdlibError
from ..symmetry.groups import group_of_space_group
from .entries import Entry, Unreadable, amcsd_entries, or_reason
from .structure_types import structure_types
from .unit_cells import fill, stated_space_group

HOLDOUT_PERCENT = 8
NOBLE_GASES = (2, 10, 18, 36, 54, 86)
CRYSTALS, TABLE = "amcsd.npz", "amcsd.parquet"


def build_amcsd(
    database: str | os.PathLike, folder: str | os.PathLike, limit: int | None = None
) -> tuple[records.Crystals, pd.DataFrame]:
    """Turn the AMCSD file into crystals and a table as `build` does, and write both; a minute.

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
    with files.replacing(folder / TABLE) as file:
        table.to_parquet(file)
    return crystals, table


def load_amcsd(folder: str | os.PathLike) -> tuple[records.Crystals, pd.DataFrame]:
    """Read what `build_amcsd` wrote, or say what is missing or does not belong together."""
    folder = Path(folder)
    crystals = records.load(records.Crystals, folder / CRYSTALS)
    if not (folder / TABLE).is_file():
        raise XrdlibError(f"{folder / TABLE} does not exist; run the stage that writes it.")
    table = pd.read_parquet(folder / TABLE)
    if len(table) != len(crystals):
        raise XrdlibError(f"{CRYSTALS} and {TABLE} in {folder} differ in length; build them anew.")
    return crystals, table


def build(entries: list[Entry | Unreadable]) -> tuple[records.Crystals, pd.DataFrame]:
    """Fill the unit cells of published structures and check their stated symmetry.

    Returns
    -------
    crystals : records.Crystals
        `space_group` and `group` are the stated ones (0 where unknown); `name` is the family.
    table : pandas.DataFrame
        One row a crystal, in order: id, mineral ("" where unnamed), family (`families`), formula,
        symbol, stated and detected (space group, 0 where unknown), stated_group and
        detected_group (extinction group), agrees (extinction groups equal and known),
        agrees_space_group, n_atoms, volume (cubic angstrom), density (g/cm^3, as stated), type
        (`structure_types`), holdout (kept from training, whole types). ``attrs["skipped"]`` counts
        the unusable ones by reason.

    Raises
    ------
    XrdlibError
        If none of the entries can be used.
    """
    skipped, cells, rows = Counter(), [], []
    for entry in tqdm(entries, desc="structures", mininterval=2, leave=False):
        cell = entry if isinstance(entry, Unreadable) else or_reason(fill, entry)
        if isinstance(cell, Unreadable):
            skipped[str(cell)] += 1
            continue
        cells.append(cell)
        stated = {name: getattr(entry, name) for name in ("id", "mineral", "formula", "symbol")}
        derived = {
            "stated": stated_space_group(entry.symbol, entry.operators),
            "detected": cell["detected"],
            "n_atoms": len(cell["number"]),
            "volume": abs(np.linalg.det(cell["lattice"])),
            "density": entry.density,
        }
        rows.append(stated | derived)
    if not rows:
        raise XrdlibError(f"None of {len(entries)} structures can be used: {dict(skipped)}.")
    table = pd.DataFrame(rows)
    group = group_of_space_group()
    table["stated_group"] = group[table["stated"]]
    table["detected_group"] = group[table["detected"]]
    stated_known = table["stated"] > 0
    table["agrees_space_group"] = stated_known & (table["stated"] == table["detected"])
    table["agrees"] = stated_known & (table["stated_group"] == table["detected_group"])
    table["family"] = families(table)
    lattices, atoms = zip(*((c["lattice"], c["occupancy"].sum()) for c in cells), strict=True)
    columns = table["symbol"], table["stated"], lattices, atoms, table["family"]
    table["type"] = structure_types(*columns)
    table["holdout"] = [zlib.crc32(t.encode()) % 100 < HOLDOUT_PERCENT for t in table["type"]]
    table.attrs["skipped"] = dict(skipped)
    return assembled(cells, table["stated"], table["family"]), table


def counts(table: pd.DataFrame) -> dict[str, int]:
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


def families(table: pd.DataFrame) -> list[str]:
    """Name that structures of one phase share, so that a split can keep them together.

    The mineral's name; for an unnamed structure that of a mineral with the same formula and
    symbol, else its formula.
    """
    named = table[table["mineral"] != ""].sort_values("mineral", ascending=False)
    alike = named.set_index(["formula", "symbol"])["mineral"].to_dict()
    columns = (table[name] for name in ("mineral", "formula", "symbol"))
    return [m or alike.get((f, s), f) for m, f, s in zip(*columns, strict=True)]


def assembled(cells: list[dict], space_group: np.ndarray, name: np.ndarray) -> records.Crystals:
    """Crystals from cells as `unit_cells.fill` gives them, their space groups and names, (n,)."""
    numbers = np.asarray(space_group, dtype=np.int16)
    frac, number, occupancy = (
        np.concatenate([cell[key] for cell in cells]) for key in ("frac", "number", "occupancy")
    )
    return records.Crystals(
        lattice=np.stack([cell["lattice"] for cell in cells]),
        start=records.offsets(len(cell["number"]) for cell in cells),
        number=number.astype(np.int16),
        frac=frac.astype(np.float32),
        occupancy=occupancy.astype(np.float32),
        rotations=np.stack([cell["rotations"] for cell in cells]),
        space_group=numbers,
        group=group_of_space_group()[numbers],
        name=np.asarray(name).astype(str),
    )


def one_of_each(crystals: records.Crystals) -> records.Crystals:
    """The first crystal of each name and space group, so that every phase counts once."""
    keys = np.char.add(np.char.add(crystals.name, " "), crystals.space_group.astype(str))
    return crystals.take(np.sort(np.unique(keys, return_index=True)[1]))


def ordinary(crystals: records.Crystals, max_atoms: int) -> np.ndarray:
    """Which crystals, (n,) bool, have no noble gas, not hydrogen alone, and up to so many atoms."""
    start = crystals.start[:-1]
    noble = np.logical_or.reduceat(np.isin(crystals.number, NOBLE_GASES), start)
    seen = np.logical_or.reduceat(crystals.number > 1, start)
    return ~noble & seen & (np.diff(crystals.start) <= max_atoms)
