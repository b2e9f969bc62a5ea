"""Commands for a profile: trainings, and tables, figures and claims from its results."""

from pathlib import Path

import click

from .frame import Command, complain, profile_option

TRAIN_EXAMPLES = """examples:
  xrdlib train stage1 --profile paper
  accelerate launch -m xrdlib train stage1 --profile paper     in several processes
"""

STUDY_EXAMPLES = """examples:
  xrdlib study ablations --part 1/2       the other half elsewhere, with --part 2/2
  xrdlib study scaling --status           how far they are
"""

into_option = click.option(
    "--into", type=click.Path(), metavar="FILE", help="put the table between the marks in FILE"
)


@click.command(cls=Command, epilog=TRAIN_EXAMPLES, short_help="train one stage of a profile")
@click.argument("stage")
@profile_option
def train(stage: str, profile: str | None) -> int | None:
    """Train one stage (stage1, stage2, resnet or plain), in as many processes as a launcher starts.

    It is what the stage's notebook trains, to the same checkpoint: the notebook then finds its run
    finished. The stages before must have run.
    """
    from ..base.errors import XrdlibError
    from ..learning import ranks, stages

    try:
        history = stages.start(profile, stage)
    except XrdlibError as problem:
        return complain(problem)
    finally:
        ranks.leave()
    if ranks.is_first():
        seconds, loss = history.seconds, history.rows[-1]["loss"]
        click.echo(f"{stage}: {history.patterns:,} patterns, {seconds:.0f} s, loss {loss:.4f}")


@click.command(cls=Command, epilog=STUDY_EXAMPLES, short_help="do the trainings of a study")
@click.argument("name", type=click.Choice(("scaling", "ablations")), metavar="STUDY")
@click.option("--part", default="1/1", metavar="K/N", help="every N-th training, from the K-th on")
@click.option("--status", is_flag=True, help="only say how far the trainings are")
@click.option("--plan", is_flag=True, help="only say how long they take on this machine")
@profile_option
def study(name: str, part: str, status: bool, plan: bool, profile: str | None) -> None:
    """Do the trainings of a study, scaling or ablations; its notebook finds them finished."""
    from ..base.config import load
    from ..studies import ablations, scaling, trainings

    study = {"scaling": scaling, "ablations": ablations}[name]
    settings = load(profile)
    chosen = trainings.part(study.trainings(settings), part)
    if plan:
        click.echo(trainings.plan(settings, chosen))
    if status:
        click.echo(trainings.status(study, settings, chosen))
    for training in [] if plan or status else chosen:
        click.echo(f"{training.name}, seed {training.seed}, {training.patterns:,} patterns")
        study.train_one(settings, training)


EVALUATE_EXAMPLES = """examples:
  xrdlib evaluate                         the test half of RRUFF, beside search-match and nulls
  xrdlib evaluate --set measured_other    patterns of other laboratories, test half first
  xrdlib evaluate --set mp100             clean patterns of 100 compounds held out, and their cells
  xrdlib evaluate --set random_crystals   clean patterns of random crystals, two of each group
"""


@click.command(cls=Command, epilog=EVALUATE_EXAMPLES, short_help="score the released predictor")
@click.option(
    "--set",
    "name",
    type=click.Choice(("rruff-test", "measured_other", "mp100", "random_crystals")),
    default="rruff-test",
    help="by default rruff-test",
)
@click.option("--weights", type=click.Path(), metavar="FILE", help="another predictor")
@click.option("--json", type=click.Path(), metavar="FILE", help="also write all rows")
def evaluate(name: str, weights: str | None, json: str | None) -> None:
    """Evaluate the released predictor on a set of patterns, beside its nulls.

    Intervals are 95 % of a bootstrap over mineral families, or over structure types.
    """
    from ..prediction.benchmarks import run
    from ..reporting.headline import headline
    from ..reporting.report import as_text

    result = run(name, weights, json)
    click.echo(as_text({"profile": "released", "notes": [], **result}))
    if name == "rruff-test":
        click.echo(f"\n{headline(result['rows'])}")


