"""What the models said of each pattern of a set, as a Parquet table."""

import numpy as np
import pandas as pd

from . import atomic, paths


def write(config, patterns, logp_by_title):
    """Write results/PROFILE/predictions.parquet: truth and the first five groups of each model.

    Parameters
    ----------
    patterns : PatternSet
    logp_by_title : dict of str to ndarray, (n, 99)
        Log-probabilities by the model's title.

    Raises
    ------
    XrdlibError
        If the file cannot be written.
    """
    table = pd.DataFrame(
        {"name": patterns.name, "family": patterns.family, "label": patterns.label + 1}
    )
    for title, logp in logp_by_title.items():
        order = np.argsort(-logp, axis=1, kind="stable")[:, :5]
        for k in range(5):
            table[f"{title} {k + 1}"] = order[:, k] + 1
            table[f"{title} p{k + 1}"] = np.exp(np.take_along_axis(logp, order, 1)[:, k]).round(5)
    with atomic.replacing(paths.results(config.profile) / "predictions.parquet") as file:
        table.to_parquet(file, index=False)
