"""The scan of a file that holds several: the one asked for, or one made of those that belong.

Ranges that follow each other are joined, repeated scans of one specimen averaged. Where scans
differ, as in a series over temperature, the first is taken. A note says which.
"""

from dataclasses import replace

import numpy as np

from ...base.errors import XrdlibError

MAX_SCANS = 200  # that are looked at; a long series is read for its first ones
# Where each takes a pass over the whole file: scans, and those that may fail, as rocking curves do.
MAX_PASSES, MAX_FAILURES = 50, 5
_REPEATED = 0.9  # of the range of the widest scan
_SAME = 0.1  # of the variance, less noise, in which repeated scans of one specimen may differ
_GAP = 3  # steps between ranges that follow each other
_END = 10  # points that show the level of a range at its end
_LEVEL = 1.25  # counts of ranges that differ by less are left as they are


class Beyond(XrdlibError):
    """The file holds fewer scans."""


def pick(number, scan, read, kind):
    """The scan that was asked for, or one made of all.

    Parameters
    ----------
    number : int or None
        How many scans the file holds; None where only `Beyond` tells.
    scan : int or None
        Counted from 1.
    read : callable
        Takes an index, counted from 0, and gives a `Scan`.
    kind : str
        Name of the format, for messages.
    """
    if number == 0:
        raise XrdlibError(f"holds no {kind} scan; export it again, as XY if nothing else helps")
    if scan is not None:
        if number and scan > number:
            raise XrdlibError(f"has no scan {scan}; it holds {number}")
        return read(scan - 1)
    scans, problems = {}, []
    for i in range(min(number, MAX_SCANS) if number else MAX_PASSES):
        try:
            scans[i] = read(i)
        except Beyond as problem:
            problems += [] if scans or problems else [problem]
            break
        except XrdlibError as problem:  # a scan over another axis, for the most part
            problems.append(problem)
            if not number and len(problems) == MAX_FAILURES:
                break
    if not scans:
        raise problems[0]
    number = number or len(scans) + len(problems)
    return together(scans, number) if number > 1 else scans[0]


def together(scans, number):
    """One scan made of those that could be read, by index from 0, of `number` in a file.

    Its metadata say "scans", "scans_used" and "notes".
    """
    in_order = list(scans.values())
    tables = [_table(scan) for scan in in_order]
    widths = [x[-1] - x[0] if len(x) > 1 else 0 for x, _ in tables]
    main = next(i for i, width in enumerate(widths) if width >= _REPEATED * max(widths))
    alike = [
        i
        for i, scan in enumerate(in_order)
        if (scan.axis, scan.wavelength) == (in_order[main].axis, in_order[main].wavelength)
        and len(tables[i][0]) > 1
    ]
    first, width = tables[main], widths[main]
    again = [i for i in alike if _overlap(first[0], tables[i][0]) >= _REPEATED * width]
    if len(again) > 1:
        on_first = [np.interp(first[0], *tables[i]) for i in again]
        if all(_same(on_first[0], y) for y in on_first[1:]):
            made = first[0], np.mean(on_first, 0)
            return _made(scans, main, *made, again, number, "averaged")
    else:
        x, y, used = _joined(tables, alike, main)
        if len(used) > 1:
            return _made(scans, main, x, y, used, number, "joined")
    return _made(scans, main, in_order[main].x, in_order[main].y, [main], number, "left")


def _made(scans, main, x, y, used, number, how):
    """The main scan with other positions and intensities, and with notes on how they were made."""
    indices, in_order = list(scans), list(scans.values())
    notes = dict.fromkeys(note for i in used for note in in_order[i].metadata.get("notes") or ())
    notes[f"scans_{how}"] = None
    if len(used) < number:
        notes["scans_left"] = None
    facts = {"scans": number, "scans_used": [indices[i] + 1 for i in used], "notes": list(notes)}
    return replace(in_order[main], x=x, y=y, metadata=in_order[main].metadata | facts)


def _table(scan):
    """Rising positions and intensities of a scan, without points that were not measured."""
    x, y = np.asarray(scan.x, np.float64), np.asarray(scan.y, np.float64)
    if len(x) != len(y):
        return np.empty(0), np.empty(0)
    known = np.isfinite(x) & np.isfinite(y)
    order = np.argsort(x[known], kind="stable")
    return x[known][order], y[known][order]


def _overlap(a, b):
    return min(a[-1], b[-1]) - max(a[0], b[0])


def _same(a, b):
    """Whether two scans on the same positions differ by noise and a factor only."""
    factor = (a @ b) / (b @ b) if b.any() else 1.0
    return _structure(a - factor * b) <= _SAME * _structure(a)


def _structure(y):
    """Variance of what extends over more than one point; noise has equal parts and cancels."""
    return max(np.var(y) - np.var(np.diff(y)) / 2, 0.0)


def _joined(tables, alike, main):
    """Ranges that follow each other as one, and which they are; that of the main one at least."""
    order = sorted(alike, key=lambda i: tables[i][0][0])
    chains = []
    for i in order:
        if not chains or not _follows(tables[chains[-1][-1]][0], tables[i][0]):
            chains.append([])
        chains[-1].append(i)
    used = next(chain for chain in chains if main in chain)
    x, y = tables[used[0]]
    for i in used[1:]:
        x, y = _appended(x, y, *tables[i])
    return x, y, used


def _follows(a, b):
    """Whether range b begins where a ends, at most half of the shorter one before."""
    step = max(np.median(np.diff(a)), np.median(np.diff(b)))
    shorter = min(a[-1] - a[0], b[-1] - b[0])
    return b[-1] > a[-1] and -shorter / 2 <= b[0] - a[-1] <= _GAP * step


def _appended(x, y, after, counts):
    """A range with the next one behind it, brought to its level where counting times differ."""
    common = (after >= x[0]) & (after <= x[-1])
    if common.sum() >= _END:
        here, there = np.interp(after[common], x, y).sum(), counts[common].sum()
    else:
        here, there = np.median(y[-_END:]), np.median(counts[:_END])
    if here > 0 and there > 0 and not 1 / _LEVEL <= here / there <= _LEVEL:
        counts = counts * (here / there)
    before = x <= (after[0] + x[-1]) / 2
    behind = after > x[before][-1] + np.diff(after).min() / 2  # no point twice for rounding
    return np.append(x[before], after[behind]), np.append(y[before], counts[behind])
