"""The ruler of trained networks beside that of untrained ones of the same shape."""

from dataclasses import asdict, replace

import numpy as np

from .baselines import build
from .ruler import TARGETS, measure

# Where a network may have its ruler from; the last one has none but its random embedding.
VARIANTS = {
    "as built": {},
    "no physics embedding": {"physics_position": False},
    "no coordinate channel": {"coordinate_channel": False},
    "neither": {"physics_position": False, "coordinate_channel": False},
}


def compare(title, model, x, seeds=19, variant_seeds=3, seed=0):
    """Probes of one trained network, and of untrained ones with and without each source.

    Parameters
    ----------
    title : str
    model : model.PhysicsTransformer
        Trained.
    x : Tensor, (B, size)
        Network input.
    seeds, variant_seeds : int
        Untrained networks as the trained one is built, and of each other variant. To be beyond all
        of 19 has a chance of one in twenty.

    Returns
    -------
    dict
        "network", "patterns", "tokens", "token_width" (degrees), "trained" (rows of
        `ruler.measure`), "untrained" (dict by variant of rows with mean, lowest and highest value
        over seeds), "verdict" (dict by target).
    """
    trained = measure(model, x, seed=seed)
    shape = model.config
    untrained = {}
    for name, changes in VARIANTS.items():
        count = seeds if not changes else variant_seeds
        fresh = (
            build("physics", asdict(replace(shape, **changes)), seed + k) for k in range(count)
        )
        untrained[name] = over_seeds([measure(network, x, n_boot=2) for network in fresh])
    return {
        "network": title,
        "patterns": len(x),
        "tokens": model.tokens,
        "token_width": model.token_points * shape.grid[1],
        "trained": trained,
        "untrained": untrained,
        "verdict": verdict(trained, untrained["as built"]),
    }


def over_seeds(runs):
    """Mean, lowest and highest score over networks.

    Parameters
    ----------
    runs : list of list of dict
        Rows of `ruler.measure`, a list a network, all of one shape.

    Returns
    -------
    list of dict
        "place", "target", "seeds", and for "r2" and "rmse" the mean and "_range" [low, high].
    """
    rows = []
    for same in zip(*runs, strict=True):
        row = {"place": same[0]["place"], "target": same[0]["target"], "seeds": len(same)}
        for key in ("r2", "rmse"):
            values = [one[key] for one in same]
            row |= {key: float(np.mean(values)), f"{key}_range": [min(values), max(values)]}
        rows.append(row)
    return rows


def verdict(trained, untrained):
    """Does training make the ruler? By target, at the input and after the last block.

    Returns
    -------
    dict of str to dict
        By target: "readable" (R2 above 0.9 after the last block), "better_than_untrained" (error
        below that of every untrained network, and their range outside the interval), and "text".
    """
    found = {}
    for target in TARGETS:
        mine = [row for row in trained if row["target"] == target]
        null = [row for row in untrained if row["target"] == target]
        last, fresh = mine[-1], null[-1]
        better = last["rmse_ci95"][1] < fresh["rmse_range"][0]
        worse = last["rmse_ci95"][0] > fresh["rmse_range"][1]
        same = "worse than" if worse else "not shown to be better than"
        compared = "better than" if better else same
        found[target] = {
            "readable": last["r2"] > 0.9,
            "better_than_untrained": bool(better),
            "text": (
                f"After the last block R2 is {last['r2']:.3f} in the trained network and "
                f"{fresh['r2']:.3f} in {fresh['seeds']} untrained ones: {compared} what the "
                "construction gives."
            ),
        }
    return found
