"""`xrdlib predict`: from files to answers."""

import sys

import click

from ..base.errors import XrdlibError
from .frame import Command, complain

EXAMPLES = """examples:
  xrdlib predict pattern.xy --top 10
  xrdlib predict pattern.xy --wavelength CoKa           a cobalt tube; or in angstrom: 1.79
  xrdlib predict pattern.txt --axis q                   positions are q and not 2theta
  xrdlib predict pattern.xy --prior system=monoclinic   the system is known beforehand
  xrdlib predict pattern.xy --prior sg=14,15            one of these space groups
  xrdlib predict pattern.xy --prior "P21/c=3,C2/c=1"    odds of three to one
  xrdlib predict *.xy --json > answers.json             a list with one object a file
  xrdlib predict pattern.xy --html report.html --cell 9.85,18.05,5.30,90,104.7,90
                  pictures, and which lines of this cell decide between the first candidates

A file that cannot be answered gets one sentence on stderr and does not stop the others; the exit
code is then 2.
"""


class _Wavelength(click.ParamType):
    """Angstrom, or the name of a line, which is looked up later."""

    name = "wavelength"

    def convert(self, value, param, ctx):
        try:
            return float(value)
        except ValueError:
            return value


class _Cell(click.ParamType):
    """Six numbers, with commas between them."""

    name = "cell"

    def convert(self, value, param, ctx):
        try:
            a, b, c, alpha, beta, gamma = map(float, value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not six numbers a,b,c,alpha,beta,gamma", param, ctx)
        return a, b, c, alpha, beta, gamma


@click.command(cls=Command, epilog=EXAMPLES, short_help="rank the groups of patterns")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="print JSON, for machines")
@click.option("--csv", "as_csv", is_flag=True, help="print CSV, for machines")
@click.option(
    "--wavelength",
    type=_Wavelength(),
    metavar="W",
    help="a line as CuKa, CuKa1, MoKa, or angstrom; by default what the file says, else CuKa",
)
@click.option(
    "--axis",
    type=click.Choice(("two_theta", "d", "q")),
    help="what the positions are; by default what the file says, else two_theta",
)
@click.option(
    "--scan", type=int, metavar="N", help="which scan of a file that holds several, from 1"
)
@click.option(
    "--prior",
    default="minerals",
    metavar="P",
    help="what you expect before the measurement: minerals (the default), uniform, system=..., "
    "sg=..., or weights; see below",
)
@click.option("--top", type=int, default=5, metavar="K", help="groups to list, 1 to 99 (default 5)")
@click.option(
    "--coverage",
    type=float,
    default=0.9,
    metavar="C",
    help="probability with which the set is to hold the true group (default 0.9)",
)
@click.option(
    "--cell",
    type=_Cell(),
    metavar="A,B,C,AL,BE,GA",
    help="angstrom and degrees, where the cell is known: groups are ranked by the absences in it, "
    "and the report shows which lines decide",
)
@click.option(
    "--html",
    type=click.Path(),
    metavar="REPORT",
    help="write one page with pictures to this file",
)
@click.option(
    "--weights", type=click.Path(), metavar="FILE", help="a predictor of your own training"
)
def predict(
    files, as_json, as_csv, wavelength, axis, scan, prior, top, coverage, cell, html, weights
):
    """Rank the extinction groups of measured powder patterns.

    Reads columns of text (XY, CSV, ...), XRDML, RAW, BRML, RAS, powder CIF and more.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other; give one")
    from .. import read_pattern
    from ..prediction import answer, html_report, text
    from ..prediction.predictor import load_predictor

    predictor = load_predictor(weights)
    request = answer.Request(wavelength, prior, top, coverage, cell)
    request.check(predictor)
    answered, problems = [], []
    for file in _progress(files):
        try:
            pattern = read_pattern(file, axis, wavelength, scan)
            found = answer.answer(predictor, file, pattern, request)
        except XrdlibError as problem:
            problems.append(_about(file, problem))
            complain(problems[-1])
            continue
        answered.append((found, pattern if html else None))
    form = "json" if as_json else "csv" if as_csv else "text"
    click.echo(text.FORMS[form]([found for found, _ in answered]), nl=False)
    if html:
        html_report.write(html, predictor, answered, request, problems)
    return 2 if problems else 0


def _progress(files):
    """The files, with a bar on stderr if there are several and someone watches."""
    if len(files) < 2 or not sys.stderr.isatty():
        return files
    from rich.console import Console
    from rich.progress import track

    return track(files, "files", console=Console(stderr=True), transient=True)


def _about(file, problem):
    """A problem as one sentence that names the file."""
    return str(problem) if str(problem).startswith(f"{file}:") else f"{file}: {problem}"


COMMANDS = [predict]
