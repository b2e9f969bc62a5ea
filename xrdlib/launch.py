"""Train one stage of a profile, in as many processes as a launcher starts.

    accelerate launch -m xrdlib train stage1 --profile paper

It is what the stage's notebook trains, to the same checkpoint: the notebook then finds its run
finished. The stages before must have run.
"""

from . import config, experiment, stages
from .errors import XrdlibError

STAGES = ("stage1", "stage2", "resnet", "plain")


def start(profile, stage):
    """Train a stage, or finish its training.

    Parameters
    ----------
    profile : str, optional
        By default the one named in params.yaml.
    stage : str
        One of `STAGES`.

    Returns
    -------
    train.History

    Raises
    ------
    XrdlibError
        If there is no such stage, a file of an earlier one is missing, or training fails.
    """
    if stage not in STAGES:
        raise XrdlibError(f"No stage {stage!r}; choose one of {', '.join(STAGES)}.")
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
            f"The set {name} of the profile {cfg.profile} does not exist; make it with "
            f"`make repro PROFILE={cfg.profile} NOTEBOOK=02_synthesis`."
        )
    if stage == "stage2":
        make = experiment.stage2_stream
        return stages.run_rounds(cfg, section, stage, model, make, validation)
    if stage == "stage1":
        stream = experiment.stage1_stream(cfg)
    else:
        stream = experiment.stage2_stream(cfg, cfg.baselines.batch)
    return stages.run(cfg, section, stage, model, stream, validation)
