"""Figures of the studies: which file in results/ each is drawn from, and by what."""

from . import (
    plot_attention,
    plot_classical,
    plot_dag_study,
    plot_difficulty,
    plot_gap,
    plot_information,
    plot_ruler,
    plot_study,
    plot_temperature,
    results,
)

# Figure: the result it is drawn from, and a function from that content to a figure.
STUDIES = {
    "classical": ("classical", plot_classical.classical),
    "information": ("information", plot_information.information),
    "attention": ("attention", plot_attention.attention),
    "dag_study": ("dag_study", plot_dag_study.dag_study),
    "positional_ruler": ("ruler", plot_ruler.positional_ruler),
    "scaling": ("scaling", plot_study.scaling),
    "ablations": ("ablations", plot_study.ablations),
    "positional": ("ablations", plot_study.positional),
    "space_group_control": ("ablations", plot_study.space_group_control),
    "curriculum_study": ("ablations", plot_study.curriculum_study),
    "gap": ("gap", plot_gap.gap),
    "calibration_study": ("calibration_study", plot_temperature.calibration_study),
    "fit_quality": ("paradox", plot_difficulty.fit_quality),
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
