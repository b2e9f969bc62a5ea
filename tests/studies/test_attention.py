"""Attention weights, positions of absences, paired tests and added peaks, against known cases."""

from itertools import product

import numpy as np
import pytest
import torch

from figures import texts
from xrdlib.base.patterns import CU_KA1, Grid
from xrdlib.base.records import Reflections, concatenate
from xrdlib.learning.model import PhysicsTransformer, TransformerConfig
from xrdlib.reporting import gallery, plot_attention
from xrdlib.simulation.diffraction import d_star, two_theta
from xrdlib.studies import absences, attention
from xrdlib.studies.specimens import Specimens
from xrdlib.symmetry import groups

GRID = Grid(5.0, 90.0, 0.05)
PRIOR = np.full(99, 1 / 99)
EDGE = 4.6  # angstrom
INDICES = np.array(list(product(range(5), repeat=3))[1:])


def net(seed=0, points=16):
    torch.manual_seed(seed)
    shape = {"stem": "patch", "patch": points, "width": 32, "depth": 2}
    made = PhysicsTransformer(TransformerConfig(grid=(5.0, 0.05, 1701), **shape)).eval()
    torch.nn.init.normal_(made.aux.weight)
    torch.nn.init.normal_(made.rule.weight)
    return made


def body_centred(edge=EDGE):
    """A cubic crystal of group I---, all allowed reflections equally strong."""
    label = int(groups.group_of_space_group()[229])
    hkl = INDICES[(INDICES.sum(1) % 2 == 0) & (np.diff(INDICES, axis=1) <= 0).all(1)]
    return Reflections(
        lattice=edge * np.eye(3)[None],
        start=np.array([0, len(hkl)]),
        hkl=hkl.astype(np.int16),
        multiplicity=np.full(len(hkl), 8, dtype=np.float32),
        f2=np.full(len(hkl), 100, dtype=np.float32),
        rotations=np.tile(np.eye(3, dtype=np.int8), (1, 24, 1, 1)),
        space_group=np.array([229], dtype=np.int16),
        group=np.array([label], dtype=np.int16),
        elements=np.array([[1 << 26, 0]], dtype=np.uint64),
        name=np.array(["made up"]),
    )


def angle_of(hkl, edge=EDGE):
    return float(two_theta(d_star(edge * np.eye(3), np.array([hkl]))[0], CU_KA1))


@pytest.fixture(scope="module")
def here():
    edges, width = absences.tokens(net())
    return absences.diagnostic_positions(body_centred(), edges, width, PRIOR)


def specimens(edges=(EDGE, 4.7, 4.8, 5.0)):
    """Noise-free patterns of the crystal with some cells, on a low background."""
    crystals = concatenate([body_centred(edge) for edge in edges])
    crystals.name = np.array([f"made up {edge}" for edge in edges])
    rows = []
    for i in range(len(edges)):
        mine = crystals.take([i])
        angle = two_theta(d_star(mine.lattice[0], mine.hkl), CU_KA1)
        shapes = [absences.peak_profile(GRID, a) for a in angle[angle < 88]]
        rows.append(np.sum(shapes, axis=0) + 0.01)
    return Specimens("made up", GRID, np.array(rows, dtype=np.float32), crystals, crystals.name)


def test_weights_are_those_that_the_network_uses():
    model, x = net(), torch.rand(3, 1701)
    inputs = []
    hook = model.blocks[1].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.no_grad():
        model(x)
        block, given = model.blocks[1], inputs[0]
        own = block.attend(block.norm1(given), None)
        weights = attention.weights(block, given)
        value = block.qkv(block.norm1(given)).view(3, -1, 3, 4, 8)[:, :, 2].transpose(1, 2)
        mixed = block.out((weights @ value).transpose(1, 2).reshape(given.shape))
        assert torch.allclose(mixed, own, atol=1e-5)
    hook.remove()
    heads, rolled = attention.maps(model, x)
    assert heads.shape == (3, 2, 4, model.tokens)
    assert torch.allclose(heads[:, 1], weights[:, :, 0, 1:], atol=1e-6)
    assert (rolled > 0).all() and (rolled.sum(1) < 1).all()


def test_rollout_of_even_attention_by_hand():
    model = net()
    for block in model.blocks:
        torch.nn.init.zeros_(block.qkv.weight)
    n = model.tokens + 1
    # Half identity and half even, twice: 1/4 (I + 2 E + E E), and E E = E.
    rolled = attention.maps(model, torch.rand(1, 1701))[1]
    assert torch.allclose(rolled, torch.full((1, model.tokens), 3 / 4 / n), atol=1e-6)


def test_absences_of_a_body_centred_crystal(here):
    # 100, 111 and 210 are forbidden in I---, allowed in P---; 110 and 200 are allowed.
    assert here.absent[:3] == pytest.approx(
        [angle_of((1, 0, 0)), angle_of((1, 1, 1)), angle_of((2, 1, 0))], abs=1e-3
    )
    assert here.allowed[:2] == pytest.approx([angle_of((1, 1, 0)), angle_of((2, 0, 0))], abs=1e-3)
    assert (here.hkl.sum(1) % 2 == 1).all()
    p = int(groups.group_of_space_group()[221])
    assert all(p in rivals for rivals in here.rivals)
    assert all(groups.crystal_systems()[g - 1] == "cubic" for r in here.rivals for g in r)


