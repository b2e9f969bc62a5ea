"""What the paper's authors published of their 325 measured cases: a grade and five predictions.

The patterns themselves and the other 94 probabilities were not published, so nothing that needs a
whole distribution can be computed exactly; see `studies.temperature` for what can.
"""

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..base.errors import XrdlibError
from ..symmetry.groups import N_GROUPS
from . import datasets

N_TOP = 5
SEVERITIES = ("usable_or_better", "recoverable")  # of the fit, best first
NAME = "RRUFF-325"


@dataclass(frozen=True)
class Published:
    """n cases with what was published of each."""

    case_id: np.ndarray  # (n,) str
    mineral: np.ndarray  # (n,) str
    family: np.ndarray  # (n,) str: patterns that are alike share one; here the mineral's name
    label: np.ndarray  # (n,) int64: true class 0..98
    rwp: np.ndarray  # (n,) float64: weighted-profile residual of the fit, a fraction; small is good
    severity: np.ndarray  # (n,) str: published grade of the fit, of `SEVERITIES`
    top: np.ndarray  # (n, 5) int64: classes 0..98 in the published order
    probability: np.ndarray  # (n, 5) float64: of these, not increasing along a row

    def __len__(self) -> int:
        return len(self.label)

    def hits(self, k: int) -> np.ndarray:
        """Whether the true class is among the first k predictions, (n,) bool; k of 1 to 5."""
        return (self.top[:, :k] == self.label[:, None]).any(axis=1)


def load_published(path: str | os.PathLike | None = None) -> Published:
    """The published cases, from the table in the data folder or another of its layout.

    Raises
    ------
    datasets.MissingData
        If the table is not on this machine.
    XrdlibError
        If it is damaged, or a value makes no sense.
    """
    path = datasets.path("rruff325") if path is None else path
    top, probability = ([f"published_{k}{i}" for i in range(1, N_TOP + 1)] for k in ("top", "prob"))
    try:
        table = pd.read_csv(path, keep_default_na=False, float_precision="round_trip")
        mineral = table["mineral"].to_numpy(str)
        cases = Published(
            case_id=table["case_id"].to_numpy(str),
            mineral=mineral,
            family=mineral,
            label=table["extinction_group"].to_numpy(np.int64) - 1,
            rwp=table["rwp"].to_numpy(float),
            severity=table["severity"].to_numpy(str),
            top=table[top].to_numpy(np.int64) - 1,
            probability=table[probability].to_numpy(float),
        )
    except FileNotFoundError:
        raise datasets.MissingData(f"{path} does not exist.") from None
    except (OSError, KeyError, ValueError) as error:
        raise XrdlibError(
            f"{path} is not a readable table of published predictions ({error}); get it again."
        ) from None
    if problem := _problem(cases):
        raise XrdlibError(f"{path}: {problem}; get the table again.")
    return cases


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
