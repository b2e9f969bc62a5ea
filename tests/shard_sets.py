"""Small sets of patterns in shards."""

from xrdlib import shards
from xrdlib.crystals import generate_balanced
from xrdlib.diffraction import reflections
from xrdlib.patterns import Grid
from xrdlib.realism import Realism
from xrdlib.recipes import shipped
from xrdlib.stream import BankSource, PatternStream

GRID = Grid(5.0, 84.0, 1.0)


def small_bank():
    return reflections(generate_balanced(shipped(), 20, seed=3))


def small_stream(bank, batch=4, grid=GRID):
    return PatternStream([(BankSource(bank), 1)], Realism(), 5, batch, grid=grid)


def write(stream, folder, patterns=40):
    """Write shards of three batches each."""
    return shards.write(stream, folder, patterns, batches=3, progress=False)
