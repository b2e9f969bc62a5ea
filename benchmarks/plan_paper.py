"""Hardware, hours and cost of PROFILE=paper, from measured rates and counted operations.

    python benchmarks/plan_paper.py [--into docs/scale.md]

Operations of a pattern, forward and back, are counted by PyTorch. A CPU core does them at the rate
measured for the paper's transformer. Of a GPU nothing was measured: its rate is assumed, and a
training waits for its patterns, which one core draws at the rate measured, where that is slower.
"""

import argparse
import sys
from functools import cache
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import plan

from xrdlib.base import config
from xrdlib.learning import stages
from xrdlib.learning.experiment import grid
from xrdlib.reporting import report
from xrdlib.studies import ablations, scaling

GPU = 50e12  # operations a second in bfloat16, assumed: a part of what one is sold for
CORE_PRICE, GPU_PRICE = 0.05, 3.0  # USD an hour, assumed: rented, a GPU with some cores
BEGIN = "<!-- plan of the paper: python benchmarks/plan_paper.py --into FILE -->"
END = "<!-- end of plan of the paper -->"


@cache
def operations(profile, section):
    """Floating-point operations of one pattern, forward and back, of a section's model."""
    settings = config.load(profile)
    model = stages.new_model(settings, section).to("meta")
    with FlopCounterMode(display=False) as counter:
        output = model(torch.zeros(1, grid(settings).size, device="meta"))
        sum(head.sum() for head in output.values()).backward()
    return counter.get_total_flops()


def trainings(settings):
    """Section of the model and number of patterns of every training, by part of the profile."""
    own = {
        stage: ("model", section.steps * section.batch)
        for stage, section in (("stage 1", settings.stage1), ("stage 2", settings.stage2))
    }
    baseline = settings.baselines.steps * settings.baselines.batch
    parts = {name: [training] for name, training in own.items()}
    parts |= {f"baseline: {name}": [(name, baseline)] for name in ("resnet", "plain")}
    for name, study in {"scaling": scaling, "ablations": ablations}.items():
        for training in study.trainings(settings):
            key = f"{name}: {training.section}"
            parts.setdefault(key, []).append((training.section, training.patterns))
    return parts


def rows(parts, counted, found):
    """Rows of the table.

    Parameters
    ----------
    parts : dict
        As from `trainings`.
    counted : dict
        Operations a pattern by section.
    found : dict
        As from `plan.measured`.

    Returns
    -------
    list of dict
        name, trainings, patterns, operations (a pattern), "core hours", "GPU hours".
    """
    core = counted["model"] / (found["paper"]["ms a pattern"] / 1e3)
    drawing = plan.drawing_rate(found["paper"], 1)
    table = []
    for name, done in parts.items():
        section, patterns = done[0][0], sum(n for _, n in done)
        row = {"name": name, "trainings": len(done), "patterns": patterns}
        row["operations"] = counted[section]
        row["core hours"] = plan.hours(patterns, core / counted[section])
        row["GPU hours"] = plan.hours(patterns, min(drawing, GPU / counted[section]))
        table.append(row)
    return table


def markdown(table, drawing):
    """The table as Markdown, with what it rests on."""
    lines = ["| part | trainings | patterns, million | GFLOP a pattern | core hours | GPU hours |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for row in table:
        cells = (
            row["name"],
            f"{row['trainings']}",
            f"{row['patterns'] / 1e6:,.2f}",
            f"{row['operations'] / 1e9:,.1f}",
            f"{row['core hours']:,.0f}",
            f"{row['GPU hours']:,.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    everything, model = _in_words(table), _in_words(table[:2])
    lines += [
        "",
        f"All together {everything}; the paper's model alone, stages 1 and 2, {model}. Measured: "
        f"the core hours of the transformer, and that one core draws {drawing:,.0f} patterns a "
        f"second, for which a GPU waits where a pattern has fewer than "
        f"{GPU / drawing / 1e9:,.0f} GFLOP. Assumed: that a core does the other models' "
        f"operations at the same rate, {GPU / 1e12:.0f} TFLOP a second on a GPU, "
        f"{CORE_PRICE:.2f} USD a core hour and {GPU_PRICE:.2f} USD a GPU hour.",
    ]
    return "\n".join(lines)


def _in_words(table):
    gpu, core = (sum(row[unit] for row in table) for unit in ("GPU hours", "core hours"))
    return (
        f"{gpu:,.1f} hours of one GPU (about {gpu * GPU_PRICE:,.0f} USD) or {core:,.0f} core "
        f"hours ({core * CORE_PRICE:,.0f} USD)"
    )


def text():
    """What the document holds."""
    settings, found = config.load("paper"), plan.measured()
    counted = {name: operations("paper", name) for name in ("model", "resnet", "plain", "vit")}
    table = rows(trainings(settings), counted, found)
    return markdown(table, plan.drawing_rate(found["paper"], 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, help="file with the marks between which it goes")
    into = parser.parse_args().into
    report.insert(into, text(), (BEGIN, END)) if into else print(text())


if __name__ == "__main__":
    main()
