"""Names of minerals, from titles that authors of structure files made up."""

import re
from functools import cache


def mineral_name(titles, known, is_element=False):
    """Mineral of a phase that is called such as "ALBITE_LOW" or "Muscovite_1M".

    The longest known name that a word begins with, else the first word that is no formula, of the
    first title that has one; "" if none does.

    Parameters
    ----------
    titles : list of str
    known : dict of str to str
        Mineral names by `folded` name.
    is_element : bool
        Whether it can be called after an element, as copper can and copper chromate cannot.
    """
    for title in titles:
        found, words = [], re.findall("[A-Za-z0-9]+", title)
        for i, word in enumerate(words):
            rest = folded("".join(words[i:]))
            ends = range(min(5, len(word)), len(rest) + 1)
            found += [known[rest[:n]] for n in ends if rest[:n] in known]
        found = [name for name in found if is_element or name not in _element_names()]
        if found:
            return max(found, key=len)
    for title in titles:
        # "Talc", "CLINOMIMETITE", "PhillipsiteCa", but neither "CaO" nor "BATIO3".
        word = re.match("[A-Z][a-z]{6,}|(?:[A-Z][a-z]{3,}|[A-Z]{8,})(?![a-z0-9])", title)
        if word and (is_element or word[0].capitalize() not in _element_names()):
            return word[0].capitalize()
    return ""


def folded(name):
    """Letters and digits of a name in lower case, umlauts as one letter."""
    return re.sub("([aou])e", r"\1", re.sub("[^a-z0-9]", "", name.lower()))


def by_folded_name(minerals):
    """Mineral names by `folded` name, and without the suffix where only one has the name.

    Parameters
    ----------
    minerals : iterable of str

    Returns
    -------
    dict of str to str
    """
    minerals = sorted(set(minerals))
    bases = [folded(name.split("-(")[0]) for name in minerals]  # of "Cerianite-(Ce)"
    only = {
        base: name for base, name in zip(bases, minerals, strict=True) if bases.count(base) == 1
    }
    return only | {folded(name): name for name in minerals}


@cache
def _element_names():
    from pymatgen.core import Element

    return {element.long_name for element in Element}
