"""Made-up predictions."""

import numpy as np


def peaked(guesses, p=0.9):
    """Log-probabilities that give `p` to each row's guess and share the rest equally."""
    rows = np.full((len(guesses), 99), (1 - p) / 98)
    rows[np.arange(len(guesses)), guesses] = p
    return np.log(rows)
