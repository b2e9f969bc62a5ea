"""One self-contained HTML page about many patterns; nothing in it comes from the network."""

import base64
import io
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from .. import __version__
from ..base.errors import XrdlibError
from ..identification.cell_evidence import evidence
from ..symmetry import groups
from . import plots
from .answer import FLAGS, posterior, ranking
from .attribution import attribute, match
from .style import in_style
from .text import percent, sentences

_TEMPLATES = Path(__file__).with_name("templates")

_COMPARED = 5  # groups of each prior that the effect of the prior is shown for

_CANDIDATES = 5  # groups whose lines are compared

_LISTED = 25  # decisive lines in the table


def write(path, predictor, answered, request, problems=()):
    """Write the report.

    Parameters
    ----------
    path : path-like
    predictor : predict.Predictor
    answered : sequence of (dict, read.Pattern)
        Answers as from `answer.answer`, and what they are about.
    request : answer.Request
        What was asked.
    problems : sequence of str
        Sentences about files that could not be answered.

    Raises
    ------
    XrdlibError
        If the file cannot be written.
    """
    files = [
        {"answer": found, "section": section(predictor, found, pattern, request)}
        for found, pattern in answered
    ]
    page = (
        _environment()
        .get_template("report.html")
        .render(files=files, problems=problems, style=style(), version=__version__)
    )
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        raise XrdlibError(f"The report {path} cannot be written: {error.strerror}.") from None


def section(predictor, found, pattern, request):
    """What the report says about one pattern, as a fragment of HTML.

    Parameters
    ----------
    predictor : predict.Predictor
    found : dict
        From `answer.answer`.
    pattern : read.Pattern
    request : answer.Request

    Returns
    -------
    markupsafe.Markup
        To stand inside an element of class "xrdlib", see `style`.
    """
    from markupsafe import Markup

    two_theta, intensity = (np.asarray(x) for x in (pattern.two_theta, pattern.intensity))
    flags = [FLAGS[flag] for flag in found["flags"]]
    first, *others = (sentence for sentence in sentences(found) if sentence not in flags)
    lines, evidence_ = _evidence(found, two_theta, intensity, request)
    text = (
        _environment()
        .get_template("section.html")
        .render(
            answer=found,
            flags=flags,
            sentences=[f"{first} {_promise(predictor, found, request)}", *others],
            points=len(two_theta),
            first=two_theta.min(),
            last=two_theta.max(),
            prior=_prior_name(request.prior),
            match=_match(predictor, found, two_theta, intensity),
            effect=_effect(predictor, found, pattern, request),
            evidence=evidence_,
            attribution=_attribution(predictor, found, two_theta, intensity, lines),
        )
    )
    # The template has escaped what it was given.
    return Markup(text)


def fragment(title, section="", problem=None):
    """A section with its style, to stand alone in a notebook; or a problem in its place.

    Parameters
    ----------
    title : str
    section : markupsafe.Markup
        From `section`.
    problem : str or Exception, optional

    Returns
    -------
    str
        HTML.
    """
    template = _environment().get_template("fragment.html")
    return template.render(style=style(), title=title, section=section, problem=problem)


def style():
    """The style sheet of the report, as markup."""
    from markupsafe import Markup

    return Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))


def picture(figure):
    """A figure as a data URI that an image can show; the figure is closed."""
    stream = io.BytesIO()
    with in_style():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode()


def _effect(predictor, found, pattern, request):
    """Rankings under the prior that was asked for, the minerals' and a uniform one."""
    priors = {_prior_name(request.prior): request.prior}
    priors |= {name: name for name in ("minerals", "uniform")}
    all_ = [
        posterior(predictor, pattern, found["wavelength"], prior, found["flags"], request.cell)[0]
        for prior in priors.values()
    ]
    shown = {row["group"]: row for p in all_ for row in ranking(p, _COMPARED)}
    rows = [
        {**row, "probabilities": [float(p[label - 1]) for p in all_]}
        for label, row in shown.items()
    ]
    rows.sort(key=lambda row: -row["probabilities"][0])
    return {"names": list(priors), "rows": rows}


