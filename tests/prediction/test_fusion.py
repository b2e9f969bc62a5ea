"""The fit of the weights: its optimum, what it recovers, and what it refuses."""

from dataclasses import astuple

import numpy as np
import pytest
from scipy.optimize import minimize

from xrdlib.base.errors import XrdlibError
from xrdlib.prediction import fusion
from xrdlib.prediction.fusion import Fusion

N = 3000


def normalised(scores):
    peak = scores.max(-1, keepdims=True)
    return scores - peak - np.log(np.exp(scores - peak).sum(-1, keepdims=True))


def drawn(logp, seed):
    """A label for each row by its probabilities."""
    u = np.random.default_rng(seed).random((len(logp), 1))
    return np.minimum((np.exp(logp).cumsum(1) < u).sum(1), 98)


@pytest.fixture(scope="module")
def parts():
    """Evidence, similarity and prior ratio that know nothing of each other."""
    rng = np.random.default_rng(5)
    evidence = normalised(1.5 * rng.normal(size=(N, 99)))
    similarity = np.clip(rng.beta(2, 5, size=(N, 99)), 0, 1).astype(np.float32)
    similarity[np.arange(N), rng.integers(0, 99, N)] = rng.uniform(0.6, 1.0, N)
    ratio = normalised(rng.normal(size=99)) + np.log(99)
    return evidence, similarity, ratio


@pytest.fixture(scope="module")
def lattice():
    """A fourth part that knows nothing of the others."""
    return normalised(2 * np.random.default_rng(6).normal(size=(N, 99)))


def by_hand(weights, evidence, similarity, ratio, lattice=None):
    """Log-probabilities from the formula, one row at a time."""
    rows = []
    for i, (p, x) in enumerate(zip(evidence, similarity.astype(float), strict=True)):
        scores = weights[0] * p - weights[1] * np.log(1 + fusion.FLOOR - x) + weights[2] * ratio
        if lattice is not None:
            scores = scores + weights[3] * lattice[i]
        rows.append(scores - np.log(np.exp(scores).sum()))
    return np.array(rows)


