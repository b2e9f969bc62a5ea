"""All figures of a profile, drawn from its files in results/ alone."""

from . import dag, paths, plots
from .stages import read_json


def draw(config):
    """Draw and save every figure whose data there are.

    Parameters
    ----------
    config : namespace

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        By file name without suffix; in `paths.figures(profile)` as PNG and SVG.

    Raises
    ------
    XrdlibError
        If a result file is missing.
    """
    figures = dict(_drawn(config))
    for name, figure in figures.items():
        plots.save(figure, paths.figures(config.profile), name)
    return figures


def _drawn(config):
    yield "dag", plots.dag(dag.subgroup_dag())
    yield "class_histogram", plots.class_histogram(read_json(config, "class_histogram"))
    examples = read_json(config, "examples")
    absent = "No measured patterns were at hand."
    drawn = plots.example_patterns(examples) if examples else plots.note(absent)
    yield "example_patterns", drawn

    histories = {
        "stage 1": "stage1",
        "stage 2": "stage2",
        "resnet": "resnet",
        "plain transformer": "plain",
    }
    rows = {title: read_json(config, name)["rows"] for title, name in histories.items()}
    yield "learning_curves", plots.learning_curves(rows)

    calibration = read_json(config, "calibration")
    chosen = calibration["models"]["physics transformer"]
    yield "temperature", plots.temperature(calibration["temperature_curve"], chosen["T"])
    yield "decoders", plots.decoders(calibration["fusion_curve"], chosen["a"])

    measured = read_json(config, "measured")
    shown = [row for row in measured["rows"] if row["subset"] == measured["main_subset"]]
    prior = next(row for row in shown if row["model"] == "prior only")
    yield "curriculum", plots.curriculum(measured["curriculum"], prior)
    yield "reliability", plots.reliability(measured["reliability"])
    yield "confusion", plots.confusion(measured["confusion"])
    yield "nulls", plots.nulls(shown)

    errors = read_json(config, "dag_errors")
    drawn = plots.dag_errors(errors) if errors["n_errors"] else plots.note("There is no error.")
    yield "dag_errors", drawn
