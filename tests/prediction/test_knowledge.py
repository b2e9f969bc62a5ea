"""What a user knows: elements and structures of their own narrow the library and move the prior."""

import logging

import gemmi
import numpy as np
import pytest
import samples
import torch
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.io.cif import CifWriter

from xrdlib.base.errors import XrdlibError
from xrdlib.base.patterns import GRID
from xrdlib.identification import library
from xrdlib.identification.retrieval import Retrieval
from xrdlib.learning.baselines import build
from xrdlib.prediction import knowledge
from xrdlib.prediction.answer import Request, answer
from xrdlib.prediction.predictor import Predictor
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism, measured_like

SYMBOLS = ["H", "O", "Si", "Na", "Cl", "Ca", "Mg", "Fe", "Al", "Ti", "C", "S"]
MINERALS = np.random.default_rng(2).dirichlet(np.full(99, 2.0)) * 0.9 + 0.1 / 99


@pytest.fixture(scope="module")
def structures():
    return reflections(samples.textbook())


@pytest.fixture(scope="module")
def known(structures):
    return library.from_reflections(structures)


@pytest.fixture(scope="module")
def predictor(known):
    """A network that says nothing beside retrieval, which is sure."""
    model = build("resnet", {"grid": (5.0, 0.02, 4251), "widths": (2, 2, 2, 2)}, seed=3)
    weights = {"network": 0.0, "similarity": 10.0, "prior": 0.5}
    metadata = {
        "calibration": {"T": 1.0, "w": 1.0, "a": 0.0},
        "training_prior": np.full(99, 1 / 99).tolist(),
        "minerals": MINERALS.tolist(),
        "fusion": weights,
        "without_indexing": weights,
    }
    return Predictor(model, metadata, Retrieval(known))


@pytest.fixture(scope="module")
def patterns(structures):
    ranges = Realism.mild(strain=(1e-4, 1e-3))
    return measured_like(structures, ranges, 3, torch.arange(len(structures)), GRID).numpy()


@given(chosen=st.sets(st.sampled_from(SYMBOLS), min_size=1), others=st.booleans())
def test_structures_of_elements_are_those_whose_atoms_say_so(known, chosen, others):
    text = ", ".join(sorted(chosen)) + (" ..." if others else "")
    if chosen == {"H"}:
        with pytest.raises(XrdlibError, match="no element beside hydrogen"):
            knowledge.elements(text)
        return
    held = knowledge.elements(text).hold(known)
    wanted = {gemmi.Element(symbol).atomic_number for symbol in chosen} - {1}
    crystals = samples.crystals()
    for i, (a, b) in enumerate(zip(crystals.start, crystals.start[1:], strict=False)):
        elements = set(crystals.number[a:b].tolist()) - {1}
        assert held[i] == (wanted <= elements if others else elements <= wanted)


def test_elements_may_be_a_list_and_in_small_letters():
    assert knowledge.elements(["Si", "O"]) == knowledge.elements("si o") == ({8, 14}, False)
    assert knowledge.elements("U,Og…") == ({92, 118}, True)


@pytest.mark.parametrize("text", ["Si,Xx", "SiO2", "CO", "silicon", "Si;O", "14"])
def test_what_is_no_symbol_is_refused_in_a_sentence(predictor, text):
    for ask in (knowledge.elements, predictor.knowing):
        with pytest.raises(XrdlibError, match="is not the symbol of an element; give them as in"):
            ask(text)
    with pytest.raises(XrdlibError, match="no element beside hydrogen"):
        knowledge.elements(" ...")


def test_the_prior_counts_the_structures_and_keeps_the_general_one_in_view(known):
    twice = known.take([0, 0, 2, 8, 9])
    twice.name = np.array(["X 1 mp-1", "X 1 mp-2", "a", "b", "c"])
    elements = knowledge.elements("Na Cl Al Mg Si O")
    kept, prior = knowledge.narrowed(twice, MINERALS, elements)
    assert list(kept.name) == ["X 1 mp-1", "X 1 mp-2", "a"]
    counts = np.zeros(99)
    counts[kept.group[[0, 2]] - 1] = 1
    whole = knowledge.STRENGTH + 2
    assert np.allclose(prior, (counts + knowledge.STRENGTH * MINERALS / MINERALS.sum()) / whole)
    assert knowledge.informed(known, MINERALS)[0] is known


def test_known_elements_decide_between_structures(predictor, patterns):
    """The pattern of halite, of a crystal said to be of calcium, carbon and oxygen."""
    i, k = samples.NAMES.index("halite"), samples.NAMES.index("calcite")
    assert predictor.recognise(GRID.two_theta, patterns[[i]])[1][0]["name"] == "halite"
    informed = predictor.knowing("Ca C O")
    assert informed.recognise(GRID.two_theta, patterns[[i]])[1][0]["name"] == "calcite"
    label = samples.textbook().group[k]
    assert informed.metadata["minerals"][label - 1] > MINERALS[label - 1]
    assert predictor.metadata["minerals"] == MINERALS.tolist()  # untouched
    assert predictor.knowing("Ca C O") is informed and predictor.knowing() is predictor
    right = predictor.knowing("Na Cl ...").predict_proba(GRID.two_theta, patterns[[i]])
    table = predictor.predict(GRID.two_theta, patterns[i], top_k=99, elements="Na Cl ...")
    assert np.allclose(table["probability"], np.sort(right[0])[::-1])


def test_elements_that_no_structure_has_leave_retrieval_out(predictor, patterns, caplog):
    with caplog.at_level(logging.WARNING):
        informed = predictor.knowing("U Pu")
    assert "No known structure has these elements" in caplog.text
    probability, nearest, _ = informed.recognise(GRID.two_theta, patterns[:1])
    assert nearest is None and np.allclose(probability.sum(), 1)
    assert np.allclose(informed.metadata["minerals"], MINERALS / MINERALS.sum())
    less = Predictor(predictor.model, predictor.metadata)
    with pytest.raises(XrdlibError, match="need retrieval"):
        less.knowing("Si O")


def test_structures_of_ones_own_are_found_and_named(predictor, known, patterns, tmp_path):
    """The library without pyrite, and pyrite as a CIF file."""
    i = samples.NAMES.index("pyrite")
    less = Predictor(
        predictor.model, predictor.metadata, Retrieval(known.take(np.arange(len(known)) != i))
    )
    pattern = type("Pattern", (), {"two_theta": GRID.two_theta, "intensity": patterns[i]})
    pattern.wavelength = None
    assert answer(less, "x.xy", pattern)["nearest"]["name"] != "pyrite.cif"
    CifWriter(samples.structures()["pyrite"], symprec=0.01).write_file(tmp_path / "pyrite.cif")
    reply = answer(less, "x.xy", pattern, Request(library=tmp_path, elements="Fe,S"))
    assert reply["nearest"]["name"] == "pyrite.cif" and reply["nearest"]["source"] == "your own"
    assert reply["predictions"][0]["group"] == samples.textbook().group[i]
    with pytest.raises(XrdlibError, match="it has no CIF file"):
        answer(less, "x.xy", pattern, Request(library=tmp_path / "none"))
