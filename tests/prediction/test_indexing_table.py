"""Indexing of simulated patterns whose cells are known, from peaks to the table."""

import matplotlib
import numpy as np
import pytest
import samples
import torch

from xrdlib.base import config
from xrdlib.base.patterns import GRID
from xrdlib.identification import basis_reflections, lattice_evidence
from xrdlib.identification.peak_finder import PeakList
from xrdlib.learning import synthesis
from xrdlib.prediction import lattices
from xrdlib.reporting import plot_released
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism, measured_like
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped
from xrdlib.symmetry import groups
from xrdlib.symmetry.cells import cell_of_parameters, conventional

matplotlib.use("Agg")
UNIFORM = np.full(99, 1 / 99)


@pytest.fixture(scope="module")
def evidence():
    """Sets of indices of other crystals, and a network that was never trained."""
    torch.manual_seed(0)
    sets = basis_reflections.learn([samples.random_reflections(1980, 1)])
    return lattice_evidence.LatticeEvidence(sets, lattice_evidence.make_network())


@pytest.fixture(scope="module")
def structures():
    return reflections(generate_balanced(shipped(), 99, 8))


@pytest.fixture(scope="module")
def cases(structures):
    ranges = Realism.mild(strain=(0.0, 0.0), noise=(1e-3, 2e-3))
    intensity = measured_like(structures, ranges, 0, torch.arange(99), GRID).numpy()
    cells = [conventional(lattice) for lattice in structures.lattice]
    names = np.array([f"crystal {i}" for i in range(99)])
    label = structures.group.astype(int) - 1
    return synthesis.Cases(intensity, cells, label, names, names, np.arange(99))


@pytest.fixture(scope="module")
def table(evidence, cases):
    return lattices.table(evidence, cases, UNIFORM, "crystals", n_boot=20)


def test_most_lattices_of_clean_patterns_are_found(table):
    by_name = {row["system"]: row for row in table if "cell_found" in row}
    assert by_name["all"]["n"] == 99
    assert sum(row["n"] for name, row in by_name.items() if name != "all") == 99
    for name in ("cubic", "tetragonal", "orthorhombic"):
        assert by_name[name]["cell_found"] > 50, name


def test_the_table_counts_what_it_says(evidence, cases, table):
    indexed = evidence.index(cases.intensity)
    right = lines = 0
    for pattern, cell in zip(indexed, cases.cell, strict=True):
        lines += pattern.n > table[0]["lines"]
        if pattern.lattices:
            best = max(pattern.lattices, key=lambda lattice: lattice.score)
            right += lattices.same_lattice(cell_of_parameters(*best[:2]), cell)
    assert np.isclose(table[0]["cell_found"], 100 * right / 99) and lines < 50
    logp = evidence.weigh(indexed)
    true = logp[np.arange(99), cases.label]
    assert np.isclose(table[0]["bits_over_prior"], (true.mean() + np.log(99)) / np.log(2))
    *_, prior, shuffled = table
    assert prior["model"] == "prior only" and abs(prior["bits_over_prior"]) < 1e-9
    assert shuffled["model"] == "shuffled" and shuffled["top1"] < table[0]["top1"]
    assert np.isclose(table[0]["top5"], 100 * ((logp > true[:, None]).sum(1) < 5).mean())


def test_patterns_are_indexed_alike_in_several_processes(evidence, cases):
    alone = evidence.index(cases.intensity[:3])
    shared = lattices.index_all(cases.intensity[:3], evidence.sets, workers=2)
    for one, other in zip(alone, shared, strict=True):
        assert np.array_equal(one.score, other.score, equal_nan=True) and one.cell == other.cell


def test_lines_are_made_rougher_but_remain_those_of_the_pattern():
    clean = PeakList(np.linspace(10, 60, 40), np.linspace(0.05, 1, 40))
    lost, strange, moved = [], [], []
    for seed in range(200):
        rough = lattices.rougher(clean, np.random.default_rng(seed))
        assert (np.diff(rough.two_theta) >= 0).all() and rough.height.max() == 1
        off = np.abs(rough.two_theta[:, None] - clean.two_theta)
        near = (off.min(1) < 0.1) & np.isin(rough.height, clean.height)
        lost.append(40 - len(set(off.argmin(1)[near])))
        strange.append((~near).sum())
        moved.append(np.sqrt(np.mean(off.min(1)[near] ** 2)))
        assert (rough.height[~near] < 0.65).all()
    # Means of uniform shares: up to a tenth lost, and as many as three tenths strange.
    assert 1 < np.mean(lost) < 3 and 3.5 < np.mean(strange) < 8
    assert 0.005 < np.mean(moved) < 0.015 and max(moved) < 0.03
    again = [lattices.rougher(clean, np.random.default_rng(7)) for _ in range(2)]
    assert np.array_equal(again[0].two_theta, again[1].two_theta)
    empty = PeakList(np.zeros(0), np.zeros(0))
    assert len(lattices.rougher(empty, np.random.default_rng(0)).two_theta) == 0


def test_simulated_patterns_are_of_the_library_and_the_same_again(structures):
    cfg = config.load("tiny")
    structures.name = np.array([f"mineral {i // 3}" for i in range(99)])
    intensity, label = lattices.simulate(cfg, structures, 12)
    again, same = lattices.simulate(cfg, structures, 5)
    assert intensity.shape == (12, GRID.size) and set(label + 1) <= set(structures.group)
    assert len(again) == len(same) == 5 and (again >= 0).all()


def test_an_example_is_one_whose_lattice_was_found(evidence, cases):
    drawn = lattices.example(evidence, cases, least=5)
    row = int(drawn["name"].split()[1])
    assert groups.crystal_systems()[cases.label[row]] == "orthorhombic"
    assert lattices.same_lattice(drawn["cell"], cases.cell[row])
    near = np.abs(np.array(drawn["found"])[:, None] - drawn["lattice"]).min(1)
    assert (near < 0.15).mean() > 0.8
    assert lattices.example(evidence, cases, least=99) is None


def test_figures_say_what_was_found(evidence, cases, table):
    result = {"rows": table, "example": lattices.example(evidence, cases, least=5)}
    figure = plot_released.indexing(result)
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    shown = [row for row in table if "cell_found" in row]
    assert labels[0] == "all (99)" and len(labels) == len(shown) == len(table) - 2
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    wanted = [row[key] for key in ("system_found", "cell_found") for row in shown]
    assert [width for width in widths if width != 0.8] == wanted  # 0.8: entries of the legend
    assert len(plot_released.indexing({**result, "example": None}).axes) == 1
    curve = plot_released.learning({"train": [2.0, 1.0], "held_out": [2.0, 1.5]})
    assert np.allclose(curve.axes[0].lines[1].get_ydata(), [2 / np.log(2), 1.5 / np.log(2)])
