"""Speed and agreement of the simulator beside pymatgen and gemmi, one core, one run.

    python benchmarks/bench_simulator.py [structures] [--json FILE]

Structures are spread over the AMCSD where it has been fetched (`xrdlib fetch amcsd`), else a dozen
built in.
"""

import argparse
import json
import os
import platform
import sys
import time
import warnings
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import references
from references import WAVELENGTH, as_gemmi, as_pymatgen, render_windowed, with_gemmi, with_pymatgen

from xrdlib.base.patterns import GRID, Grid
from xrdlib.simulation import powder, structure_factors
from xrdlib.simulation.diffraction import d_star, reflections, two_theta
from xrdlib.simulation.prototype_library import aflow_prototypes
from xrdlib.simulation.prototypes import decorate
from xrdlib.simulation.realism import Realism, measured_like
from xrdlib.simulation.reflection_patterns import Peaks
from xrdlib.simulation.reflection_stream import ReflectionStream
from xrdlib.structures.crystals import generate
from xrdlib.structures.recipes import shipped
from xrdlib.symmetry.groups import N_GROUPS, group_of_space_group

TIMED = 150  # structures that speed is measured with; all are compared with the references
BATCH = 128  # patterns of reflections alone, made at a time
GROUP_BATCH = 256  # random crystals made at a time of one group; training makes 20 of each
OURS = "xrdlib.simulate: structure -> pattern"
DENSE, WINDOWED = "pymatgen + dense rendering: pattern", "gemmi + windowed rendering: pattern"


def rate(work, n, seconds=4.0):
    """Items a second; repeated to fill the time, the best repetition counts."""
    work()
    best, begin = np.inf, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return n / best


def stream(crystals, n, device):
    """n measured-looking patterns, each from its own crystal."""
    known = reflections(crystals.take(np.arange(n) % len(crystals)), device=device)
    batch = 256 if device == "cpu" else 4096
    for first in range(0, n, batch):
        rows = np.arange(first, min(first + batch, n))
        index = torch.from_numpy(rows).to(device)
        pattern = measured_like(known.take(rows), Realism(), 1, index, GRID)
    return pattern.sum().item()  # waits for the GPU


def alone(step):
    """Patterns of reflections alone, equal heights, on a grid of the given step."""
    return ReflectionStream(Peaks(), 1, BATCH, Grid(GRID.start, GRID.stop, step))


def speeds(entries, crystals):
    """Print and return items a second of every stage, (n, best repetition) of one core."""
    n = len(crystals)
    structures = [as_pymatgen(crystals, i) for i in range(n)]
    smalls = [as_gemmi(entry) for entry in entries]
    known = reflections(crystals)
    many = known.take(np.arange(256) % n)
    dense = references.render_dense
    rows = [
        ("pymatgen: reflections", lambda: [with_pymatgen(s) for s in structures], n),
        (DENSE, lambda: [dense(*with_pymatgen(s)) for s in structures], n),
        ("gemmi: reflections", lambda: [with_gemmi(s) for s in smalls], n),
        (WINDOWED, lambda: [render_windowed(*with_gemmi(s)) for s in smalls], n),
        ("xrdlib: reflections", lambda: reflections(crystals), n),
        (OURS, lambda: powder.simulate(structures), n),
        (
            "xrdlib: known reflections -> measured-looking",
            lambda: measured_like(many, Realism(), 1, torch.arange(256), GRID, many),
            256,
        ),
        ("xrdlib: crystal -> measured-looking", lambda: stream(crystals, 1024, "cpu"), 1024),
        *(
            (
                f"xrdlib: reflections alone, steps of {step} deg",
                lambda step=step: alone(step).batch(0),
                BATCH,
            )
            for step in (0.04, 0.02, 0.01)
        ),
    ]
    if torch.cuda.is_available():
        row = "xrdlib: crystal -> measured-looking, GPU", lambda: stream(crystals, 32768, "cuda")
        rows.append((*row, 32768))
    measured = {}
    for name, work, items in rows:
        measured[name] = rate(work, items)
        print(f"{name:48s}{measured[name]:9.0f} /s", flush=True)
    ratios = {
        f"simulate over {name}": measured[OURS] / measured[name] for name in (DENSE, WINDOWED)
    }
    for name, value in ratios.items():
        print(f"{name:62s}{value:6.1f}")
    return {"rates": measured, "ratios": ratios}


