"""`xrdlib predict`: from files to answers."""

import os
import sys
from glob import glob, has_magic
from pathlib import Path

import click

from ..base.errors import XrdlibError
from .frame import Command, complain, reading_options, weights_option

_FEW = 8  # files a process, below which starting another takes longer than it saves

EXAMPLES = """examples:
  xrdlib predict pattern.xy --top 10
  xrdlib predict pattern.xy --wavelength CoKa           a cobalt tube; or in angstrom: 1.79
  xrdlib predict pattern.txt --axis q                   positions are q and not 2theta
  xrdlib predict pattern.xy --prior system=monoclinic   the system is known beforehand
  xrdlib predict pattern.xy --prior sg=14,15            one of these space groups
  xrdlib predict pattern.xy --prior "P21/c=3,C2/c=1"    odds of three to one
  xrdlib predict pattern.xy --elements Ca,Mg,Si,O       known structures of these alone
  xrdlib predict pattern.xy --library my_structures     a folder of CIF files joins them
  xrdlib predict measured "more/*.xrdml" --out answers.json   folders, quoted wildcards
  xrdlib predict measured --html report.html            a page with a table, and one a file
  xrdlib predict pattern.xy --html report.html --cell 9.85,18.05,5.30,90,104.7,90
                  pictures, and which lines of this cell decide between the first candidates

Many files are shared among all cores; --jobs 1 keeps to one. A file that cannot be answered gets
one sentence on stderr and does not stop the others; the exit code is then 2.
"""


class _Cell(click.ParamType):
    """Six numbers, with commas between them."""

    name = "cell"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        try:
            a, b, c, alpha, beta, gamma = map(float, value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not six numbers a,b,c,alpha,beta,gamma", param, ctx)
        return a, b, c, alpha, beta, gamma


@click.command(cls=Command, epilog=EXAMPLES, short_help="rank the groups of patterns")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="print JSON, for machines")
@click.option("--csv", "as_csv", is_flag=True, help="print CSV, for machines")
@reading_options
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
    "--elements",
    metavar="E",
    help='as Ca,Mg,Si,O: the specimen has no others (but H); "Si O ...": it has at least these',
)
@click.option(
    "--library",
    type=click.Path(),
    metavar="FOLDER",
    help="CIF files that join the known structures",
)
@click.option(
    "--html", type=click.Path(), metavar="REPORT", help="write one page with pictures to this file"
)
@click.option(
    "--out",
    type=click.Path(),
    metavar="FILE",
    help="write the answers here; a name that ends in .json or .csv says in which form",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="processes; by default one, and as many as there are cores for many files",
)
@weights_option
def predict(files: tuple[str, ...], as_json: bool, as_csv: bool, **options: object) -> int:
    """Rank the extinction groups of measured powder patterns: FILES, folders, quoted wildcards.

    Reads columns of text (XY, CSV, ...), XRDML, RAW, BRML, RAS, powder CIF and more.
    """
    out, html = options["out"], options["html"]
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other; give one")
    for path in filter(None, (out, html)):
        _check_writable(path)
    if out and html and Path(out).resolve() == Path(html).resolve():
        raise click.UsageError("--out and --html name the same file; give two")
    from ..prediction import many, text
    from ..prediction.answer import Request

    names = ("wavelength", "prior", "top", "coverage", "cell", "elements", "library")
    task = many.Task(
        Request(*(options[name] for name in names)),
        *(options[name] for name in ("axis", "scan", "weights")),
        html is not None,
    )
    for line in text.understood(options["prior"]):
        click.echo(line, err=True)
    inputs, problems = _expanded(files, [Path(path).resolve() for path in (out, html) if path])
    jobs = options["jobs"] or max(1, min(os.cpu_count() or 1, len(inputs) // _FEW))
    answered = []
    for problem in problems:
        complain(problem)
    for one in _progress(many.answers(inputs, task, jobs), len(inputs)):
        if one.problem:
            problems.append(one.problem)
            complain(one.problem)
        else:
            answered.append(one)
    suffix = Path(out or "").suffix.lower()
    form = "json" if as_json or suffix == ".json" and not as_csv else "text"
    form = "csv" if as_csv or suffix == ".csv" and not as_json else form
    written = text.FORMS[form]([one.answer for one in answered])
    if out:
        text.write_text(out, written)
    else:
        click.echo(written, nl=False)
    if html:
        from ..prediction import html_report

        html_report.write(html, [(one.answer, one.section) for one in answered], problems)
    return 2 if problems else 0


def _expanded(arguments, results):
    """Input files that the arguments name, and messages for arguments that name none.

    Results of an earlier run at the same path, and its pages beside it, are left out of folders.
    """
    results = [*results, *(path.with_name(f"{path.stem}_files") for path in results)]
    files, problems = [], []
    for name in arguments:
        path = Path(name)
        if name != "-" and path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file())
            own = [str(p) for p in inside if not p.relative_to(path).as_posix().startswith(".")]
        elif name != "-" and has_magic(name) and not path.exists():
            own = [p for p in sorted(glob(name, recursive=True)) if Path(p).is_file()]
        else:
            own = [name]
        if own != [name]:
            own = [p for p in own if not {(q := Path(p).resolve()), *q.parents} & {*results}]
        files += own
        if not own:
            problems.append(f"{name}: there is no file; check the name.")
    return files, problems


def _check_writable(path):
    """Refuse a path, before the work, to which nothing can be written after it."""
    folder = Path(path).absolute().parent
    if Path(path).is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise XrdlibError(f"{path} cannot be written; name a file in a folder that is there.")


def _progress(answers, number):
    """The answers, with a bar on stderr if there are several and someone watches."""
    if number < 2 or not sys.stderr.isatty():
        return answers
    from rich.console import Console
    from rich.progress import track

    return track(answers, "files", number, console=Console(stderr=True), transient=True)


COMMANDS = [predict]
