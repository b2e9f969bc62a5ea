"""Space groups with screws and glides, and readers of known skill, for the information studies."""

from itertools import product

import numpy as np

from xrdlib.studies import information, knockouts
from xrdlib.studies.knockouts import KINDS
from xrdlib.symmetry import groups

# P21/c, C2/c, Pnma, P41, I41/a, R-3c, P63, Pa-3, Fd-3m
SPACE_GROUPS = np.array([14, 15, 62, 76, 88, 167, 173, 205, 227])

UNIFORM = np.full(99, 1 / 99)


def readers(n=60):
    """A reader of lattices alone, and one that guesses, on all eight interventions."""
    label = groups.group_of_space_group()[np.resize(SPACE_GROUPS, n)].astype(int) - 1
    votes = information.Votes(label, np.arange(n).astype(str), np.ones(n))
    blind = np.log(np.tile(UNIFORM, (n, 1)))
    sees = information.posterior(information.readings()[information.LATTICE], label, UNIFORM)
    answers = {}
    for lost in product((False, True), repeat=len(KINDS)):
        name = knockouts.title([k for k, gone in zip(KINDS, lost, strict=True) if gone])
        logp = {knockouts.RELEASED: blind if lost[0] else sees, "guess": blind}
        answers[name] = knockouts.Answers(votes, logp)
    return answers
