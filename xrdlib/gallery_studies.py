"""Figures of the studies: which file in results/ each is drawn from, and by what."""

from . import results

# Figure: the result it is drawn from, and a function from that content to a figure.
STUDIES = {}


def draw_from(name):
    """Function from a configuration to a figure of the study `name`, a key of `STUDIES`."""
    result, function = STUDIES[name]

    def from_file(config):
        return function(results.read(config, result))

    return from_file


def at_hand(config):
    """Names of the figures whose results the profile has."""
    return [name for name, (result, _) in STUDIES.items() if results.exists(config, result)]