def nll(weights, parts, labels):
    return -by_hand(weights, *parts)[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("weights", [(1, 1, 1), (0.7, 2.5, 0.4), (0, 0, 0), (0, 3, 0)])
def test_scores_follow_the_formula_and_are_normalised(parts, weights):
    few = parts[0][:40], parts[1][:40], parts[2]
    logp = Fusion(*map(float, weights)).apply(*few)
    assert logp.shape == (40, 99) and logp.dtype == np.float64
    assert np.allclose(np.exp(logp).sum(1), 1) and np.allclose(logp, by_hand(weights, *few))


def test_a_better_match_makes_a_class_more_probable(parts):
    evidence, similarity, ratio = (parts[0][:1], parts[1][:1].copy(), parts[2])
    found = []
    for x in (-1.0, 0.0, 0.5, 0.9, 0.99, 1.0, 1.001):
        similarity[0, 7] = x
        found.append(Fusion(1.0, 1.0, 1.0).apply(evidence, similarity, ratio)[0, 7])
    assert (np.diff(found[:-1]) > 0.1).all()
    assert found[-1] == found[-2]  # a cosine above 1 is rounding


@pytest.mark.parametrize("weights", [(1.2, 2.0, 0.8), (0.4, 0.5, 1.5), (2.0, 4.0, 0.1)])
def test_the_weights_that_made_the_labels_are_recovered(parts, weights):
    labels = drawn(by_hand(weights, *parts), 1)
    *found, lattice, pattern, _, _ = astuple(fusion.fit(parts[0], parts[1], labels, parts[2]))
    assert np.allclose(found, weights, atol=0.12, rtol=0.06)
    assert lattice == pattern == 0  # nothing was said of lattices


def test_four_weights_are_recovered_where_lattices_speak_too(parts, lattice):
    weights = (0.8, 2.0, 0.6, 1.3)
    logp = by_hand(weights, *parts, lattice)
    assert np.allclose(Fusion(*weights).apply(*parts, lattice), logp)
    labels = drawn(logp, 9)
    found = astuple(fusion.fit(parts[0], parts[1], labels, parts[2], lattice=lattice))[:5]
    assert np.allclose(found, (*weights, 0), atol=0.12, rtol=0.06)
    # A predictor that was fitted with lattices can do without.
    assert np.allclose(Fusion(*weights).apply(*parts), by_hand(weights, *parts))


def test_five_weights_are_recovered_where_whole_patterns_speak_too(parts, lattice):
    pattern = normalised(2 * np.random.default_rng(7).normal(size=(N, 99)))
    weights = (0.8, 2.0, 0.6, 0.7, 1.1)
    terms = (weights[0] * parts[0] - weights[1] * np.log(1 + fusion.FLOOR - parts[1].astype(float))
             + weights[2] * parts[2] + weights[3] * lattice + weights[4] * pattern)  # fmt: skip
    logp = Fusion(*weights).apply(*parts, lattice, pattern)
    assert np.allclose(logp, normalised(terms))
    found = fusion.fit(parts[0], parts[1], drawn(logp, 11), parts[2], None, lattice, pattern)
    assert np.allclose(astuple(found)[:5], weights, atol=0.12, rtol=0.06)
    with pytest.raises(XrdlibError, match="give both"):
        Fusion(*weights).apply(*parts, None, pattern)


def test_lattices_of_other_families_alone_weigh_a_prediction(parts, lattice):
    labels = drawn(by_hand((0.5, 1.0, 0.5, 1.5), *parts, lattice), 10)[:120]
    few, families = (parts[0][:120], parts[1][:120]), np.arange(120) // 2
    about = labels, parts[2], families
    found = fusion.cross_fitted(*few, *about, lattice[:120], folds=60)
    for k in (0, 31):
        rest = families != k
        told = [x[rest] for x in few], labels[rest], parts[2], families[rest], lattice[:120][rest]
        chosen = fusion.fit(*told[0], *told[1:])
        own = chosen.apply(*(x[~rest] for x in few), parts[2], lattice[:120][~rest])
        assert np.allclose(found[~rest], own)
    without = fusion.cross_fitted(*few, *about)
    rows = np.arange(120)
    assert found[rows, labels].mean() > without[rows, labels].mean() + 0.3


def test_the_fit_is_the_optimum(parts):
    labels = drawn(by_hand((1.0, 2.0, 0.5), *parts), 2)[:400]
    few = parts[0][:400], parts[1][:400], parts[2]
    found = np.array(astuple(fusion.fit(few[0], few[1], labels, few[2])))[:3]
    least = nll(found, few, labels)
    for step in np.vstack([np.eye(3), -np.eye(3), np.random.default_rng(0).normal(size=(4, 3))]):
        assert nll(found + 0.05 * step, few, labels) > least
    # Another optimiser, which is told no gradient, ends at the same place.
    other = minimize(nll, [0.5, 1.0, 1.0], (few, labels), method="Nelder-Mead")
    assert np.allclose(found, other.x, atol=2e-3)
    gradient = [(nll(found + h, few, labels) - nll(found - h, few, labels)) / 2e-4
                for h in 1e-4 * np.eye(3)]  # fmt: skip
    assert np.abs(gradient).max() < 1e-4


@pytest.fixture
def minimised(monkeypatch):
    """The functions that a fit minimises, in turn."""
    costs = []

    def spy(cost, start, **options):
        costs.append(cost)
        return minimize(cost, start, **options)

    monkeypatch.setattr("scipy.optimize.minimize", spy)
    return costs


def test_the_gradient_that_the_optimiser_is_told_is_right(parts, minimised):
    labels = drawn(by_hand((1.0, 2.0, 0.5), *parts), 3)[:300]
    few = parts[0][:300], parts[1][:300], parts[2]
    fusion.fit(few[0], few[1], labels, few[2])
    for weights in ([1.0, 1.0, 1.0], [0.0, 3.0, 0.2], [2.0, 0.0, 0.0]):
        value, gradient = minimised[0](np.array(weights))
        assert np.isclose(value, nll(weights, few, labels))
        steps = 1e-5 * np.eye(3)
        cost = minimised[0]
        numerical = [(cost(weights + h)[0] - cost(weights - h)[0]) / 2e-5 for h in steps]
        assert np.allclose(gradient, numerical, atol=1e-6)


@pytest.mark.parametrize("noise", [0, 1, 2])
def test_what_knows_nothing_gets_no_weight(parts, noise):
    weights = np.array([1.0, 2.0, 1.0])
    weights[noise] = 0
    found = astuple(fusion.fit(parts[0], parts[1], drawn(by_hand(weights, *parts), 4), parts[2]))
    assert 0 <= found[noise] < 0.07
    assert all(found[k] >= 0.8 * weights[k] for k in range(3))


def test_weights_are_never_negative(parts):
    """Evidence that speaks against the truth is left out, not turned round."""
    labels = drawn(by_hand((-1.0, 2.0, -1.0), *parts), 5)
    found = fusion.fit(parts[0], parts[1], labels, parts[2])
    assert found.network == 0 and found.prior == 0 and found.similarity > 1


def test_a_part_that_is_silent_changes_nothing(parts):
    """All zeros, as for retrieval alone."""
    labels = drawn(by_hand((0.0, 2.0, 1.0), *parts), 6)
    silent = np.zeros_like(parts[0])
    found = fusion.fit(silent, parts[1], labels, parts[2])
    assert np.allclose((found.similarity, found.prior), (2, 1), rtol=0.08)
    alone = Fusion(0.0, found.similarity, found.prior)
    assert np.allclose(found.apply(silent, *parts[1:]), alone.apply(parts[0], *parts[1:]))


def test_a_perfect_part_gets_a_bounded_weight(parts):
    labels = parts[0].argmax(1)
    found = fusion.fit(parts[0], parts[1], labels, parts[2])
    assert np.isfinite(astuple(found)[:5]).all() and 3 < found.network <= 5


@pytest.mark.parametrize("k", [0, 1, 2])
def test_shapes_that_disagree_are_told(parts, k):
    wrong = [parts[0][:9], parts[1][:9], parts[2]]
    wrong[k] = wrong[k][..., :-1]
    with pytest.raises(XrdlibError, match="prior ratio for its columns"):
        Fusion(1.0, 1.0, 1.0).apply(*wrong)
    with pytest.raises(XrdlibError, match="prior ratio for its columns"):
        fusion.fit(wrong[0], wrong[1], np.zeros(9, int), wrong[2])


def test_lattices_of_another_shape_are_told(parts, lattice):
    with pytest.raises(XrdlibError, match=r"columns; got \(9, 99\), \(9, 99\), \(8, 99\), \(99,\)"):
        Fusion(1.0, 1.0, 1.0, 1.0).apply(parts[0][:9], parts[1][:9], parts[2], lattice[:8])


@pytest.mark.parametrize("labels", [np.zeros(8, int), np.full(9, 99), np.full(9, -1)])
def test_labels_that_are_none_are_told(parts, labels):
    with pytest.raises(XrdlibError, match="[Ll]abels"):
        fusion.fit(parts[0][:9], parts[1][:9], labels, parts[2])


def test_a_family_counts_once_however_many_patterns_it_has(parts):
    labels = drawn(by_hand((1.0, 2.0, 0.5), *parts), 7)[:200]
    few = parts[0][:200], parts[1][:200], labels
    each = fusion.fit(*few, parts[2])
    again = np.repeat(np.arange(200), np.arange(200) % 4 + 1)
    names = np.array([f"family {i}" for i in again])
    repeated = fusion.fit(*(x[again] for x in few), parts[2], names)
    assert np.allclose(astuple(repeated)[:5], astuple(each)[:5], atol=1e-3)
    patterns = fusion.fit(*(x[again] for x in few), parts[2])
    assert not np.allclose(astuple(patterns)[:5], astuple(each)[:5], atol=1e-3)
    votes = 3 / (1 + np.arange(200) % 4)[again]
    told = fusion.fit(*(x[again] for x in few), parts[2], votes=votes)
    assert np.allclose(astuple(told)[:5], astuple(repeated)[:5], atol=1e-6)
    with pytest.raises(XrdlibError, match="200 patterns and 199 families"):
        fusion.fit(*few, parts[2], np.arange(199))


def test_cross_fitted_predictions_know_nothing_of_their_own_family(parts):
    labels = drawn(by_hand((1.0, 2.0, 0.5), *parts), 8)[:90]
    few, families = (parts[0][:90], parts[1][:90]), np.arange(90) // 3
    before = fusion.cross_fitted(*few, labels, parts[2], families)
    assert np.allclose(np.exp(before).sum(1), 1)
    own = families == 11
    others = np.where(own, (labels + 5) % 99, labels)
    after = fusion.cross_fitted(*few, others, parts[2], families)
    assert np.array_equal(after[own], before[own]) and not np.array_equal(after, before)
    # As many folds as families: each is left out alone.
    alone = fusion.cross_fitted(*few, labels, parts[2], families, folds=90)
    rest = ~own
    chosen = fusion.fit(few[0][rest], few[1][rest], labels[rest], parts[2], families[rest])
    assert np.allclose(alone[own], chosen.apply(few[0][own], few[1][own], parts[2]))


def doubting(known=0.5, margin=6.0):
    return Fusion(1.0, 8.0, 0.5, known=known, margin=margin)


def test_a_library_that_knows_all_is_weighed_as_of_old(parts):
    few = parts[0][:30], parts[1][:30], parts[2]
    old = Fusion(**{"network": 1.0, "similarity": 8.0, "prior": 0.5, "lattice": 0.0})
    assert old.known is None
    assert np.allclose(doubting(30.0).apply(*few), old.apply(*few))
    # And one that knows nothing says nothing.
    silent = Fusion(1.0, 0.0, 0.5)
    assert np.allclose(doubting(-30.0, 0.0).apply(*few), silent.apply(*few), atol=1e-6)


def test_a_doubted_match_outweighs_the_rest_only_so_far(parts):
    """Whatever the similarities, by the odds of its being known, times the number of groups."""
    evidence, ratio = np.zeros((1, 99)), np.zeros(99)
    for best, second in ((1.0, 0.9), (0.9, 0.2), (0.6, 0.55), (0.5, 0.5), (-1.0, -1.0)):
        similarity = np.full((1, 99), -1.0)
        similarity[0, [3, 5]] = best, second
        logp = doubting().apply(evidence, similarity, ratio)
        limit = np.log1p(99 * np.exp(0.5 + 6.0 * (best - second)))
        assert np.isfinite(logp).all() and np.isclose(np.exp(logp).sum(), 1)
        assert 0 <= np.ptp(logp) <= limit + 1e-9
    # Evidence of the other parts, if strong enough, wins against it, as it would not have of old.
    evidence[0, 50] = 12.0
    similarity[0, [3, 5]] = 0.95, 0.9
    assert doubting().apply(evidence, similarity, ratio).argmax() == 50
    assert Fusion(1.0, 8.0, 0.5).apply(evidence, similarity, ratio).argmax() == 3


def test_a_match_is_worth_less_where_another_group_is_as_similar():
    evidence, ratio, found = np.zeros((1, 99)), np.zeros(99), []
    for second in np.linspace(0.2, 0.9, 15):
        similarity = np.full((1, 99), 0.1)
        similarity[0, [3, 5]] = 0.9, second
        logp = doubting().apply(evidence, similarity, ratio)
        found.append(logp[0, 3] - logp[0, 40])
    assert (np.diff(found) < 0).all()
    found = []
    for best in np.linspace(0.5, 1.0, 15):
        similarity[0, [3, 5]] = best, 0.5
        found.append(doubting().apply(evidence, similarity, ratio)[0, 3])
    assert (np.diff(found) > 0).all()


def test_how_often_the_library_knows_a_compound_is_recovered(parts):
    wanted = Fusion(1.0, 6.0, 0.5, known=-0.5, margin=4.0)
    labels = drawn(wanted.apply(*parts), 12)
    found = fusion.fit(parts[0], parts[1], labels, parts[2], known=True)
    assert np.allclose(astuple(found)[:3], astuple(wanted)[:3], atol=0.15, rtol=0.15)
    assert found.known == pytest.approx(-0.5, abs=0.4)
    assert found.margin == pytest.approx(4.0, abs=1.5)
    rows, plain = np.arange(N), fusion.fit(parts[0], parts[1], labels, parts[2])
    assert (found.apply(*parts) - plain.apply(*parts))[rows, labels].mean() > 0.05


def test_the_gradient_of_doubt_is_right_too(parts, minimised):
    labels = drawn(by_hand((1.0, 2.0, 0.5), *parts), 3)[:300]
    fusion.fit(parts[0][:300], parts[1][:300], labels, parts[2], known=True)
    for weights in ([1.0, 6.0, 1.0, 0.5, 3.0], [0.2, 0.0, 0.2, -4.0, 0.0]):
        _, gradient = minimised[1](np.array(weights))
        steps = 1e-5 * np.eye(5)
        cost = minimised[1]
        numerical = [(cost(weights + h)[0] - cost(weights - h)[0]) / 2e-5 for h in steps]
        assert np.allclose(gradient, numerical, atol=1e-6)
