"""What the paper's authors published of their 325 measured cases: a grade and five predictions.

The patterns themselves and the other 94 probabilities were not published, so nothing that needs a
whole distribution can be computed exactly; see `studies.temperature` for what can.
"""

import csv
import os
from dataclasses import dataclass

import numpy as np

from ..base.errors import XrdlibError
from ..symmetry.groups import N_GROUPS
from . import datasets

N_TOP = 5

SEVERITIES = ("usable_or_better", "recoverable")  # of the fit, best first

NAME = "RRUFF-325"


@dataclass(frozen=True)
class Published:
    """n cases with what was published of each.

    Attributes
    ----------
    case_id, mineral : ndarray, (n,) str
    family : ndarray, (n,) str
        Patterns that are alike share one: here the mineral's name.
    label : ndarray, (n,) int64
        True class 0..98.
    rwp : ndarray, (n,) float64
        Weighted-profile residual of the published fit, a fraction; small is a good fit.
    severity : ndarray, (n,) str
        Published grade of the fit, of `SEVERITIES`.
    top : ndarray, (n, 5) int64
        Classes 0..98 in the published order.
    probability : ndarray, (n, 5) float64
        Their probabilities, not increasing along a row.
    """

    case_id: np.ndarray
    mineral: np.ndarray
    family: np.ndarray
    label: np.ndarray
    rwp: np.ndarray
    severity: np.ndarray
    top: np.ndarray
    probability: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def hits(self, k: int) -> np.ndarray:
        """Whether the true class is among the first k predictions, (n,) bool; k of 1 to 5."""
        return (self.top[:, :k] == self.label[:, None]).any(axis=1)


def load_published(path: str | os.PathLike | None = None) -> Published:
    """The published cases.

    Parameters
    ----------
    path : path-like, optional
        A table of the layout of rruff325_cases.csv; by default the one in the data folder.

    Returns
    -------
    Published

    Raises
    ------
    datasets.MissingData
        If the table is not on this machine.
    XrdlibError
        If it is damaged, or a value makes no sense.
    """
    path = datasets.path("rruff325") if path is None else path
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        mineral = np.array([row["mineral"] for row in rows], dtype=str)
        found = Published(
            case_id=np.array([row["case_id"] for row in rows], dtype=str),
            mineral=mineral,
            family=mineral,
            label=np.array([int(row["extinction_group"]) for row in rows]) - 1,
            rwp=np.array([float(row["rwp"]) for row in rows]),
            severity=np.array([row["severity"] for row in rows], dtype=str),
            top=_five(rows, "published_top", int) - 1,
            probability=_five(rows, "published_prob", float),
        )
    except FileNotFoundError:
        raise datasets.MissingData(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise XrdlibError(
            f"{path} is not a readable table of published predictions ({error}); get it again."
        ) from None
    if problem := _problem(found):
        raise XrdlibError(f"{path}: {problem}; get the table again.")
    return found


def _five(rows, column, kind):
    """(n, 5) values of the numbered columns of one name."""
    return np.array([[kind(row[f"{column}{k}"]) for k in range(1, N_TOP + 1)] for row in rows])


def _problem(cases):
    """What is wrong with a table, or ""."""
    if len(cases) == 0:
        return "it holds no case"
    classes = np.column_stack([cases.label, cases.top])
    if classes.min() < 0 or classes.max() >= N_GROUPS:
        return f"extinction groups must lie between 1 and {N_GROUPS}"
    if (np.diff(np.sort(cases.top, axis=1), axis=1) == 0).any():
        return "the five predicted groups of a case must differ"
    # Written so that a value that is no number fails too.
    p = cases.probability
    if not ((p > 0).all() and (p.sum(axis=1) <= 1 + 1e-3).all() and (np.diff(p) <= 0).all()):
        return "probabilities must be positive, in falling order, and sum to 1 at most"
    if not (np.isfinite(cases.rwp).all() and (cases.rwp >= 0).all()):
        return "Rwp must be a number of at least 0"
    if not np.isin(cases.severity, SEVERITIES).all():
        return f"severity must be one of {', '.join(SEVERITIES)}"
    return ""
