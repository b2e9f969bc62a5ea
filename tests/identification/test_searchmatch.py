import gemmi
import numpy as np
import pytest
import torch

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import GRID, Grid, normalise, to_grid
from xrdlib.base.records import Crystals
from xrdlib.identification import searchmatch
from xrdlib.identification.searchmatch import (
    SEARCH_GRID,
    class_scores,
    library,
    log_probs,
    measured,
)
from xrdlib.simulation.diffraction import reflections
from xrdlib.symmetry.groups import group_of_space_group, half_rotations, operations


def cubic(elements, edges):
    """Caesium-chloride crystals (Pm-3m), one for each pair of elements and each edge."""
    n = len(edges)
    symbols = [gemmi.Element(name).atomic_number for pair in elements for name in pair]
    return Crystals(
        lattice=np.eye(3) * np.array(edges)[:, None, None],
        start=np.arange(n + 1, dtype=np.int64) * 2,
        number=np.array(symbols, dtype=np.int16),
        frac=np.tile(np.array([[0, 0, 0], [0.5, 0.5, 0.5]], dtype=np.float32), (n, 1)),
        occupancy=np.ones(2 * n, dtype=np.float32),
        rotations=np.repeat(half_rotations(operations(221)[0])[None], n, axis=0),
        space_group=np.full(n, 221, dtype=np.int16),
        group=np.full(n, group_of_space_group()[221], dtype=np.int16),
        name=np.array(["-".join(pair) for pair in elements]),
    )


BANK = reflections(cubic([("Cs", "Cl"), ("Cs", "Br"), ("Tl", "I")], [4.12, 4.29, 4.20]))


def simulate(item, width=0.1, wavelengths=((1.540593, 2 / 3), (1.544427, 1 / 3))):
    """A measured pattern by the plainest sum over all hkl, without the code under test."""
    one = BANK.take([item])
    edge = one.lattice[0, 0, 0]
    total = np.zeros(GRID.size)
    for hkl, multiplicity, f2 in zip(one.hkl, one.multiplicity, one.f2, strict=True):
        for wavelength, share in wavelengths:
            sine = wavelength * np.linalg.norm(hkl) / (2 * edge)
            if sine >= 1:
                continue
            theta = np.arcsin(sine)
            lp = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
            peak = np.exp(-0.5 * ((GRID.two_theta - 2 * np.degrees(theta)) / width) ** 2)
            total += share * multiplicity * f2 * lp * peak
    return total


def test_library_is_the_plain_sum_of_gaussian_peaks():
    patterns = library(BANK, chunk=2)
    assert patterns.shape == (3, SEARCH_GRID.size) == (3, 1701)
    for item, pattern in enumerate(patterns):
        fine = np.sqrt(simulate(item, searchmatch.SIGMA_SIMULATED))
        expected = np.interp(SEARCH_GRID.two_theta, GRID.two_theta, fine)
        expected -= expected.mean()
        expected /= np.linalg.norm(expected)
        assert pattern @ expected > 0.9999


def test_vectors_have_unit_length_and_no_mean():
    patterns = np.concatenate([library(BANK), measured(simulate(0)[None])])
    assert np.allclose(np.linalg.norm(patterns, axis=1), 1, atol=1e-5)
    assert np.allclose(patterns.mean(1), 0, atol=1e-6)


def test_a_pattern_finds_its_own_crystal_through_noise_and_scale():
    rng = np.random.default_rng(0)
    stack = np.stack([rng.poisson(simulate(i) / simulate(i).max() * 2000 + 20) for i in range(3)])
    similarity = searchmatch.similarities(measured(stack * 7.0), library(BANK))
    assert (similarity.argmax(1) == [0, 1, 2]).all()
    assert (np.abs(similarity) <= 1 + 1e-5).all()


def test_clean_pattern_of_the_right_width_is_nearly_identical():
    width = np.sqrt(searchmatch.SIGMA_SIMULATED**2 - searchmatch.SIGMA_MEASURED**2)
    similarity = searchmatch.similarities(measured(simulate(1, width)[None]), library(BANK))
    assert similarity[0, 1] > 0.9999


def test_scale_network_input_and_grid_make_no_difference():
    x = simulate(2)[None]
    reference = measured(x)
    assert np.allclose(measured(1e-3 * x), reference, atol=1e-5)
    squared = normalise(torch.from_numpy(x)).square().numpy()
    assert np.allclose(measured(squared), reference, atol=1e-4)
    coarse = Grid(5.0, 90.0, 0.05)
    assert (measured(to_grid(GRID.two_theta, x, grid=coarse), coarse) * reference).sum() > 0.9999


def test_flat_pattern_resembles_nothing():
    for x in (np.zeros((1, GRID.size)), -np.ones((1, GRID.size))):
        assert (measured(x) == 0).all()


def test_best_of_each_class():
    similarity = np.array([[0.9, 0.2, 0.5], [0.1, 0.3, 0.2]], dtype=np.float32)
    scores = class_scores(similarity, [7, 7, 99])
    assert np.allclose(scores[:, 6], [0.9, 0.3])
    assert np.allclose(scores[:, 98], [0.5, 0.2])
    others = np.delete(scores, [6, 98], axis=1)
    assert np.allclose(others, [[0.5], [0.2]])


def test_log_probs_are_normalised_and_sharpen_with_temperature():
    scores = np.random.default_rng(0).random((5, 99)).astype(np.float32)
    previous = 0.0
    for temperature in (1.0, 0.1, 0.01):
        p = np.exp(log_probs(scores, temperature))
        assert np.allclose(p.sum(1), 1)
        assert (p.argmax(1) == scores.argmax(1)).all()
        assert p.max() > previous
        previous = p.max()


def test_prior_multiplies_the_probabilities():
    scores = np.random.default_rng(1).random((4, 99))
    prior = np.arange(1, 100) / 4950
    expected = np.exp(log_probs(scores)) * prior
    expected /= expected.sum(1, keepdims=True)
    assert np.allclose(np.exp(log_probs(scores, prior=prior)), expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda: measured(np.ones((2, 100))),
        lambda: measured(np.ones(GRID.size)),
        lambda: measured(np.full((1, GRID.size), np.nan)),
        lambda: class_scores(np.zeros((2, 3)), [1, 2]),
        lambda: class_scores(np.zeros((2, 3)), [0, 1, 2]),
        lambda: class_scores(np.zeros((2, 3)), [1, 2, 100]),
        lambda: log_probs(np.zeros((2, 99)), 0.0),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(XrdlibError):
        call()
