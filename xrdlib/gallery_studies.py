"""Figures of the studies: which file in results/ each is drawn from, and by what."""

from . import plot_study, results

# Figure: the result it is drawn from, and a function from that content to a figure.
STUDIES = {
    "scaling": ("scaling", plot_study.scaling),
    "ablations": ("ablations", plot_study.ablations),
    "positional": ("ablations", plot_study.positional),
    "space_group_control": ("ablations", plot_study.space_group_control),
    "curriculum_study": ("ablations", plot_study.curriculum_study),
}


def draw_from(name):
    """Function from a configuration to a figure of the study `name`, a key of `STUDIES`."""
    result, function = STUDIES[name]

    def from_file(config):
        return function(results.read(config, result))

    return from_file


def at_hand(config):
    """Names of the figures whose results the profile has."""
    return [name for name, (result, _) in STUDIES.items() if results.exists(config, result)]
