"""All figures of a profile, drawn from its results."""

from ..base import paths, results
from ..base.errors import XrdlibError
from ..base.results import MAIN, read
from ..prediction import style
from ..symmetry import dag
from . import (
    plot_attention,
    plot_errors,
    plot_information,
    plot_measured,
    plot_released,
    plot_scores,
    plot_simulator,
    plot_symmetry,
    plot_trainings,
)

# Figure: the result it is drawn from, and a function from that content to a figure.
STUDIES = {
    "classical": ("classical", plot_information.classical),
    "information": ("information", plot_information.information),
    "attention": ("attention", plot_attention.attention),
    "dag_study": ("dag_study", plot_errors.dag_study),
    "positional_ruler": ("ruler", plot_trainings.positional_ruler),
    "scaling": ("scaling", plot_trainings.scaling),
    "ablations": ("ablations", plot_trainings.ablations),
    "positional": ("ablations", plot_trainings.positional),
    "space_group_control": ("ablations", plot_trainings.space_group_control),
    "curriculum_study": ("ablations", plot_trainings.curriculum_study),
    "gap": ("gap", plot_measured.gap),
    "calibration_study": ("calibration_study", plot_measured.calibration_study),
    "fit_quality": ("paradox", plot_measured.fit_quality),
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


_HISTORIES = {
    "stage 1": "stage1",
    "stage 2": "stage2",
    "resnet": "resnet",
    "plain transformer": "plain",
}


def draw(config, names=None):
    """Draw and save figures.

    Parameters
    ----------
    config : namespace
    names : iterable of str, optional
        Keys of `FIGURES`, all of which are drawn by default, or of `gallery.STUDIES`.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        By file name without suffix; in `paths.figures(profile)` as PNG and SVG.

    Raises
    ------
    XrdlibError
        If a name is unknown or a result file is missing.
    """
    names = list(names or FIGURES)
    known = FIGURES | {name: draw_from(name) for name in STUDIES}
    if unknown := sorted(set(names) - set(known)):
        raise XrdlibError(f"No figure {unknown[0]!r}; choose from {', '.join(known)}.")
    figures = {name: known[name](config) for name in names}
    for name, figure in figures.items():
        style.save(figure, paths.figures(config.profile), name)
    return figures


def _dag(config):
    return plot_symmetry.dag(dag.subgroup_dag())


def _class_histogram(config):
    return plot_symmetry.class_histogram(read(config, "class_histogram"))


def _example_patterns(config):
    examples = read(config, "examples")
    if not examples:
        return style.note("No measured patterns were at hand.")
    return plot_symmetry.example_patterns(examples)


def _learning_curves(config):
    return plot_scores.learning_curves(
        {title: read(config, name)["rows"] for title, name in _HISTORIES.items()}
    )


def _temperature(config):
    found = read(config, "calibration")
    return plot_scores.temperature(found["temperature_curve"], found["models"][MAIN]["T"])


def _decoders(config):
    found = read(config, "calibration")
    return plot_scores.decoders(found["fusion_curve"], found["models"][MAIN]["a"])


def _main_rows(config):
    found = read(config, "measured")
    return found, [row for row in found["rows"] if row["subset"] == found["main_subset"]]


def _curriculum(config):
    found, rows = _main_rows(config)
    prior = next(row for row in rows if row["model"] == "prior only")
    return plot_scores.curriculum(found["curriculum"], prior)


def _nulls(config):
    return plot_scores.nulls(_main_rows(config)[1])


def _reliability(config):
    return plot_scores.reliability(read(config, "measured")["reliability"])


def _confusion(config):
    return plot_errors.confusion(read(config, "measured")["confusion"])


def _dag_errors(config):
    found = read(config, "dag_errors")
    return plot_errors.dag_errors(found) if found["n_errors"] else style.note("There is no error.")


def _simulator(config):
    comparison = read(config, "simulator")["comparison"]
    note = comparison["note"]
    return style.note(note) if note else plot_simulator.simulator(comparison)


def _simulator_cost(config):
    return plot_simulator.simulator_cost(read(config, "simulator")["costs"])


def _crystal_statistics(config):
    return plot_simulator.crystal_statistics(read(config, "simulator")["crystals"])


def _indexing(config):
    return plot_released.indexing(read(config, "indexing"))


def _retrieval(config):
    rows = read(config, "retrieval")["rows"]
    if not rows:
        return style.note("No measured patterns were at hand.")
    return plot_scores.nulls([row for row in rows if row["subset"] == rows[0]["subset"]])


def _released(draw, *keys):
    def from_file(config):
        found = read(config, "released")
        # Without measured patterns the file has no rows.
        if not found["rows"]:
            return style.note("No measured patterns were at hand.")
        return draw(*(found[key] for key in keys))

    return from_file


FIGURES = {
    "dag": _dag,
    "class_histogram": _class_histogram,
    "example_patterns": _example_patterns,
    "learning_curves": _learning_curves,
    "temperature": _temperature,
    "decoders": _decoders,
    "curriculum": _curriculum,
    "nulls": _nulls,
    "reliability": _reliability,
    "confusion": _confusion,
    "dag_errors": _dag_errors,
    "indexing": _indexing,
    "retrieval": _retrieval,
    "released_coverage": _released(plot_released.coverage, "coverage", "answered"),
    "released_mistakes": _released(plot_released.mistakes, "mistakes"),
    "simulator": _simulator,
    "simulator_cost": _simulator_cost,
    "crystal_statistics": _crystal_statistics,
}
