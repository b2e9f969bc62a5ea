"""The table of what each model said of each pattern."""

import numpy as np
import pandas as pd
import pytest
from made_up_models import NAMES, PRIOR, TITLES, N, a_set, train

from xrdlib.base import paths
from xrdlib.learning import outcomes


@pytest.fixture
def cfg(cfg):
    return train(cfg)


@pytest.fixture
def sets(cfg):
    return {name: a_set(name) for name in NAMES}


def test_predictions_are_written_with_the_first_five_groups_of_each_model(cfg, sets):
    patterns = sets["rruff-test"]
    logp = {t: s["rruff-test"] for t, s in outcomes.calibrated(cfg, sets, TITLES, PRIOR).items()}
    outcomes.write(cfg, patterns, logp)
    table = pd.read_parquet(paths.results("tiny") / "predictions.parquet")
    assert list(table["name"]) == list(patterns.name)
    assert (table["label"] == patterns.label + 1).all() and table["label"].between(1, 99).all()
    for title in TITLES:
        assert (table[f"{title} 1"] == logp[title].argmax(1) + 1).all()
        p = table[[f"{title} p{k}" for k in range(1, 6)]].to_numpy()
        assert (np.diff(p, axis=1) <= 0).all() and (p.sum(1) <= 1 + 1e-4).all()
        third = table[f"{title} 3"].to_numpy() - 1
        assert np.allclose(p[:, 2], np.exp(logp[title])[np.arange(N), third], atol=6e-6)