@click.command(cls=Command, short_help="fit a predictor's weights anew")
@click.option("--weights", type=click.Path(), metavar="FILE", help="another predictor")
@click.option("--fits", type=int, metavar="N", help="learn from N fits of simulated patterns first")
@click.option("--threads", type=int, default=1, metavar="N", help="processes (default 1)")
def reweigh(weights: str | None, fits: int | None, threads: int) -> None:
    """Fit anew how the released predictor weighs its parts, on the calibration patterns.

    Its network stays; the library and the lattices beside it may be newer than the file. With
    --fits the weights of fitted lattices are learned on compounds of the Materials Project.
    """
    from ..base.errors import XrdlibError
    from ..learning.experiment import HOW_TO_GET_MEASURED, MEASURED
    from ..prediction import assemble, simulated_sets
    from ..prediction.evaluate import measured
    from ..prediction.pattern_training import compounds
    from ..prediction.predictor import DEFAULT
    from ..structures import datasets, materials_project
    from ..structures.measured import join, load_other, split

    sets = measured()
    if not sets:
        raise XrdlibError(f"No measured patterns: {HOW_TO_GET_MEASURED}.")
    path = datasets.path(materials_project.NAME)
    patterns = join([sets[MEASURED[0]], split(load_other(), "other")[0]])
    simulated = compounds(path, fits) if fits else None
    more = simulated_sets.known_compounds(path), simulated_sets.new_compounds(path)
    about = simulated, threads, more
    predictor = assemble.reweigh(weights or DEFAULT, patterns, *about)
    click.echo(str(predictor.fusion))


@click.command(cls=Command, short_help="build the structure library anew")
@profile_option
def library(profile: str | None) -> None:
    """Build the library of the released predictor anew, from what a profile's run has prepared.

    The weights stay as they are; `xrdlib reweigh` fits them to the new one.
    """
    from ..base.config import load
    from ..prediction.known_structures import renew_library
    from ..prediction.predictor import DEFAULT

    click.echo(f"{len(renew_library(DEFAULT, load(profile)))} structures")


@click.command(cls=Command, short_help="print the results of a profile")
@profile_option
@click.option("--markdown", is_flag=True, help="all tables, for docs/results.md")
@click.option("--headline", is_flag=True, help="the headline table, for the README")
@into_option
def report(profile: str | None, markdown: bool, headline: bool, into: str | None) -> None:
    """Print the summary of a profile's results."""
    from ..base import config
    from ..reporting import documents, report
    from ..reporting.headline import headline as table

    result = report.load(profile or config.load().profile)
    if headline:
        text, marks = table(result.get("released", {}).get("rows", [])), report.HEADLINE
    elif markdown or into:
        text, marks = documents.tables(result), report.RESULTS
    else:
        text, marks = report.as_text(result), None
    if into:
        report.insert(into, text, marks)
    else:
        click.echo(text)


@click.command(cls=Command, short_help="draw figures from results")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--studies", is_flag=True, help="those of all studies at hand")
@profile_option
def gallery(names: tuple[str, ...], studies: bool, profile: str | None) -> None:
    """Draw figures from the result files of a profile: those named, or all but the studies'."""
    from ..base import paths
    from ..base.config import load
    from ..reporting.gallery import at_hand, draw

    settings = load(profile)
    names = [*names, *(at_hand(settings) if studies else [])]
    for name in draw(settings, names):
        click.echo(paths.figures(settings.profile) / f"{name}.png")


@click.command(cls=Command, short_help="judge the paper's claims")
@profile_option
@into_option
@click.option(
    "--companion", type=click.Path(), metavar="FILE", help="write all claims with their figures"
)
def claims(profile: str | None, into: str | None, companion: str | None) -> None:
    """Print the paper's claims with their verdicts."""
    from ..base import files
    from ..base.config import load
    from ..reporting.claims import MARKS, as_markdown, document, mixed, table
    from ..reporting.report import insert

    config = load(profile)
    rows = table(config)
    if line := mixed(config):
        complain(line)
    if into:
        insert(into, as_markdown(rows), MARKS)
    if companion:
        files.write_text(companion, document(rows))
    if into or companion:
        return
    for name, row in rows.iterrows():
        click.echo(f"{name}: {row['verdict']}\n  {row['claim']}\n  {row['evidence']}\n")


@click.command(cls=Command, short_help="digests of the code behind notebooks")
@click.argument("folder", type=click.Path())
@click.argument("notebooks", nargs=-1, required=True, type=click.Path())
def digests(folder: str, notebooks: tuple[str, ...]) -> None:
    """Write a digest of all code behind each notebook into a folder; stages depend on them."""
    from ..base import provenance

    provenance.write(folder, notebooks)


@click.command(cls=Command, short_help="bring the pipeline up to date")
@click.argument("target", default="dvc.yaml")
@click.option("--times", type=click.Path(path_type=Path), help="JSON file: what stages took")
def repro(target: str, times: Path | None) -> int:
    """Run `dvc repro` and say how far it is; TARGET is a stage or a file of stages."""
    from . import progress

    return progress.repro(target, times)


COMMANDS = [train, study, evaluate, reweigh, library, report, gallery, claims, digests, repro]
