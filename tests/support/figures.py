"""What is written in a figure."""

import matplotlib

matplotlib.use("Agg")


def texts(figure):
    """All texts of a figure, joined."""
    return "\n".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))
