"""How often the cell of a simulated pattern is right, by crystal system, and what that costs.

    python benchmarks/bench_indexing.py [N] [usual]

N patterns (25) of each crystal system: compounds of the Materials Project whose types of structures
are held out, each type once, of good quality or, with `usual`, as laboratories measure. The library
of known structures is left out. A cell is right whose Niggli cell is the specimen's within 1 % and
1 degree. Needs mp_structures.parquet in the data folder.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import gemmi
import numpy as np
import pandas as pd
import torch

from xrdlib.base import paths
from xrdlib.base.patterns import CU_KA1, GRID
from xrdlib.identification.standard_setting import Standard
from xrdlib.learning import priors
from xrdlib.learning.synthesis import specimen_cells
from xrdlib.prediction.indexing import cells_of
from xrdlib.prediction.lattices import same_lattice
from xrdlib.prediction.predictor import load_predictor
from xrdlib.simulation.diffraction import reflections
from xrdlib.simulation.realism import Realism, measured_like
from xrdlib.structures import materials_project
from xrdlib.symmetry import groups

STRAIN, SITES, SEED = (0.0005, 0.002), 30, 11


def patterns(n, usual):
    """Rows of structures, their patterns (m, GRID.size), and the reduced cells of specimens."""
    rows = materials_project.table(paths.data_dir() / materials_project.FILE)
    rows = rows[rows["holdout"] & (rows["element"].map(len) <= SITES)].drop_duplicates("type")
    rows["system"] = np.array(groups.crystal_systems())[rows["group"] - 1]
    rows = rows.sample(frac=1, random_state=SEED).groupby("system").head(n)
    structures = reflections(materials_project.crystals(rows))
    ranges = (Realism.measured if usual else Realism.mild)(strain=STRAIN)
    about = structures, ranges, SEED, torch.arange(len(rows))
    letters = [gemmi.find_spacegroup_by_number(int(k)).hm[0] for k in rows["space_group"]]
    cells = zip(specimen_cells(*about), letters, strict=True)
    return rows, measured_like(*about, GRID).numpy(), [Standard(*x, "").reduced() for x in cells]


def main():
    n = next((int(word) for word in sys.argv[1:] if word.isdigit()), 25)
    rows, intensity, true = patterns(n, "usual" in sys.argv)
    predictor = load_predictor(retrieval=False)
    target = priors.resolve_prior("minerals", predictor.metadata["minerals"])
    ratio = priors.log_ratio(target, np.full(groups.N_GROUPS, 1 / groups.N_GROUPS))
    predictor.evidence(GRID.two_theta, intensity[:1], CU_KA1)  # compiles
    found = []
    for group, pattern, cell in zip(rows["group"], intensity, true, strict=True):
        start = time.process_time()
        seen = predictor.evidence(GRID.two_theta, [pattern], CU_KA1)
        seconds = time.process_time() - start
        probability = np.exp(predictor.weigh(seen, ratio))[0]
        told = predictor.lattices.patterns, pattern, seen.fitted[0], probability, CU_KA1
        right = [same_lattice(cell, x.standard.reduced()) for x in cells_of(*told)[1]]
        order = (np.argsort(-probability, kind="stable") + 1).tolist()
        groups_right = order[0] == group, group in order[:5]
        found.append((right[:1] == [True], any(right[:5]), *groups_right, seconds))
    names = ["cell right", "among 5", "group top-1", "top-5", "CPU s"]
    table = pd.DataFrame(found, columns=names, index=rows["system"]).astype(float)
    means = table.groupby(level=0).mean()
    means.loc["all"] = table.mean()
    print(means.assign(n=[*table.groupby(level=0).size(), len(table)]).round(3).to_string())


if __name__ == "__main__":
    main()
