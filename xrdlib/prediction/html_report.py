"""One self-contained HTML page about many patterns; nothing in it comes from the network."""

import base64
import io
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from .. import __version__
from ..base.errors import XrdlibError
from ..identification.cell_evidence import evidence
from ..symmetry import groups
from ..symmetry.cells import on_conventional_axes
from . import plots
from .answer import Request, ranking, reweighed
from .attribution import attribute, match
from .style import in_style
from .text import named_groups, percent, sentences, warnings, write_text

_TEMPLATES = Path(__file__).with_name("templates")
_ON_ONE_PAGE = 10  # files; more get a page each
_COMPARED = 5  # groups of each prior that the effect of the prior is shown for
_CANDIDATES = 5  # groups whose reflections are compared
_LISTED = 25  # decisive reflections in the table


def write(
    path: str | Path, answered: Sequence[tuple[dict, str]], problems: Sequence[str] = ()
) -> None:
    """Write the report: one page, or for many files a table and a folder with a page for each.

    Parameters
    ----------
    path : path-like
        The folder is called as it, with "_files" in place of the suffix.
    answered : sequence of (dict, str)
        Answers as from `answer.answer`, and their `section`.
    problems : sequence of str
        Sentences about files that could not be answered.

    Raises
    ------
    XrdlibError
        If a file cannot be written.
    """
    path, folder = Path(path), None
    files = [{"answer": answer, "section": section} for answer, section in answered]
    if len(files) > _ON_ONE_PAGE:
        folder = path.with_name(f"{path.stem}_files")
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise XrdlibError(f"{folder} cannot be made: {error.strerror}.") from None
        for number, file in enumerate(files, 1):
            file["page"] = f"{folder.name}/{number:04}.html"
            _write_page(path.with_name(folder.name) / f"{number:04}.html", [file])
    _write_page(path, files, problems, separate=folder is not None)


def _write_page(path, files, problems=(), separate=False):
    content = {"files": files, "problems": problems, "separate": separate}
    page = rendered("report.html", **content, style=style(), version=__version__)
    write_text(path, page)


def section(predictor, answer: dict, probability: np.ndarray, pattern, request: Request):
    """What the report says about one pattern, as HTML for an element of class "xrdlib".

    Parameters
    ----------
    predictor : predictor.Predictor
    answer, probability
        From `answer.examine`.
    pattern : reading.pattern.Pattern
    request : answer.Request

    Returns
    -------
    markupsafe.Markup
    """
    from markupsafe import Markup

    predictor = predictor.knowing(request.elements, request.library)
    two_theta, intensity = (np.asarray(x) for x in (pattern.two_theta, pattern.intensity))
    flags = warnings(answer)
    first, *others = (sentence for sentence in sentences(answer) if sentence not in flags)
    reflections, shown = _evidence(answer, two_theta, intensity, request)
    text = rendered(
        "section.html",
        answer=answer,
        flags=flags,
        sentences=[f"{first} {_promise(predictor, answer, request)}", *others],
        points=len(two_theta),
        first=two_theta.min(),
        last=two_theta.max(),
        prior=_prior_name(request.prior),
        match=_match(predictor, answer, two_theta, intensity),
        effect=_effect(predictor, probability, request),
        evidence=shown,
        attribution=_attribution(predictor, answer, two_theta, intensity, reflections),
    )
    # The template has escaped what it was given.
    return Markup(text)


def fragment(title: str, section: str = "", problem: str | Exception | None = None) -> str:
    """A section with its style, to stand alone in a notebook; or a problem in its place."""
    return rendered("fragment.html", style=style(), title=title, section=section, problem=problem)


def rendered(template: str, **values) -> str:
    """A template of this package, filled; values are escaped unless they are markup."""
    return _environment().get_template(template).render(**values)


def style() -> str:
    """The style sheet of the report, as markup."""
    from markupsafe import Markup

    return Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))


def picture(figure: plt.Figure) -> str:
    """A figure as a data URI that an image can show; the figure is closed."""
    stream = io.BytesIO()
    with in_style():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    # Hundredths of a point are finer than any screen, and curves a third shorter.
    drawn = re.sub(
        rb' d="[^"]*"', lambda d: re.sub(rb"(\.\d\d)\d+", rb"\1", d[0]), stream.getvalue()
    )
    return "data:image/svg+xml;base64," + base64.b64encode(drawn).decode()


