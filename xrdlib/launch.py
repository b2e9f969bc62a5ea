"""Train one stage of a profile, in as many processes as a launcher starts.

    accelerate launch -m xrdlib.launch --profile paper --stage stage1

It is what the stage's notebook trains, to the same checkpoint: the notebook then finds its run
finished. The stages before must have run.
"""

import argparse
import sys

from . import config, experiment, ranks, stages
from .errors import XrdlibError

STAGES = ("stage1", "stage2", "resnet", "plain")


def start(profile, stage):
    """Train a stage, or finish its training.

    Parameters
    ----------
    profile : str
    stage : str
        One of `STAGES`.

    Returns
    -------
    train.History

    Raises
    ------
    XrdlibError
        If a file of an earlier stage is missing, or training fails.
    """
    cfg = config.load(profile)
    section = stage if stage.startswith("stage") else "baselines"
    if stage == "stage2":
        model, _ = stages.load_model(cfg, "stage1")
    else:
        model = stages.new_model(cfg, "model" if stage == "stage1" else stage)
    name = "random-crystals" if stage == "stage1" else "amcsd-calibration"
    validation = experiment.load_set(cfg, name)
    if validation is None:
        raise XrdlibError(
            f"The set {name} of the profile {profile} does not exist; make it with "
            f"`make repro PROFILE={profile} NOTEBOOK=02_synthesis`."
        )
    if stage == "stage2":
        make = experiment.stage2_stream
        return stages.run_rounds(cfg, section, stage, model, make, validation)
    if stage == "stage1":
        stream = experiment.stage1_stream(cfg)
    else:
        stream = experiment.stage2_stream(cfg, cfg.baselines.batch)
    return stages.run(cfg, section, stage, model, stream, validation)


def main(arguments=None):
    """The command line; exits with one sentence if something is wrong."""
    parser = argparse.ArgumentParser(prog="xrdlib.launch", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=config.PROFILES, required=True)
    parser.add_argument("--stage", choices=STAGES, required=True)
    chosen = parser.parse_args(arguments)
    try:
        history = start(chosen.profile, chosen.stage)
    except XrdlibError as problem:
        # At once, since a launcher that lost one process soon ends the others.
        print(f"xrdlib.launch: {problem}", file=sys.stderr, flush=True)
        sys.exit(1)
    finally:
        ranks.leave()
    if ranks.is_first():
        seconds, loss = history.seconds, history.rows[-1]["loss"]
        print(f"{chosen.stage}: {history.patterns:,} patterns, {seconds:.0f} s, loss {loss:.4f}")


if __name__ == "__main__":
    main()
