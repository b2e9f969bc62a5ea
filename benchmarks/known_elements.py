"""What known elements are worth: patterns of other laboratories, with and without them.

    python benchmarks/known_elements.py [calibration|test]

The elements are those of the ideal formula of each mineral or compound (collection
`measured_other`; RRUFF's patterns carry no names).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from xrdlib import load_predictor
from xrdlib.base.patterns import GRID
from xrdlib.structures import measured

HALVES = ("calibration", "test")

ELEMENTS = {
    "Al O": "corundum Al2O3",
    "Al K O Si": "ordered_microcline intermediate_microcline",
    "Al K Na O Si": "sanidine orthoclase",
    "C Ca O": "aragonite",
    "C Ca Mg O": "dolomite",
    "C Ca Fe Mg O": "fe_dolomite ankerite",
    "Mg O Si": "talc",
    "Al O Si": "pyrophyllite sillimanite",
    "Ca Mg O Si": "pyroxene_diopside",
    "Fe S": "pyrite",
    "Ca O S": "anhydrite bassanite",
    "Ba O S": "barite",
    "Al K O S": "alunite",
    "Fe K O S": "jarosite jarosite_mex",
    "Fe O": "hematite hematite_fine goethite lepidocrocite",
    "Ca F O P": "fluorapatite",
    "Fe Mg O Si": "fosterite enstatite hypersthene",
    "O Ti": "anatase",
    "Mn O": "ramsdellite Mn2O3 MnO MnO2",
    "Al Ca Fe O Si": "epidote",
    "Fe O Ti": "ilmenite",
    "Mg O": "brucite",
    "O Si": "cristobalite",
    "Al B Fe Mg Na O Si": "tourmaline",
    "C O Sr": "strontianite",
    "O S Sr": "celestine",
    "Al Na O Si": "analcime",
    "C": "graphite",
    "Fe": "iron",
    "S": "sulfur",
    "O Zn": "zincite",
    "Ag": "silver",
    "Al Ca Fe Mg Na O Si": "augite",
    "Al O H": "diaspore",
    "As Fe S": "arsenopyrite",
    "Ca Fe O Si": "hedenbergite",
    "Al Ca O Si": "chabazite prehnite",
    "C Na O": "natrite nahcolite",
    "O Pb S": "anglesite PbSO4",
    "Co Li Mn Ni O": "LiTMO3",
    "Ba Co O Tb": "Tb2BaCoO5",
    "Cd S": "CdS",
    "Mn S": "MnS",
    "Ni O": "Ni(OH)2",
    "Pb Se": "PbSe",
    "O Ru": "RuO2",
    "Sn": "Sn",
    "Ti": "Ti-bcc",
    "O W": "WO3",
    "S Zn": "ZnS",
    "Zr": "Zr",
    "Li Mn O": "LiMnO2",
}


def score(logp, labels):
    """Top-1 and top-5 in per cent, and the mean negative log-likelihood in nats."""
    rank = (logp > logp[np.arange(len(labels)), labels][:, None]).sum(1)
    nll = -logp[np.arange(len(labels)), labels].mean()
    return 100 * (rank < 1).mean(), 100 * (rank < 5).mean(), nll


def main():
    wanted = sys.argv[1:] or list(HALVES)
    if not set(wanted) <= set(HALVES):
        sys.exit(__doc__)
    known = {name: stated for stated, names in ELEMENTS.items() for name in names.split()}
    predictor = load_predictor()
    halves = dict(zip(HALVES, measured.split(measured.load_other(), "other"), strict=True))
    for name in wanted:
        patterns = halves[name]
        labels = patterns.group.astype(int) - 1
        asked = {
            "elements unknown": [None] * len(labels),
            "elements known": [known[source] for source in patterns.source],
            "known, perhaps others": [f"{known[source]} ..." for source in patterns.source],
        }
        for title, stated in asked.items():
            rows = zip(patterns.intensity, stated, strict=True)
            found = [predictor.knowing(e).predict_proba(GRID.two_theta, [x])[0] for x, e in rows]
            top1, top5, nll = score(np.log(np.maximum(found, 1e-300)), labels)
            print(f"{name}, n {len(labels)}, {title}: {top1:.1f} / {top5:.1f}, NLL {nll:.3f}")


if __name__ == "__main__":
    main()