def _promise(predictor, found, request):
    """What the coverage of the set means."""
    often = f"{100 * found['coverage']:g} %"
    if "no_peaks" in found["flags"]:
        return f"It holds {often} of the prior."
    if not predictor.metadata.get("conformal"):
        return f"It holds {often} of the probability."
    if request.prior == "minerals":
        return (
            f"The set is conformal: made in this way, sets hold the true group of {often} of "
            "mineral families not met before, under the default prior."
        )
    return (
        f"The set is conformal, but calibrated under the default prior: that it holds the true "
        f"group of {often} of mineral families not met before is not promised under this one."
    )


def _match(predictor, found, two_theta, intensity):
    """The pattern, above the lines of the nearest known structure where there is one."""
    if found["nearest"] is None:
        return {"picture": picture(plots.pattern(two_theta, intensity))}
    near = match(predictor.retrieval, two_theta, intensity, found["wavelength"])
    return {
        "picture": picture(plots.match(two_theta, intensity, near)),
        "computed": near.computed,
        "stretch": 100 * near.stretch,
        "peaks": len(near.peaks),
        "explained": int(near.explained.sum()),
    }


def _attribution(predictor, found, two_theta, intensity, lines):
    """What the network reads of the pattern; None where there are no two groups to tell apart."""
    first, *others = (row["group"] for row in found["predictions"])
    classes = groups.diffraction_classes()
    others = [label for label in others if classes[label - 1] != classes[first - 1]]
    if not others or "no_peaks" in found["flags"]:
        return None
    parts = attribute(predictor, two_theta, intensity, found["wavelength"], first, others[0])
    return {
        "picture": picture(plots.attribution(two_theta, intensity, parts, lines)),
        "first": _named([parts.first]),
        "second": _named([parts.second]),
        "prefers": _named([parts.first if parts.log_odds > 0 else parts.second]),
        "log_odds": parts.log_odds,
        "without_lines": parts.without_lines,
        "ticks": lines is not None and bool(lines.candidates),
    }


def _evidence(found, two_theta, intensity, request):
    """Lines of the cell, and what is told of them; None where no cell is given."""
    if request.cell is None:
        return None, None
    labels = [row["group"] for row in found["predictions"][:_CANDIDATES]]
    cell = ", ".join(f"{value:g}" for value in request.cell)
    shown = {"cell": cell, "problems": [], "picture": None}
    try:
        lines = evidence(two_theta, intensity, found["wavelength"], request.cell, labels)
    except XrdlibError as problem:
        return None, shown | {"problems": [str(problem)]}
    symbols = groups.symbols()
    if lines.impossible:
        named = ", ".join(f"{symbols[k - 1]} ({k})" for k in lines.impossible)
        shown["problems"] = [f"Not of the crystal system of this cell: {named}."]
    if not lines.candidates:
        return lines, shown
    decisive = [
        {
            "hkl": " ".join(map(str, lines.hkl[k].tolist())),
            "two_theta": lines.two_theta[k],
            "d": lines.d[k],
            "seen": lines.seen[k],
            "allowed": _named(c.label for c in lines.candidates if c.state[k] == 1),
            "forbidden": _named(c.label for c in lines.candidates if c.state[k] < 1),
        }
        for k in lines.decisive[:_LISTED]
    ]
    candidates = [
        {
            "label": c.label,
            "symbol": symbols[c.label - 1],
            "conditions": c.conditions,
            "contradicted": int(c.contradicted.sum()),
            "allowed": int((c.state[lines.decisive] == 1).sum()),
            "seen": int(((c.state == 1) & lines.seen)[lines.decisive].sum()),
        }
        for c in lines.candidates
    ]
    return lines, shown | {
        "picture": picture(plots.evidence(two_theta, intensity, lines)),
        "candidates": candidates,
        "decisive": decisive,
        "more": len(lines.decisive) - len(decisive),
    }


def _named(labels):
    return ", ".join(f"{groups.symbols()[k - 1]} ({k})" for k in labels)


def _prior_name(prior):
    if isinstance(prior, str):
        return prior
    items = prior.items() if hasattr(prior, "items") else prior
    return ", ".join("=".join(map(str, i)) if isinstance(i, tuple) else str(i) for i in items)


@cache
def _environment():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["percent"] = percent
    environment.filters["symbol"] = groups.reference_symbol
    return environment
