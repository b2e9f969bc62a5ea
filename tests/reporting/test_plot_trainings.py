"""The figure of the study of scaling."""

import matplotlib

from xrdlib.reporting import plot_trainings

matplotlib.use("Agg")


def test_the_scaling_figure_has_a_dot_for_each_training():
    scores = {"top1": 5.0, "nll": 4.0, "curve": []}
    rows = [
        {"model": m, "seed": k, "patterns": n, "seconds": n / 9, **scores}
        for m in ("physics transformer", "resnet")
        for k in (0, 1)
        for n in (10, 100)
    ]
    fit = {"a": 5.0, "b": 0.1, "b_range": [0.1, 0.1]}
    content = {"rows": rows, "n": 7, "null": {"top1": 1.0, "nll": 4.6}}
    content["fits"] = {"physics transformer": fit, "resnet": fit}
    figure = plot_trainings.scaling(content)
    dots = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", None, "")]
    assert sorted(len(line.get_xdata()) for line in dots) == [4, 4]
    assert "n = 7" in figure.get_suptitle()
