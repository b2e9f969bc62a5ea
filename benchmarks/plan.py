"""What large trainings take, from the rates that this project has measured.

    python benchmarks/plan.py [--into docs/scale.md]

The model of cost: a pattern costs the same time however many there are; n processes draw it in
parts, but each of them makes every random crystal. So a global pattern takes
``draw / n + crystals`` seconds where drawing is what limits, and ``total / n`` on CPU cores.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from xrdlib.reporting import report

RESULTS = Path(__file__).resolve().parent.parent / "results"
# Stages 1 and 2 of the profile paper: (10,781 + 22,266) batches of 128; and larger ones.
SIZES = {"4.2 million": 4.23e6, "31 million": 31e6, "1 billion": 1e9}
PROCESSES = (1, 2, 4, 8, 64)
POINTS, BYTES = 8501, 2  # of a stored pattern at 0.01 degrees, float16
BEGIN, END = "<!-- plan: python benchmarks/plan.py --into FILE -->", "<!-- end of plan -->"


def measured(folder=RESULTS):
    """Milliseconds a pattern on one core: of each profile in all, to draw, to make crystals.

    Parameters
    ----------
    folder : path-like
        With ``processes.json`` as `bench_processes.py` writes it.

    Returns
    -------
    dict
        "laptop" and "paper" (each a case), "two" (laptop, two processes), "check" (the long run).
    """
    cases = json.loads((Path(folder) / "processes.json").read_text(encoding="utf-8"))["cases"]
    alone = [c for c in cases if c["processes"] == 1]
    laptop = sorted((c for c in alone if c["profile"] == "laptop"), key=lambda c: c["patterns"])
    (two,) = (c for c in cases if c["processes"] == 2)
    (paper,) = (c for c in alone if c["profile"] == "paper")
    return {"laptop": laptop[0], "check": laptop[-1], "paper": paper, "two": two}


def drawing_rate(case, processes):
    """Patterns a second that so many processes draw together, one core each."""
    milliseconds = case["ms to draw"] / processes + case["ms to make crystals"]
    return 1e3 / milliseconds


def hours(patterns, rate):
    """Hours at a rate in patterns a second."""
    return patterns / rate / 3600


def table(found):
    """Rows of the plan, each a label and a number for each of `SIZES`, as text."""
    laptop, paper, rows = found["laptop"], found["paper"], {}
    for name, case in (("laptop", laptop), ("paper", paper)):
        rate = 1e3 / case["ms a pattern"]
        label = f"train the {name} model on CPU cores, core hours ({rate:,.0f} patterns/s a core)"
        rows[label] = [f"{hours(n, rate):,.0f}" for n in SIZES.values()]
    for count in PROCESSES:
        rate = drawing_rate(paper, count)
        label = (
            f"draw in {count} process{'es' if count > 1 else ''}, hours ({rate:,.0f} patterns/s)"
        )
        rows[label] = [f"{hours(n, rate):,.1f}" for n in SIZES.values()]
    stored = [n * POINTS * BYTES / 1e12 for n in SIZES.values()]
    rows["keep them as float16, TB"] = [f"{terabytes:,.2f}" for terabytes in stored]
    return rows


def markdown(found):
    """The plan as Markdown: the table, the check of the model of cost, the first bottleneck."""
    lines = [f"| | {' | '.join(SIZES)} |", "|---|" + "---:|" * len(SIZES)]
    lines += [f"| {label} | {' | '.join(row)} |" for label, row in table(found).items()]
    short, long, paper = found["laptop"], found["check"], found["paper"]
    expected, took = (c["ms a pattern"] * long["patterns"] / 1e3 for c in (short, long))
    limit = 1e3 / paper["ms to make crystals"]
    share = short["ms a pattern"] / found["two"]["ms a pattern"]
    lines += [
        "",
        f"Check of the model of cost at 1/1000 of 31 million: {long['patterns']:,} patterns were "
        f"expected to take {expected:.0f} s of CPU time, from a run of {short['patterns']:,}; "
        f"they took {took:.0f} s ({100 * (took / expected - 1):+.0f} %).",
        "",
        f"Two processes on CPU cores do {100 * share:.0f} % of the work that two independent ones "
        "would: the batch of each is half as large, and each makes all crystals and steps.",
        "",
        f"The first bottleneck: every process makes all random crystals, so that no number of "
        f"processes draws more than {limit:,.0f} patterns/s; half of that is reached with "
        f"{paper['ms to draw'] / paper['ms to make crystals']:.1f} processes.",
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, help="file with the marks between which it goes")
    into = parser.parse_args().into
    text = markdown(measured())
    report.insert(into, text, (BEGIN, END)) if into else print(text)


if __name__ == "__main__":
    main()
