"""Read params.yaml: the shared section overlaid by the chosen profile's section."""

import os
from types import SimpleNamespace

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .errors import XrdlibError
from .paths import ROOT

PROFILES = ("tiny", "laptop", "regime", "released", "paper")


def load(profile: str | None = None, path: str | os.PathLike | None = None) -> SimpleNamespace:
    """Configuration of one profile, by default the one named in the file (params.yaml).

    Nested namespaces; `profile` is among the attributes.

    Raises
    ------
    XrdlibError
        If the file or the profile does not exist, or the file is not a params.yaml.
    """
    path = path or ROOT / "params.yaml"
    try:
        # YAML 1.2, as DVC reads it: there 1e-5 is a number, to YAML 1.1 it is a string.
        with open(path, encoding="utf-8") as file:
            params = YAML(typ="safe", pure=True).load(file)
    except FileNotFoundError:
        raise XrdlibError(f"{path} does not exist; run from a checkout of the project.") from None
    except YAMLError as error:
        raise XrdlibError(f"{path} is not valid YAML: {error}.") from None
    if not isinstance(params, dict) or not {"profile", "shared"} <= set(params):
        raise XrdlibError(f"{path} needs the keys `profile` and `shared`.")
    profile = profile or params["profile"]
    if profile not in PROFILES or profile not in params:
        raise XrdlibError(f"Unknown profile {profile!r}; choose one of {', '.join(PROFILES)}.")
    merged = _merge(params["shared"] or {}, params[profile] or {})
    # `general` is a section for DVC's sake only, which tracks parameters by section.
    return namespace({**merged, **merged.pop("general", {}), "profile": profile})


def _merge(base, over):
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def namespace(value: object) -> object:
    """A dict, and dicts in it, as namespaces; anything else as it is."""
    if isinstance(value, dict):
        return SimpleNamespace(**{k: namespace(v) for k, v in value.items()})
    return value
