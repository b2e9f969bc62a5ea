import re

import pytest
from ruamel.yaml import YAML

from xrdlib.base import config
from xrdlib.base.errors import XrdlibError
from xrdlib.base.paths import ROOT

SMALL = """
profile: laptop
shared: {lr: 1e-5, model: {depth: 4, width: 8}, steps: 10, list: [1, 2]}
tiny: {model: {depth: 1}, list: [3]}
laptop: {}
paper:
"""


@pytest.fixture
def params(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(SMALL)
    return path


def test_a_profile_overrides_single_keys_at_any_depth(params):
    cfg = config.load("tiny", params)
    assert (cfg.profile, cfg.steps, cfg.list) == ("tiny", 10, [3])
    assert (cfg.model.depth, cfg.model.width) == (1, 8)


@pytest.mark.parametrize("name", ["huge", "shared", "profile", "Tiny"])
def test_an_unknown_profile_is_refused_with_the_choice(params, name):
    with pytest.raises(XrdlibError, match="tiny, laptop, regime, released, paper"):
        config.load(name, params)


@pytest.mark.parametrize("text", ["", "- 1\n", "shared: {}\n", "a: [1\n", "a: 1\na: 2\n"])
def test_a_file_that_is_no_params_file_is_refused_by_name(tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(XrdlibError, match=r"broken\.yaml"):
        config.load("tiny", path)


def test_results_that_are_shown_rest_on_all_measured_patterns():
    limits = {name: config.load(name).measured for name in config.PROFILES}
    assert limits.pop("tiny") and set(limits.values()) == {None}


def test_every_profile_has_the_sections_that_the_pipeline_asks_for():
    """DVC stops at a stage whose parameters are missing, be it after half an hour."""
    load = YAML(typ="safe", pure=True).load
    params = load(ROOT / "params.yaml")
    stages = load(ROOT / "dvc.yaml")["stages"]
    asked = [
        re.sub(r"\$\{item(\.profile)?\}", profile, name).split(".")
        for stage in stages.values()
        for name in stage.get("do", stage).get("params", [])
        for profile in config.PROFILES
    ]
    assert len(asked) > 100
    assert [name for name in asked if name[1] not in params[name[0]]] == []
