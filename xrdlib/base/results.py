"""The compact results of a profile: one JSON file a stage, which tables and figures read."""

import json
import platform
import subprocess
import time
from types import SimpleNamespace

import numpy as np

from .. import __version__
from . import paths
from .errors import XrdlibError
from .files import write_text

MAIN = "physics transformer"  # the model that the experiment is about, as tables name it
_MADE = "made_with"
_LIST = "content"  # the key of what is no dict
# What decides a result: a run writes its results, figures and tables into the checkout itself.
_CODE = ("xrdlib", "notebooks", "params.yaml", "dvc.yaml", ":!*.lock")
_UNKNOWN = "unknown"
_BEGUN = time.monotonic()


def stamp(config: SimpleNamespace, precision: str | None = None) -> dict:
    """How a result was made, recorded by the process that makes it.

    Returns
    -------
    dict
        "version" of this package, "commit" of the checkout ("unknown" where there is none) with
        "dirty" (whether its code differs from the commit), "processor" (its model, and "gpu"
        where one is used), "threads", "seconds" since the process began, "configuration", and the
        "precision" of a training's forward passes where one is given.
    """
    made = {"version": __version__, **_checkout(), "processor": _processor()}
    if config.device.startswith("cuda"):
        import torch  # not needed to read and write results

        made["gpu"] = torch.cuda.get_device_name(config.device)
    made |= {"threads": config.threads, "seconds": round(time.monotonic() - _BEGUN, 1)}
    if precision is not None:
        made["precision"] = precision
    return {**made, "configuration": config}


def write(
    config: SimpleNamespace, name: str, content: dict | list, made: dict | None = None
) -> None:
    """Write results/PROFILE/NAME.json with its stamp; numbers that are not finite are refused.

    Parameters
    ----------
    content : dict or list
        Of JSON values, arrays and namespaces.
    made : dict, optional
        The stamp, where the content is of an earlier run; by default that of this process.

    Raises
    ------
    XrdlibError
        If the content cannot be written as JSON, or the file cannot be written.
    """
    path = _path(config, name)
    content = content if isinstance(content, dict) else {_LIST: content}
    content = {**content, _MADE: made or stamp(config, content.get("precision"))}
    try:
        text = json.dumps(content, indent=1, allow_nan=False, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        raise XrdlibError(f"{path} cannot be written: {error}.") from None
    write_text(path, text)


def read(config: SimpleNamespace, name: str) -> dict | list:
    """Content of results/PROFILE/NAME.json, as it was given to `write`.

    Raises
    ------
    XrdlibError
        If it does not exist or is not JSON.
    """
    content = _loaded(config, name)
    if isinstance(content, dict):
        content.pop(_MADE, None)
        return content[_LIST] if set(content) == {_LIST} else content
    return content


def made_with(config: SimpleNamespace, name: str) -> dict:
    """The stamp of results/PROFILE/NAME.json, empty where there is none; errors as for `read`."""
    content = _loaded(config, name)
    return content.get(_MADE, {}) if isinstance(content, dict) else {}


def mixed(config: SimpleNamespace, names: list[str]) -> str:
    """One line that names existing results of different commits or configurations, or ""."""
    runs = {}
    for name in dict.fromkeys(names):
        made = made_with(config, name)
        settings = json.dumps(made.get("configuration"), sort_keys=True)
        runs.setdefault((_commit(made), settings), []).append(name)
    if len(runs) < 2:
        return ""
    commits = [commit for commit, _ in runs]
    parts = []
    for number, ((commit, _), files) in enumerate(runs.items()):
        other = " with another configuration" if commit in commits[:number] else ""
        parts.append(f"{', '.join(files)} ({commit}{other})")
    return f"Results of {len(runs)} different runs stand side by side: {'; '.join(parts)}."


def exists(config: SimpleNamespace, name: str) -> bool:
    """Whether there is a results/PROFILE/NAME.json."""
    return _path(config, name).exists()


def _path(config, name):
    return paths.results(config.profile) / f"{name}.json"


def _loaded(config, name):
    path = _path(config, name)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise XrdlibError(f"{path} does not exist; run the stage that writes it.") from None
    except json.JSONDecodeError as error:
        raise XrdlibError(f"{path} is not JSON ({error}); run its stage again.") from None


def _commit(made):
    """A stamp's commit in a few words."""
    if not made:
        return "no stamp"
    if (commit := made.get("commit", _UNKNOWN)) == _UNKNOWN:
        return f"version {made['version']}"
    return f"commit {commit[:7]}{' with changes' if made['dirty'] else ''}"


def _checkout():
    """Commit of the project's checkout, and whether code was changed since."""
    try:
        top, commit = _output("git", "rev-parse", "--show-toplevel", "HEAD").split("\n")
        # Else it is a package that is installed somewhere inside another project's checkout.
        if paths.ROOT.samefile(top):
            changed = _output("git", "status", "--porcelain", "--", *_CODE)
            return {"commit": commit, "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        pass  # no checkout, or no git
    return {"commit": _UNKNOWN}


def _output(*command):
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _processor():
    """Model of the processor, or its architecture where the system gives no model."""
    try:
        if platform.system() == "Darwin":
            return _output("sysctl", "-n", "machdep.cpu.brand_string")
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            models = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except (OSError, subprocess.CalledProcessError):
        models = []
    return models[0] if models else platform.processor() or platform.machine()


def _plain(value):
    if isinstance(value, SimpleNamespace):
        return vars(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON value")
