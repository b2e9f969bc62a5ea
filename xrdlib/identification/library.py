"""Structure library: the strongest reflections of many known structures in a small file.

Positions are rounded to 0.0015 degrees and heights to 8 bits of their square root, far finer than
measured patterns agree with calculated ones.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..base import tensorfile
from ..base.errors import XrdlibError
from ..base.patterns import CU_KA1
from ..base.records import Ragged, Reflections, concatenate, offsets
from ..simulation.diffraction import WAVELENGTHS, lorentz_polarisation, two_theta
from ..symmetry.groups import N_GROUPS

MOST_REFLECTIONS = 100  # a structure; large cells have hundreds more, which overlap

_RANGE = (4.0, 92.0)  # degrees of Cu K-alpha1, a little more than patterns reach

POSITIONS = 2**16

_CHUNK = 2000  # crystals at a time, so that memory stays small


@dataclass
class Library(Ragged):
    """Reflections of n structures.

    Attributes
    ----------
    start : ndarray, (n + 1,) int64
        Offsets of each structure's reflections.
    position : ndarray, (m,) uint16
        2theta for Cu K-alpha1, see `angles`.
    height : ndarray, (m,) uint8
        255 times the square root of the intensity over that of the strongest reflection.
    group : ndarray, (n,) int16
        Extinction group 1..99.
    computed : ndarray, (n,) bool
        Whether the cell was computed, not measured: it may be some per cent off.
    elements : ndarray, (n, 2) uint64
        See `records.Crystals.elements`.
    name : ndarray, (n,) str
    """

    start: np.ndarray
    position: np.ndarray
    height: np.ndarray
    group: np.ndarray
    computed: np.ndarray
    elements: np.ndarray
    name: np.ndarray

    ROWS = ("position", "height")

    @property
    def intensities(self) -> np.ndarray:
        """Intensity of every reflection, 1 for the strongest of its structure, (m,) float32."""
        return np.square(self.height / 255, dtype=np.float32)


def position_angles() -> np.ndarray:
    """2theta in degrees that each value of `Library.position` stands for, (POSITIONS,) float64."""
    return np.linspace(*_RANGE, POSITIONS)


def from_reflections(reflections: Reflections, computed: bool = False) -> Library:
    """The `MOST_REFLECTIONS` strongest of each crystal, without texture or thermal motion.

    Parameters
    ----------
    reflections : records.Reflections
        Of known extinction group.

    Returns
    -------
    Library

    Raises
    ------
    XrdlibError
        If there is none, or one of unknown group.
    """
    group = np.asarray(reflections.group)
    if len(group) == 0 or not np.isin(group, range(1, N_GROUPS + 1)).all():
        raise XrdlibError(
            f"A library needs structures, each with a group 1..{N_GROUPS}; leave out the others."
        )
    lots = (
        reflections.take(np.arange(first, min(first + _CHUNK, len(group))))
        for first in range(0, len(group), _CHUNK)
    )
    return concatenate(_strongest(lot, computed) for lot in lots)


def save(path: str | Path, library: Library, about: dict) -> None:
    """Write a library.

    Parameters
    ----------
    about : dict
        Of JSON values: where the structures come from.

    Raises
    ------
    XrdlibError
        If a name holds a line break, or the file cannot be written.
    """
    if np.char.find(library.name, "\n").max(initial=-1) >= 0:
        raise XrdlibError("A structure's name holds a line break; give it a plain name.")
    tensors = {
        "counts": torch.from_numpy(np.diff(library.start).astype(np.uint8)),
        # safetensors knows signed 16-bit numbers in every version.
        "position": torch.from_numpy(library.position.view(np.int16)),
        "height": torch.from_numpy(library.height),
        "group": torch.from_numpy(library.group.astype(np.uint8)),
        "computed": torch.from_numpy(library.computed),
        "elements": torch.from_numpy(library.elements.view(np.int64)),
        "name": torch.from_numpy(np.frombuffer("\n".join(library.name).encode(), np.uint8).copy()),
    }
    tensorfile.write(path, tensors, {"library": about})


def load(path: str | Path) -> tuple[Library, dict]:
    """Read what `save` wrote.

    Returns
    -------
    library : Library
    about : dict

    Raises
    ------
    XrdlibError
        If the file is missing, damaged, or no library.
    """
    tensors, header = tensorfile.read(path)
    if "library" not in header or "elements" not in tensors:
        raise XrdlibError(f"{path} holds no library; give a file of library.save.")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    library = Library(
        start=offsets(arrays["counts"].tolist()),
        position=arrays["position"].view(np.uint16),
        height=arrays["height"],
        group=arrays["group"].astype(np.int16),
        computed=arrays["computed"],
        elements=arrays["elements"].view(np.uint64),
        name=np.array(arrays["name"].tobytes().decode().split("\n")),
    )
    return library, header["library"]


def _strongest(reflections, computed):
    """The reflections to keep, strongest first in each crystal."""
    n = len(reflections)
    owner = np.repeat(np.arange(n), np.diff(reflections.start))
    reciprocal = np.linalg.inv(reflections.lattice).transpose(0, 2, 1)
    d_star = np.linalg.norm(np.einsum("mi,mij->mj", reflections.hkl, reciprocal[owner]), axis=1)
    sine = torch.from_numpy(CU_KA1 / 2 * d_star).float()
    strength = reflections.multiplicity * reflections.f2 * lorentz_polarisation(sine).numpy()
    angle = two_theta(d_star, WAVELENGTHS["CuKa1"])
    seen = (angle > _RANGE[0]) & (angle < _RANGE[1]) & (strength > 0)  # false for NaN, too
    angle, strength, owner = angle[seen], strength[seen], owner[seen]
    order = np.lexsort((-strength, owner))
    angle, strength, owner = angle[order], strength[order], owner[order]
    first = np.searchsorted(owner, np.arange(n))
    kept = np.arange(len(owner)) - first[owner] < MOST_REFLECTIONS
    relative = np.sqrt(strength / strength[first[owner]])[kept]
    low, high = _RANGE
    return Library(
        start=offsets(np.bincount(owner[kept], minlength=n)),
        position=np.rint((angle[kept] - low) / (high - low) * (POSITIONS - 1)).astype(np.uint16),
        height=np.rint(255 * relative).astype(np.uint8),
        group=reflections.group.astype(np.int16),
        computed=np.full(n, computed),
        elements=reflections.elements,
        name=np.asarray(reflections.name, dtype=str),
    )
