"""Groups from what users type: numbers, symbols of any setting, the paper's labels."""

import re
import unicodedata
from functools import cache
from typing import NamedTuple

import gemmi

from ..base.errors import XrdlibError
from . import groups

# "P2(1)/c" and "P2_1/c" write the order of a screw axis and its subscript; "P_21/c" a blank.
_SUBSCRIPT = re.compile(r"(?<=[2346])(?:\(([1-5])\)|_\{?([1-5])\}?)")
_OVERBAR = re.compile("([1346])[\u0304\u0305]")


class Named(NamedTuple):
    """What a key was understood as.

    Attributes
    ----------
    label : int
        Extinction group 1..99.
    number : int or None
        The space group, where the key names one.
    setting : str or None
        Its Hermann-Mauguin symbol as gemmi writes it, where the key names another setting than the
        standard one.
    """

    label: int
    number: int | None = None
    setting: str | None = None

    def __str__(self) -> str:
        group = f"extinction group eg{self.label}, {groups.symbols()[self.label - 1]}"
        if self.number is None:
            return group
        setting = f", in the setting {self.setting}" if self.setting else ""
        symbol = groups.reference_symbol(self.number)
        return f"space group {self.number}, {symbol}{setting}; {group}"


def named(key: int | str) -> Named:
    """The group that a key names.

    Parameters
    ----------
    key : int or str
        A space group by number (14, "14", "sg14"), by Hermann-Mauguin symbol in any setting, short
        or full, with or without blanks ("P21/n", "P 1 21/n 1", "P2_1/c", "R-3c:H", "Fd3m"), by
        Hall or Schoenflies symbol ("-P 2ybc", "C2h^5"); an extinction group by the paper's label
        ("eg14") or by an extinction symbol that only one group has ("P 1 21/n 1", "C - c (ab)").

    Raises
    ------
    XrdlibError
        If the key names no group, or several.

    Examples
    --------
    >>> print(named("P2(1)/n"))
    space group 14, P21/c, in the setting P 1 21/n 1; extinction group eg4, P 21/b 1 1
    """
    text = str(key).strip()
    if match := re.fullmatch(r"(?:sg)?\s*([0-9]+)", text, re.IGNORECASE):
        return _space_group(int(match[1]), key)
    if match := re.fullmatch(r"eg\s*([0-9]+)", text, re.IGNORECASE):
        if int(match[1]) not in range(1, groups.N_GROUPS + 1):
            raise _unknown(key)
        return Named(int(match[1]))
    if setting := _hermann_mauguin(text):
        return _space_group(setting.number, key, _other(setting, text))
    wanted = text.replace(" ", "")
    labels = [
        row["label"]
        for row in groups.table()["extinction_groups"]
        if wanted in [symbol.replace(" ", "") for symbol in row["settings"]]
    ]
    if len(labels) == 1:
        return Named(labels[0])
    if labels:
        several = ", ".join(f"eg{k} ({groups.crystal_systems()[k - 1]})" for k in labels)
        raise XrdlibError(f"{key!r} names {len(labels)} groups; use one of {several}.")
    if setting := _hall(text):
        return _space_group(setting.number, key, _other(setting, setting.xhm()))
    if number := _other_symbols().get(re.sub("[_{}]", "", wanted).lower()):
        return _space_group(number, key)
    raise _unknown(key)


def label_of(key: int | str) -> int:
    """Label 1..99 of the extinction group that a key names, see `named`."""
    return named(key).label


def standard_symbol(number: int) -> str:
    """Extinction symbol of a space group in the standard setting of International Tables A.

    Examples
    --------
    >>> standard_symbol(62), standard_symbol(64)
    ('P n - a', 'C - c (ab)')
    """
    from .derive import elements, written

    row = groups.table()["extinction_groups"][groups.group_of_space_group()[number] - 1]
    reference = gemmi.get_spacegroup_reference_setting(number)
    own = written(elements(reference), row["crystal_system"])[0]
    for symbol in row["settings"]:  # "(ab)" stands for either letter
        if own in (symbol, *(re.sub(r"\((.)(.)\)", letter, symbol) for letter in (r"\1", r"\2"))):
            return symbol
    return row["symbol"]


def _space_group(number, key, setting=None):
    if number not in range(1, 231):
        raise _unknown(key)
    return Named(int(groups.group_of_space_group()[number]), number, setting)


def _other(setting, text):
    """Symbol of a setting that is not the standard one; origins and axes count where stated."""
    standard = gemmi.get_spacegroup_reference_setting(setting.number)
    stated = setting.hm != standard.hm or text.upper().endswith(setting.ext)
    return setting.xhm() if stated and not setting.is_reference_setting() else None


def _hermann_mauguin(text):
    """gemmi's setting of a symbol, None if it is none."""
    text = unicodedata.normalize("NFKD", text).replace("\u2212", "-").replace("\u2013", "-")
    text = _OVERBAR.sub(r"-\1", text)
    if text[1:2] != "_":
        text = _SUBSCRIPT.sub(lambda match: match[1] or match[2], text)
    # gemmi takes numbers and bare centrings too.
    if not re.match("[A-Za-z] ?.", text):
        return None
    return gemmi.find_spacegroup_by_name(re.sub(r"\s*([/:])\s*", r"\1", text))


def _hall(text):
    text = re.sub("(?i)^hall *:?", "", text).strip()
    # Without a blank it is a Hermann-Mauguin symbol that lacks its slash ("P21c").
    if not re.search("[A-Za-z][ _].*[0-9]", text):
        return None
    try:
        operations = gemmi.symops_from_hall(text)
    except (RuntimeError, ValueError):
        return None  # not a Hall symbol
    return gemmi.find_spacegroup_by_ops(operations)


@cache
def _other_symbols():
    """Numbers by Schoenflies and by full symbol, as "c2h^5" and "p4/m2/m2/m"."""
    import spglib

    numbers = {}
    for kind in map(spglib.get_spacegroup_type, range(1, 531)):
        for symbol in (kind.schoenflies, *kind.international_full.split("=")):
            numbers.setdefault(re.sub("[ _]", "", symbol).lower(), kind.number)
    return numbers


def _unknown(key):
    return XrdlibError(
        f"{key!r} names no group; use a space group by symbol (P21/c) or number (14), or the "
        f"paper's label, eg1 to eg{groups.N_GROUPS}."
    )
