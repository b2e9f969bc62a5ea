"""Networks, their training, metrics, calibration and the experiments of a profile.

Start at `model`, `train.train` and `metrics.evaluate`; `stages` is what the notebooks run.
"""