def _effect(predictor, probability, request):
    """Rankings under the prior that was asked for, the minerals' and a uniform one."""
    priors = {_prior_name(request.prior): request.prior}
    priors |= {name: name for name in ("minerals", "uniform")}
    all_ = [reweighed(predictor, probability, request.prior, prior) for prior in priors.values()]
    shown = {row["group"]: row for p in all_ for row in ranking(p, _COMPARED)}
    rows = [
        {**row, "probabilities": [float(p[label - 1]) for p in all_]}
        for label, row in shown.items()
    ]
    rows.sort(key=lambda row: -row["probabilities"][0])
    return {"names": list(priors), "rows": rows}


def _promise(predictor, answer, request):
    """What the coverage of the set means."""
    often = f"{100 * answer['coverage']:g} %"
    if "no_peaks" in answer["flags"]:
        return f"It holds {often} of the prior."
    if not predictor.metadata.get("conformal"):
        return f"It holds {often} of the probability."
    families = f"the true group of {often} of mineral families not met before"
    if request.prior == "minerals":
        return f"The set is conformal: such sets hold {families}, under the default prior."
    return f"The set is conformal, but that it holds {families} is not promised under this prior."


def _match(predictor, answer, two_theta, intensity):
    """The pattern, above the reflections of the nearest known structure if there is one."""
    if answer["nearest"] is None:
        return {"picture": picture(plots.pattern(two_theta, intensity))}
    near = match(predictor.retrieval, two_theta, intensity, answer["wavelength"])
    return {
        "picture": picture(plots.match(two_theta, intensity, near)),
        "computed": near.computed,
        "scaling": 100 * near.cell_scaling,
        "peaks": len(near.peaks),
        "indexed": int(near.indexed.sum()),
    }


def _attribution(predictor, answer, two_theta, intensity, reflections):
    """What the network reads of the pattern; None where there are no two groups to tell apart."""
    first, *others = (row["group"] for row in answer["predictions"])
    classes = groups.diffraction_classes()
    others = [label for label in others if classes[label - 1] != classes[first - 1]]
    if not others or "no_peaks" in answer["flags"]:
        return None
    parts = attribute(predictor, two_theta, intensity, answer["wavelength"], first, others[0])
    return {
        "picture": picture(plots.attribution(two_theta, intensity, parts, reflections)),
        "first": _named([parts.first]),
        "second": _named([parts.second]),
        "prefers": _named([parts.first if parts.log_odds > 0 else parts.second]),
        "log_odds": parts.log_odds,
        "without_peaks": parts.without_peaks,
        "ticks": reflections is not None and bool(reflections.candidates),
    }


def _evidence(answer, two_theta, intensity, request):
    """Reflections of the cell, and what is shown of them; None where no cell is given."""
    if request.cell is None:
        return None, None
    labels = [row["group"] for row in answer["predictions"][:_CANDIDATES]]
    cell = on_conventional_axes(request.cell)
    shown = {"cell": ", ".join(f"{value:.6g}" for value in cell), "problems": [], "picture": None}
    try:
        reflections = evidence(two_theta, intensity, answer["wavelength"], cell, labels)
    except XrdlibError as problem:
        return None, shown | {"problems": [str(problem)]}
    if reflections.impossible:
        shown["problems"] = [
            f"Not of the crystal system of this cell: {named_groups(reflections.impossible)}."
        ]
    if not reflections.candidates:
        return reflections, shown
    shown["picture"] = picture(plots.evidence(two_theta, intensity, reflections))
    shown["more"] = len(reflections.decisive) - _LISTED
    shown["decisive"] = [
        {
            "hkl": " ".join(map(str, reflections.hkl[k].tolist())),
            **{key: getattr(reflections, key)[k] for key in ("two_theta", "d", "seen")},
            "allowed": _named(c.label for c in reflections.candidates if c.state[k] == 1),
            "forbidden": _named(c.label for c in reflections.candidates if c.state[k] < 1),
        }
        for k in reflections.decisive[:_LISTED]
    ]
    shown["candidates"] = [
        {
            "label": c.label,
            "symbol": groups.symbols()[c.label - 1],
            "conditions": c.conditions,
            "contradicted": int(c.contradicted.sum()),
            "allowed": int((c.state[reflections.decisive] == 1).sum()),
            "seen": int(((c.state == 1) & reflections.seen)[reflections.decisive].sum()),
        }
        for c in reflections.candidates
    ]
    return reflections, shown


def _named(labels):
    return ", ".join(f"{groups.symbols()[k - 1]} (eg{k})" for k in labels)


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
