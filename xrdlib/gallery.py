"""All figures of a profile, drawn from its files in results/ alone."""

from . import dag, gallery_studies, paths, plots
from .errors import XrdlibError
from .results import MAIN, read

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
        Keys of `FIGURES`, all of which are drawn by default, or of `gallery_studies.STUDIES`.

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
    known = FIGURES | {name: gallery_studies.draw_from(name) for name in gallery_studies.STUDIES}
    if unknown := sorted(set(names) - set(known)):
        raise XrdlibError(f"No figure {unknown[0]!r}; choose from {', '.join(known)}.")
    figures = {name: known[name](config) for name in names}
    for name, figure in figures.items():
        plots.save(figure, paths.figures(config.profile), name)
    return figures


def _dag(config):
    return plots.dag(dag.subgroup_dag())


def _class_histogram(config):
    return plots.class_histogram(read(config, "class_histogram"))


def _example_patterns(config):
    examples = read(config, "examples")
    if not examples:
        return plots.note("No measured patterns were at hand.")
    return plots.example_patterns(examples)


def _learning_curves(config):
    return plots.learning_curves(
        {title: read(config, name)["rows"] for title, name in _HISTORIES.items()}
    )


def _temperature(config):
    found = read(config, "calibration")
    return plots.temperature(found["temperature_curve"], found["models"][MAIN]["T"])


def _decoders(config):
    found = read(config, "calibration")
    return plots.decoders(found["fusion_curve"], found["models"][MAIN]["a"])


def _main_rows(config):
    found = read(config, "measured")
    return found, [row for row in found["rows"] if row["subset"] == found["main_subset"]]


def _curriculum(config):
    found, rows = _main_rows(config)
    prior = next(row for row in rows if row["model"] == "prior only")
    return plots.curriculum(found["curriculum"], prior)


def _nulls(config):
    return plots.nulls(_main_rows(config)[1])


def _reliability(config):
    return plots.reliability(read(config, "measured")["reliability"])


def _confusion(config):
    return plots.confusion(read(config, "measured")["confusion"])


def _dag_errors(config):
    found = read(config, "dag_errors")
    return plots.dag_errors(found) if found["n_errors"] else plots.note("There is no error.")


def _simulator(config):
    comparison = read(config, "simulator")["comparison"]
    note = comparison["note"]
    return plots.note(note) if note else plots.simulator(comparison)


def _simulator_cost(config):
    return plots.simulator_cost(read(config, "simulator")["costs"])


def _crystal_statistics(config):
    return plots.crystal_statistics(read(config, "simulator")["crystals"])


def _indexing(config):
    return plots.indexing(read(config, "indexing"))


def _retrieval(config):
    rows = read(config, "retrieval")["rows"]
    if not rows:
        return plots.note("No measured patterns were at hand.")
    return plots.nulls([row for row in rows if row["subset"] == rows[0]["subset"]])


def _released(draw, *keys):
    def from_file(config):
        found = read(config, "released")
        # Without measured patterns the file has no rows.
        if not found["rows"]:
            return plots.note("No measured patterns were at hand.")
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
    "released_coverage": _released(plots.coverage, "coverage", "answered"),
    "released_mistakes": _released(plots.mistakes, "mistakes"),
    "simulator": _simulator,
    "simulator_cost": _simulator_cost,
    "crystal_statistics": _crystal_statistics,
}
