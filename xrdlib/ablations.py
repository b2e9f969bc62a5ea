"""What each part of the model and of its training is worth: one change at a time, equal patterns.

Every variant learns from scratch unless it says otherwise, on the stream of stage 2; its
temperature, prior weight and fusion are fitted on calibration patterns.
"""

from . import outcomes, priors, stages, study
from .experiment import stage2_stream
from .groups import N_SPACE_GROUPS
from .space_group_target import collapse, space_group_stream
from .study import Training

BASE = "as it is"
# Of the physics that the paper is about; these are trained with every seed, the others with two.
PHYSICS = {
    BASE: {},
    "no coordinate channel": {"model": {"coordinate_channel": False}},
    "no physics position": {"model": {"physics_position": False}},
    "neither": {"model": {"coordinate_channel": False, "physics_position": False}},
    "no rule head": {"model": {"rule_head": False}},
}
SHAPE = {
    "patches of 1 degree": {"model": {"stem": "patch", "patch": 25}},
    "half the width": {"model": {"width": 48}},
    "230 space groups": {"model": {"rule_head": False, "classes": 230}},
}
DATA = {
    "random crystals alone": {"changes": {"stage2": {"random_share": 1.0}}},
    "minerals alone": {"changes": {"stage2": {"random_share": 0.0}}},
    "no texture": {"changes": {"stage2": {"realism": {"no_texture": 1.0}}}},
}
# The paper's second stage starts from the balanced first one.
CURRICULUM = {
    "after stage 1: no texture": {
        "start": "stage1",
        "changes": {"stage2": {"realism": {"no_texture": 1.0}}},
    },
    "after stage 1: all textured": {
        "start": "stage1",
        "changes": {"stage2": {"realism": {"no_texture": 0.0}}},
    },
    "after stage 1: mixed": {"start": "stage1"},
}
VARIANTS = PHYSICS | SHAPE | DATA | CURRICULUM
# Variants that are also compared with another than the base.
PAIRS = {
    "230 space groups": "no rule head",
    "after stage 1: no texture": "after stage 1: mixed",
    "after stage 1: all textured": "after stage 1: mixed",
}
_FEWER = 2


def trainings(config):
    """All trainings of the study, seed by seed.

    Returns
    -------
    list of study.Training
    """
    section = config.studies.ablations
    found = []
    for number in range(section.seeds):
        for name in VARIANTS if number < _FEWER else PHYSICS:
            change = VARIANTS[name]
            whole = change.get("model", {}).get("classes") == N_SPACE_GROUPS
            stream = space_group_stream if whole else stage2_stream
            found.append(Training(name, number, section.patterns, stream, **change))
    return found


def train_one(config, training, look=False):
    """Model, history and stream of one training, see `study.run`."""
    return study.run(config, "ablations", training, look=look)


def predictions(config, sets, prior):
    """Evidence of every training on sets, and the calibration chosen for it.

    Parameters
    ----------
    config : namespace
    sets : dict of str to PatternSet
    prior : dict
        results/PROFILE/prior.json.

    Returns
    -------
    list of dict
        training; seconds; precision; evidence, by set (rule, aux) with the training prior
        divided out; calibration.
    """
    chosen_on, found = prior["chosen_on"], []
    for training in trainings(config):
        model, history, stream = train_one(config, training)
        own = stages.training_prior(stream)
        evidence = {}
        for name, patterns in sets.items():
            heads = stages.predict(model, patterns)
            if heads["aux"].shape[1] == N_SPACE_GROUPS:
                heads["aux"] = collapse(heads["aux"])
            evidence[name] = tuple(
                priors.divide_out(heads[head], own) if head in heads else None
                for head in outcomes.HEADS
            )
        fit = outcomes.fit(evidence[chosen_on], sets[chosen_on].label, prior["minerals"])
        about = {"training": training, "seconds": history.seconds, "calibration": fit}
        found.append({**about, "precision": history.precision, "evidence": evidence})
    return found
