"""All figures of a profile, drawn from its results."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace

from matplotlib.figure import Figure

from ..base import paths, results
from ..base.errors import XrdlibError
from ..base.results import MAIN
from ..learning import nulls
from ..prediction import style
from ..prediction.evaluate import FUSED
from ..symmetry.dag import subgroup_dag
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

_NOT_HERE = "No measured patterns were at hand."


def draw_from(name: str) -> Callable:
    """Function from a configuration to a figure, a key of `FIGURES` or `STUDIES`."""
    *files, function = (FIGURES | STUDIES)[name]

    def from_files(config):
        return function(*(results.read(config, file) for file in files))

    return from_files


def at_hand(config: SimpleNamespace) -> list[str]:
    """Names of the studies' figures whose results the profile has."""
    return [
        name
        for name, (*files, _) in STUDIES.items()
        if all(results.exists(config, file) for file in files)
    ]


def draw(config: SimpleNamespace, names: Iterable[str] | None = None) -> dict[str, Figure]:
    """Draw and save figures.

    Parameters
    ----------
    names : iterable of str, optional
        Keys of `FIGURES`, all of which are drawn by default, or of `STUDIES`.

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
    known = FIGURES | STUDIES
    if unknown := sorted(set(names) - set(known)):
        raise XrdlibError(f"No figure {unknown[0]!r}; choose from {', '.join(known)}.")
    figures = {name: draw_from(name)(config) for name in names}
    for name, figure in figures.items():
        style.save(figure, paths.figures(config.profile), name)
    return figures


def _learning_curves(*histories):
    names = ("stage 1", "stage 2", "resnet", "plain transformer")
    sets = ("random-crystals", *3 * ("amcsd-calibration",))
    rows = (history["rows"] for history in histories)
    return plot_scores.learning_curves([*zip(names, sets, rows, strict=True)])


def _chosen(draw, curve, setting):
    def from_content(found):
        return draw(found[curve], found["models"][MAIN][setting])

    return from_content


def _main(found):
    return [row for row in found["rows"] if row["subset"] == found["main_subset"]]


def _curriculum(found):
    return plot_scores.curriculum(found["curriculum"], _prior(_main(found)))


def _prior(rows):
    return next(row for row in rows if row["model"] == nulls.PRIOR)


def _calibration_study(found, released):
    same = [row for row in released["rows"] if row["subset"] == found["subset"]]
    return plot_measured.calibration_study(found, _prior(same) if same else None)


def _reliability(released, measured):
    """The released predictor first, where there are measured patterns."""
    own = {FUSED: released["reliability"]} if released["rows"] else {}
    return plot_scores.reliability({**own, **measured["reliability"]})


def _dag_errors(found):
    return plot_errors.dag_errors(found) if found["n_errors"] else style.note("There is no error.")


def _simulator(found):
    comparison = found["comparison"]
    note = comparison["note"]
    return style.note(note) if note else plot_simulator.simulator(comparison)


def _retrieval(found):
    rows = [row for row in found["rows"] if row["subset"] == found["rows"][0]["subset"]]
    return plot_scores.scores(rows) if rows else style.note(_NOT_HERE)


def _released(draw, *keys):
    def from_content(found):
        # Without measured patterns the file has no rows.
        return draw(*(found[key] for key in keys)) if found["rows"] else style.note(_NOT_HERE)

    return from_content


def _examples(found):
    return plot_symmetry.example_patterns(found) if found else style.note(_NOT_HERE)


# Figure: the results whose contents a function takes, and that function.
FIGURES = {
    "dag": (lambda: plot_symmetry.dag(subgroup_dag()),),
    "class_histogram": ("class_histogram", plot_symmetry.class_histogram),
    "example_patterns": ("examples", _examples),
    "learning_curves": ("stage1", "stage2", "resnet", "plain", _learning_curves),
    "temperature": ("calibration", _chosen(plot_scores.temperature, "temperature_curve", "T")),
    "decoders": ("calibration", _chosen(plot_scores.decoders, "fusion_curve", "a")),
    "curriculum": ("measured", _curriculum),
    "nulls": ("measured", lambda found: plot_scores.scores(_main(found))),
    "reliability": ("released", "measured", _reliability),
    "confusion": ("released", _released(plot_errors.confusion, "confusion")),
    "dag_errors": ("dag_errors", _dag_errors),
    "indexing": ("indexing", plot_released.indexing),
    "retrieval": ("retrieval", _retrieval),
    "released_coverage": ("released", _released(plot_released.coverage, "coverage", "answered")),
    "released_mistakes": ("released", _released(plot_released.mistakes, "mistakes")),
    "simulator": ("simulator", _simulator),
    "simulator_cost": ("simulator", lambda found: plot_simulator.simulator_cost(found["costs"])),
    "crystal_statistics": (
        "simulator",
        lambda found: plot_simulator.crystal_statistics(found["crystals"]),
    ),
}

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
    "calibration_study": ("calibration_study", "released", _calibration_study),
    "fit_quality": ("paradox", plot_measured.fit_quality),
}