def crystal_rates(device="cpu"):
    """Print and return crystals a second of random crystals and decorated prototypes, by group.

    The mean is that of a stream uniform over the groups: crystals over seconds.
    """
    recipes, group = shipped(), group_of_space_group()
    prototypes = aflow_prototypes()
    n = GROUP_BATCH if device == "cpu" else 16 * GROUP_BATCH
    index = np.arange(n)
    made = {"random crystals": {}, "decorated prototypes": {}}
    for label in range(1, N_GROUPS + 1):
        members = np.flatnonzero(group == label)
        made["random crystals"][label] = rate(
            lambda m=members: generate(recipes, m[index % len(m)], n, 0, device), n, 0.25
        )
        rows = np.flatnonzero(prototypes.group == label)
        if len(rows):
            made["decorated prototypes"][label] = rate(
                lambda r=rows: decorate(prototypes, r[index % len(r)], index, 0, device), n, 0.1
            )
    found = {}
    for name, rates in made.items():
        values = np.array(list(rates.values()))
        slowest = min(rates, key=rates.get)
        found[f"{name}, {device}"] = {
            "groups": len(values),
            "mean": len(values) / (1 / values).sum(),
            "min": values.min(),
            "slowest_group": slowest,
        }
        print(
            f"{name + ', ' + device:48s}{len(values) / (1 / values).sum():9.0f} /s over "
            f"{len(values)} groups, slowest {values.min():.0f} /s (group {slowest})",
            flush=True,
        )
    return found


def agreement(entries, crystals):
    """Print and return how far patterns and line positions are from both references.

    Against pymatgen with its form factors; structures with more than one atom to a site, which
    it cannot hold, are left out.
    """
    own = reflections(crystals, two_theta_max=90.5)
    table = structure_factors._factor_table
    structure_factors._factor_table = references.pymatgen_factors
    with_theirs = reflections(crystals, two_theta_max=90.5)
    structure_factors._factor_table = table
    r = {"pymatgen": [], "gemmi": []}
    shift = 0.0
    for i, entry in enumerate(entries):
        structure = as_pymatgen(crystals, i)
        content = sum(sum(site.species.values()) for site in structure)
        full = crystals.occupancy[crystals.start[i] : crystals.start[i + 1]].sum()
        both = {"gemmi": (own, with_gemmi(as_gemmi(entry)))}
        if abs(content - full) < 1e-3 * full:
            both["pymatgen"] = (with_theirs, with_pymatgen(structure))
        for name, (known, reference) in both.items():
            a, b = known.start[i : i + 2]
            angle = two_theta(d_star(crystals.lattice[i], known.hkl[a:b]), WAVELENGTH)
            strength = (
                known.multiplicity[a:b] * known.f2[a:b] * references.lorentz_polarisation(angle)
            )
            patterns = render_windowed(angle, strength), render_windowed(*reference)
            r[name].append(np.corrcoef(*patterns)[0, 1])
            strong = angle[strength > 1e-3 * strength.max()]
            shift = max(shift, np.abs(reference[0][:, None] - strong).min(0).max())
    found = {"largest_shift_deg": shift}
    for name, values in r.items():
        values = np.array(values)
        found[name] = {
            "structures": len(values),
            "share_above_0.9999": np.mean(values > 0.9999),
            "worst": values.min(),
        }
        print(
            f"{name:9s}{len(values):5d} structures, {np.mean(values > 0.9999):7.2%} with r above "
            f"0.9999, worst {values.min():.6f}"
        )
    print(f"largest distance of a line from both references: {shift:.1e} degrees")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("structures", type=int, nargs="?", default=600)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    entries, crystals, origin = references.load(options.structures)
    timed = slice(None, None, max(1, len(crystals) // TIMED))
    chosen = crystals.take(timed)
    print(
        f"{len(crystals)} structures ({origin}), {len(chosen)} of them timed, one core, "
        f"torch {torch.__version__}\n",
        flush=True,
    )
    found = {
        "structures": len(chosen),
        "origin": origin,
        "machine": platform.machine(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        **speeds(entries[timed], chosen),
    }
    print()
    found["crystals"] = crystal_rates()
    if torch.cuda.is_available():
        found["crystals"] |= crystal_rates("cuda")
    print()
    found["agreement"] = agreement(entries, crystals)
    if options.json:
        text = json.dumps(found, indent=1, default=float) + "\n"
        options.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