def test_tokens_hold_what_their_names_say(here):
    edges, width = absences.tokens(net())
    assert width == pytest.approx(0.8) and edges[0] == pytest.approx(4.975)
    lines = np.concatenate([here.allowed, here.absent])
    for j, token in enumerate(here.diagnostic):
        assert edges[token] <= here.angle[j] < edges[token] + width
        beside = (here.allowed > edges[token] - 0.19) & (here.allowed < edges[token] + width + 0.19)
        assert not beside.any()
        assert edges[here.reflection[j]] <= here.allowed.max()
        assert np.abs(here.allowed - here.reflection_angle[j]).min() < 1e-6
        low, high = here.controls[j]
        assert low < token < high
        assert here.weights[j] @ here.controls[j] == pytest.approx(token)
    for token in {*here.controls.ravel()}:
        assert not ((lines > edges[token]) & (lines < edges[token] + width)).any()


def test_foreign_peaks_are_left_out(here):
    edges, width = absences.tokens(net())
    excluded = {"exclude": [here.angle[0]]}
    without = absences.diagnostic_positions(body_centred(), edges, width, PRIOR, **excluded)
    assert here.diagnostic[0] not in without.diagnostic


def test_no_place_where_no_group_is_plausible_or_the_cell_does_not_fit():
    edges, width = absences.tokens(net())
    assert absences.diagnostic_positions(body_centred(), edges, width, np.zeros(99)) is None
    crystal = body_centred()
    crystal.lattice = np.diag([4.6, 5.0, 6.0])[None]
    assert absences.diagnostic_positions(crystal, edges, width, PRIOR) is None


def test_an_added_line_is_a_doublet_of_the_right_place():
    shape = absences.peak_profile(GRID, 80.0)
    assert GRID.two_theta[shape.argmax()] == pytest.approx(80.0) and shape.max() == 1
    second = 2 * np.degrees(np.arcsin(np.sin(np.radians(40)) * 1.544427 / 1.540593))
    at = np.abs(GRID.two_theta - second).argmin()
    assert shape[at] == pytest.approx(0.5, abs=0.1)


def test_a_reader_of_absences_minds_a_line_only_there(here):
    """A made-up reader that looks at one forbidden reflection alone."""
    subjects = specimens((EDGE,))
    true = int(subjects.crystals.group[0]) - 1
    point = int(np.abs(GRID.two_theta - here.angle[0]).argmin())

    def read(x):
        logp = np.full((len(x), 99), -np.log(99))
        logp[x[:, point].numpy() > 0.3, true] -= 5
        return logp - np.logaddexp.reduce(logp, axis=1)[:, None]

    change, owner = absences.effects(read, subjects, [here], heights=(0.2,), most=1)
    assert owner.tolist() == [0]
    assert change[0, 0, 0] == pytest.approx(-5) and np.abs(change[0, 0, 1:]).max() < 1e-9


def test_the_study_runs_and_is_drawn():
    subjects = specimens()
    model = net()
    metadata = {"calibration": {"a": 0.4}, "training_prior": PRIOR, "minerals": PRIOR}
    test = attention.study("made up", model, metadata, subjects, True, 3, seeds=1)
    assert test["n"] == 4 and test["n_absences"] >= 8 and len(test["heads"]) == 2 * 4
    assert test["verdict"]["heads"] == 8
    shown = attention.examples(model, subjects, PRIOR)
    assert [np.mean(shown[0]["rollout"])] == pytest.approx([1], abs=0.01)
    assert gallery.STUDIES["attention"] == ("attention", plot_attention.attention)
    maps = plot_attention.attention_maps({"examples": shown})
    assert "rollout" in texts(maps)
    figure = plot_attention.attention({"examples": shown, "tests": [test]})
    shown = texts(figure)
    assert "made up" in shown and f"{test['n_absences']} absences, 4 patterns" in shown


def head(mean, p):
    return {"absences": mean, "absences_p": p, "lines": 1.0}


def test_verdict_counts_heads_beyond_the_null():
    added = {"height": 0.1, "difference": -0.5, "p": 0.01}
    heads = [head(0.5, 0.01), head(-0.5, 0.01), head(0.5, 0.2)]
    result = {"heads": heads, "untrained": [{"more": 0}], "intervention": [added]}
    verdict = attention.verdict(result)
    assert (verdict["more"], verdict["less"], verdict["untrained"]) == (1, 1, 0)
    assert verdict["word"] == "holds" and verdict["largest_ratio"] == pytest.approx(np.exp(0.5))
    still = {**result, "intervention": [{**added, "difference": 0.1}]}
    assert attention.verdict(still)["word"] == "holds in part"
    for quiet in ({"heads": [head(0.1, 0.5)] * 3}, {"untrained": [{"more": 0}, {"more": 1}]}):
        assert attention.verdict({**still, **quiet})["word"] == "does not hold"


def test_one_small_p_of_many_tests_is_not_enough():
    def one(p, difference=-0.2, more=0):
        row = {"height": 0.1, "difference": difference, "p": p}
        own = {"heads": 4, "more": more, "untrained": 0}
        return {"intervention": [row], "verdict": own}

    still = [one(0.5)] * 3
    assert attention.together([one(0.03), *still])["word"] == "does not hold"
    result = attention.together([one(0.01), *still])
    assert (result["word"], result["minded"], result["heads"]) == ("holds in part", 1, 16)
    assert attention.together([one(0.01, 0.2), *still])["word"] == "does not hold"
    assert attention.together([one(0.9, more=1)] * 2)["word"] == "holds"
