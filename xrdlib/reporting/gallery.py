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
    """Draw figures and save them in `paths.figures(profile)` as PNG and SVG.

    Names are keys of `FIGURES`, all of which are drawn by default, or of `STUDIES`. XrdlibError if
    a name is unknown or a result file is missing.
    """
    names = list(names or FIGURES)
    available = FIGURES | STUDIES
    if unknown := sorted(set(names) - set(available)):
        raise XrdlibError(f"No figure {unknown[0]!r}; choose from {', '.join(available)}.")
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
    def from_content(content):
        return draw(content[curve], content["models"][MAIN][setting])

    return from_content


def _main(content):
    return [row for row in content["rows"] if row["subset"] == content["main_subset"]]


def _curriculum(content):
    return plot_scores.curriculum(content["curriculum"], _prior(_main(content)))


def _prior(rows):
    return next(row for row in rows if row["model"] == nulls.PRIOR)


def _calibration_study(content, released):
    same = [row for row in released["rows"] if row["subset"] == content["subset"]]
    return plot_measured.calibration_study(content, _prior(same) if same else None)


def _reliability(released, measured):
    """The released predictor first, where there are measured patterns."""
    own = {FUSED: released["reliability"]} if released["rows"] else {}
    return plot_scores.reliability({**own, **measured["reliability"]})


def _dag_errors(content):
    return (
        plot_errors.dag_errors(content) if content["n_errors"] else style.note("There is no error.")
    )


def _simulator(content):
    comparison = content["comparison"]
    note = comparison["note"]
    return style.note(note) if note else plot_simulator.simulator(comparison)


def _retrieval(content):
    rows = [row for row in content["rows"] if row["subset"] == content["rows"][0]["subset"]]
    return plot_scores.scores(rows) if rows else style.note(_NOT_HERE)


def _released(draw, *keys):
    def from_content(content):
        # Without measured patterns the file has no rows.
        return draw(*(content[key] for key in keys)) if content["rows"] else style.note(_NOT_HERE)

    return from_content


def _examples(content):
    return plot_symmetry.example_patterns(content) if content else style.note(_NOT_HERE)


# Figure: the results whose contents a function takes, and that function.
FIGURES = {
    "dag": (lambda: plot_symmetry.dag(subgroup_dag()),),
    "class_histogram": ("class_histogram", plot_symmetry.class_histogram),
    "example_patterns": ("examples", _examples),
    "learning_curves": ("stage1", "stage2", "resnet", "plain", _learning_curves),
    "temperature": ("calibration", _chosen(plot_scores.temperature, "temperature_curve", "T")),
    "decoders": ("calibration", _chosen(plot_scores.decoders, "fusion_curve", "a")),
    "curriculum": ("measured", _curriculum),
    "nulls": ("measured", lambda content: plot_scores.scores(_main(content))),
    "reliability": ("released", "measured", _reliability),
    "confusion": ("released", _released(plot_errors.confusion, "confusion")),
    "dag_errors": ("dag_errors", _dag_errors),
    "indexing": ("indexing", plot_released.indexing),
    "retrieval": ("retrieval", _retrieval),
    "released_coverage": ("released", _released(plot_released.coverage, "coverage", "answered")),
    "released_mistakes": ("released", _released(plot_released.mistakes, "mistakes")),
    "simulator": ("simulator", _simulator),
    "simulator_cost": (
        "simulator",
        lambda content: plot_simulator.simulator_cost(content["costs"]),
    ),
    "crystal_statistics": (
        "simulator",
        lambda content: plot_simulator.crystal_statistics(content["crystals"]),
    ),
}

STUDIES = {
    "classical": ("classical", plot_information.classical),
    "information": ("information", plot_information.information),
    "attention": ("attention", plot_attention.attention),
    "attention_maps": ("attention", plot_attention.attention_maps),
    "dag_study": ("dag_study", plot_errors.dag_study),
    "positional_probe": ("positional_probe", plot_trainings.positional_probe),
    "scaling": ("scaling", plot_trainings.scaling),
    "ablations": ("ablations", plot_trainings.ablations),
    "positional": ("ablations", plot_trainings.positional),
    "space_group_control": ("scaling", plot_trainings.space_group_control),
    "curriculum_study": ("ablations", plot_trainings.curriculum_study),
    "gap": ("gap", plot_measured.gap),
    "calibration_study": ("calibration_study", "released", _calibration_study),
    "fit_quality": ("difficulty", plot_measured.fit_quality),
}
