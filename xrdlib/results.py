"""The compact results of a profile: one JSON file a stage, which tables and figures read."""

import json
from types import SimpleNamespace

import numpy as np

from . import __version__, atomic, paths
from .errors import XrdlibError

MAIN = "physics transformer"  # the model that the experiment is about, as tables name it


_MADE = "made_with"


def write(config, name, content):
    """Write results/PROFILE/NAME.json; numbers that are not finite are refused.

    A dict is written together with the version of this package and the configuration.

    Raises
    ------
    XrdlibError
        If the content cannot be written as JSON, or the file cannot be written.
    """
    path = paths.results(config.profile) / f"{name}.json"
    if isinstance(content, dict):
        made = {"version": __version__, "configuration": config}
        content = {**content, _MADE: made}
    try:
        text = json.dumps(content, indent=1, allow_nan=False, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        raise XrdlibError(f"{path} cannot be written: {error}.") from None
    atomic.write_text(path, text)


def read(config, name):
    """Read results/PROFILE/NAME.json, as it was given to `write`.

    Raises
    ------
    XrdlibError
        If it does not exist or is not JSON.
    """
    content = _loaded(config, name)
    if isinstance(content, dict):
        content.pop(_MADE, None)
    return content


def made_with(config, name):
    """Version and configuration that made results/PROFILE/NAME.json.

    Returns
    -------
    dict
        "version" and "configuration"; empty where the file does not say.

    Raises
    ------
    XrdlibError
        As for `read`.
    """
    content = _loaded(config, name)
    return content.get(_MADE, {}) if isinstance(content, dict) else {}


def exists(config, name):
    """Whether there is a results/PROFILE/NAME.json."""
    return (paths.results(config.profile) / f"{name}.json").exists()


def _loaded(config, name):
    path = paths.results(config.profile) / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise XrdlibError(f"{path} does not exist; run the stage that writes it.") from None
    except json.JSONDecodeError as error:
        raise XrdlibError(f"{path} is not JSON ({error}); run its stage again.") from None


def _plain(value):
    if isinstance(value, SimpleNamespace):
        return vars(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON value")
