"""What the tables on information say, in sentences computed from the numbers."""

from .information import BOTH, ELEMENTS, LATTICE
from .information_study import KINDS, RELEASED, UNTOUCHED, title


def verdict(readers, rows, shared, moves, visible, top):
    """What the numbers say, in sentences.

    Parameters
    ----------
    readers, rows, shared, moves, visible : list of dict
        As from `information_tables.ideal`, `rows`, `shares`, `moved` and `visible`.
    top : list of dict
        As from `information_tables.ceiling`; empty without measured patterns.

    Returns
    -------
    dict of str to str
        "readers", "network", "absences", "visible" and, with measured patterns, "ceiling".
    """
    first = {r["reader"]: r for r in readers if r["frequencies"] == readers[0]["frequencies"]}
    told = {
        "readers": f"At the frequencies of {readers[0]['frequencies']}, exact knowledge of the "
        f"Bravais lattice gives {first[LATTICE]['top1']:.0f} % top-1 and "
        f"{first[LATTICE]['bits']:.1f} of {first[LATTICE]['entropy']:.1f} bits, the symbols of "
        f"screws and glides alone {first[ELEMENTS]['top1']:.0f} % and "
        f"{first[ELEMENTS]['bits']:.1f} bits, both together {first[BOTH]['top1']:.1f} %."
    }
    own = {row["kind"]: row for row in shared if row["reader"] == RELEASED}
    order = sorted(KINDS, key=lambda kind: -own[kind]["bits"])
    some = [kind for kind in order if own[kind]["bits_ci95"][0] > 0]
    bits = {row["patterns"]: row["bits"] for row in rows if row["reader"] == RELEASED}
    whole, left = bits[UNTOUCHED], {kind: bits[title([kind])] for kind in KINDS}
    parts = ", ".join(f"{kind} {own[kind]['bits']:.2f}" for kind in order)
    told["network"] = (
        f"Of the bits that the released network reads from held-out minerals, most come from the "
        f"{order[0]} (bits: {parts}, rest {own['rest']['bits']:.2f}); above zero beyond doubt: "
        f"{', '.join(some) or 'none'}. With one kind destroyed, of {whole:.2f} bits there remain: "
        + ", ".join(f"without {kind} {left[kind]:.2f}" for kind in KINDS)
        + "."
    )
    before, after = (row for row in moves if row["reader"] == RELEASED)
    if after["bare_ci95"][0] > before["bare_ci95"][1]:
        follows = "follow the absences"
    elif after["own_ci95"][1] < before["own_ci95"][0]:
        follows = "depend on the absences, but seldom go where those point"
    else:
        follows = "hardly depend on the absences"
    told["absences"] = (
        f"Where absences of screws and glides are filled in, the released network names the group "
        f"without them in {after['bare']:.0f} % (untouched: {before['bare']:.0f} %) and the true "
        f"one in {after['own']:.0f} % (untouched: {before['own']:.0f} %) of {after['n']} "
        f"minerals: its answers {follows}."
    )
    strict = next(row for row in visible if row["limit"] == 0)
    seen = ", ".join(
        f"{row['top1']:.0f} % with lines down to {100 * row['limit']:g} % of the strongest"
        for row in visible
        if row["limit"]
    )
    told["visible"] = (
        f"Told the true cell and lattice of {strict['n']} simulated minerals, a reader of all "
        f"absences would be right in {strict['top1']:.0f} %; one of those that show: {seen}."
    )
    if top:
        row = {r["reader"]: r for r in top}
        best = max((r for r in top if r["reader"].startswith("released")), key=lambda r: r["top1"])
        gap = row[BOTH]["top1"] - best["top1"]
        told["ceiling"] = (
            f"On {best['n']} measured patterns, perfect reading of lattice and absences would give "
            f"{row[BOTH]['top1']:.1f} % top-1, the Bravais lattice alone "
            f"{row[LATTICE]['top1']:.1f} %; the best predictor reaches {best['top1']:.1f} %, "
            f"{gap:.0f} points below. Over a perfect reader of the lattice alone it has "
            f"{best['over_lattice']:.0f} points (95 % interval "
            f"{best['over_lattice_ci95'][0]:.0f} to {best['over_lattice_ci95'][1]:.0f})."
        )
    return told
