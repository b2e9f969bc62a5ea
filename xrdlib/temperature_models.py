"""Evidence of every predictor whose temperature is studied, and the study of all of them."""

import numpy as np

from . import calibrate, outcomes, priors, results, stages
from .experiment import HELD_OUT, MEASURED, load_predictions, load_sets
from .patterns import GRID
from .temperature_study import RATIO, WAYS, model, ways

RELEASED, FIRST = "released network", "stage 1 alone"


def study(config, predictor, measured_sets):
    """Temperatures of the released network and of a profile's models, under each prior.

    Parameters
    ----------
    config : namespace
    predictor : predict.Predictor
        The released one, without retrieval; it is left out on simulated minerals, which it knows.
    measured_sets : dict of str to rruff.Measured
        As from `released.measured`; empty where there are none, and held-out minerals serve.

    Returns
    -------
    dict
        "chosen_on", "subset", "n", "n_families" (of the test set) and "models": by predictor and
        way, each as from `temperature_study.model`.
    """
    sets = load_sets(config, (*MEASURED, *HELD_OUT))
    names = MEASURED if set(MEASURED) <= set(sets) else HELD_OUT
    sets = {name: sets[name] for name in names}
    measured_sets = measured_sets if names == MEASURED else {}
    prior = results.read(config, "prior")
    minerals, null = outcomes.told_of(names[1], prior)
    found = {}
    for title, (evidence, train) in _evidence(config, predictor, measured_sets, sets).items():
        parts = {name: ways(evidence[name], train, minerals) for name in names}
        found[title] = {
            way: model(
                *((*parts[name][way], sets[name].label, sets[name].family) for name in names),
                null,
                config.evaluate.bootstrap,
                config.seed,
            )
            for way in WAYS
        }
        for way in set(WAYS) - {RATIO}:
            del found[title][way]["reliability"]  # shown for the ratio alone
    test = sets[names[1]]
    return {
        "chosen_on": names[0],
        "subset": names[1],
        "n": len(test),
        "n_families": len(set(test.family)),
        "models": found,
    }


def _evidence(config, predictor, measured_sets, sets):
    """Evidence by set, and training prior, of each predictor."""
    found = {}
    if measured_sets:
        own = {
            name: predictor.evidence(GRID.two_theta, patterns.intensity).evidence
            for name, patterns in measured_sets.items()
        }
        found[RELEASED] = own, np.array(predictor.metadata["training_prior"])
    a = results.read(config, "calibration")["models"][outcomes.MAIN]["a"]
    for title, name in outcomes.MODELS.items():
        heads = outcomes.evidence(config, title, sets)
        train = np.array(stages.load_model(config, name)[1]["training_prior"])
        found[title] = {key: calibrate.fuse(*h, a) for key, h in heads.items()}, train
    # Trained on balanced random crystals of good quality: what realism is worth to the sharpness.
    train = np.array(stages.load_model(config, "stage1")[1]["training_prior"])
    own = {name: load_predictions(config, "stage1", name)["aux"] for name in sets}
    found[FIRST] = {name: priors.divide_out(p, train) for name, p in own.items()}, train
    return found
