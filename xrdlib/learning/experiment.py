"""Files and streams of a profile: structure libraries, sets of patterns, predictions, streams."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ..base import paths, records
from ..base.errors import XrdlibError
from ..base.patterns import Grid
from ..simulation.diffraction import Reflections
from ..simulation.prototypes import Prototypes, PrototypeSource
from ..simulation.realism import Realism
from ..simulation.stream import PatternStream, RandomCrystalSource, StructureSource, mineral_weights
from ..structures.recipes import shipped

# Streams that must never share patterns have seeds of their own.
SEEDS = {
    "stage1": 1,
    "stage2": 2,
    "uniform": 3,
    "holdout": 4,
    "stage1 prototypes": 5,
    "stage2 prototypes": 6,
    "lattices": 7,
}
MEASURED = ("rruff-calibration", "rruff-test")
HELD_OUT = ("amcsd-calibration", "amcsd-test")
# Shown where no measured patterns are at hand.
HOW_TO_GET_MEASURED = (
    "set XRDLIB_DATA to a folder with rruff.npz or with the official RRUFF archives "
    "(www.rruff.net, zipped_data_files/powder: XY_Processed and DIF), then run again"
)


@dataclass
class PatternSet(records.Record):
    """Patterns as a model reads them, with their labels, families and names.

    Attributes
    ----------
    x : ndarray, (n, n_points) float16
        Network input.
    label : ndarray, (n,) int64
        Class index 0..98.
    family : ndarray, (n,) str
        Mineral family; patterns of one family are never on both sides of a split.
    name : ndarray, (n,) str
        Identifier of each pattern.
    """

    x: np.ndarray
    label: np.ndarray
    family: np.ndarray
    name: np.ndarray


def grid(config: SimpleNamespace) -> Grid:
    """Grid of a profile's models."""
    return Grid(5.0, 90.0, config.grid_step)


def folder(config: SimpleNamespace, name: str) -> Path:
    """Folder `name` of a profile's run, made if missing."""
    path = paths.runs(config.profile) / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def save_set(config: SimpleNamespace, name: str, patterns: PatternSet) -> None:
    """Write a `PatternSet` into the profile's sets."""
    records.save(patterns, _set_path(config, name))


def load_set(config: SimpleNamespace, name: str) -> PatternSet | None:
    """Read a `PatternSet` of the profile; None where its data were not available."""
    path = _set_path(config, name)
    return records.load(PatternSet, path) if path.exists() else None


def load_sets(
    config: SimpleNamespace, names: Iterable[str] = (*MEASURED, *HELD_OUT, "random-crystals")
) -> dict[str, PatternSet]:
    """Those of the named sets that there are, by name."""
    sets = {name: load_set(config, name) for name in names}
    return {name: patterns for name, patterns in sets.items() if patterns is not None}


def calibration_name(names: Iterable[str]) -> str:
    """Set on which choices are made: measured if there is one, else held-out minerals."""
    for name in (MEASURED[0], HELD_OUT[0]):
        if name in names:
            return name
    raise XrdlibError("There is no calibration set; run the stages that write the sets.")


def save_predictions(config: SimpleNamespace, model: str, predictions: dict[str, dict]) -> None:
    """Write the log-probabilities of a model's heads, a dict of dicts of arrays by set."""
    for name, heads in predictions.items():
        records.save_arrays(folder(config, "predictions") / model / f"{name}.npz", heads)


def load_predictions(config: SimpleNamespace, model: str, name: str) -> dict[str, np.ndarray]:
    """Arrays that `save_predictions` wrote for one set."""
    return records.load_arrays(folder(config, "predictions") / model / f"{name}.npz")


def load_structures(config: SimpleNamespace, name: str, kind: type = Reflections) -> records.Ragged:
    """A structure library of the synthesis stage: reflections, or another kind of record."""
    return records.load(kind, folder(config, "bank") / f"{name}.npz")


def realism(config: SimpleNamespace, preset: str = "measured", **overrides: object) -> Realism:
    """Nuisance ranges of the profile, with further overrides of fields of `realism.Realism`.

    The preset is "measured", laboratory patterns; or "mild", good ones, on which stage 1 learns.
    """
    return getattr(Realism, preset)(**{**vars(config.realism), **overrides})


def seed(config: SimpleNamespace, name: str) -> int:
    """Seed of one of the streams in `SEEDS`."""
    return config.seed * 10 + SEEDS[name]


def random_crystals(config: SimpleNamespace, name: str) -> RandomCrystalSource:
    """Endless random crystals, uniform over the 99 groups, for the stream `name`."""
    return RandomCrystalSource(shipped(), seed(config, name), config.synthesis.chunk)


def prototypes(config: SimpleNamespace, name: str, temper: float = 0.0) -> PrototypeSource:
    """Endless decorated prototypes for the stream `name`; groups by tempered frequency."""
    structures, stream = (
        load_structures(config, "prototypes", Prototypes),
        seed(config, f"{name} prototypes"),
    )
    return PrototypeSource(structures, stream, temper=temper, chunk=config.synthesis.chunk)


def stage1_stream(config: SimpleNamespace) -> PatternStream:
    """Balanced synthetic pretraining: random crystals, and decorated prototypes if asked for."""
    share = config.stage1.prototype_share
    sources = [(random_crystals(config, "stage1"), 1 - share)]
    if share:
        sources.append((prototypes(config, "stage1"), share))
    return _stream(config, sources, "stage1", config.stage1.batch, preset="mild")


def stage2_stream(config: SimpleNamespace, batch: int) -> PatternStream:
    """Realistic fine-tuning: textured minerals by tempered frequency, some other crystals."""
    structures, section = load_structures(config, "train"), config.stage2
    sources = [(random_crystals(config, "stage2"), section.random_share)]
    if section.prototype_share:
        source = prototypes(config, "stage2", section.temper)
        sources.append((source, section.prototype_share))
    if section.compound_share:
        compounds = _tempered(load_structures(config, "compounds"), section.temper)
        sources.append((compounds, section.compound_share))
    minerals = 1 - sum(share for _, share in sources)
    sources.insert(0, (_tempered(structures, section.temper), minerals))
    return _stream(config, sources, "stage2", batch, structures)


def _tempered(structures, temper):
    return StructureSource(structures, mineral_weights(structures.group, structures.name, temper))


def _set_path(config, name):
    # Apart, since measured patterns come and go and simulated ones do not.
    return folder(config, f"sets/{'rruff' if name in MEASURED else 'synthetic'}") / f"{name}.npz"


def _stream(config, sources, name, batch, impurities=None, preset="measured"):
    return PatternStream(
        sources,
        realism(config, preset, **vars(getattr(config, name).realism)),
        seed(config, name),
        batch,
        impurities=impurities,
        grid=grid(config),
    )
