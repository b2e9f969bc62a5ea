"""The command `xrdlib`: predict, groups, fetch. Heavy libraries are loaded by what needs them."""

import argparse
import os
import sys

from . import __version__
from .errors import XrdlibError

EXAMPLES = """examples:
  xrdlib predict pattern.xy                    the five most probable extinction groups
  xrdlib predict *.xrdml --csv > ranking.csv   many files, one table
  xrdlib predict *.xrdml --html report.html    ... or one page with pictures
  xrdlib groups P21/c                          what powder diffraction sees of P21/c
  xrdlib fetch amcsd                           mineral structures, for training

`xrdlib COMMAND --help` shows more of each.
"""
PREDICT = """Rank the extinction groups of measured powder patterns.

Reads columns of text (XY, CSV, ...), XRDML, RAW, BRML, RAS, powder CIF and more.
"""
PREDICT_EXAMPLES = """examples:
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
GROUPS_EXAMPLES = """examples:
  xrdlib groups                 all 99
  xrdlib groups 4               by label
  xrdlib groups P21/c           by the symbol of a space group
  xrdlib groups sg14            by its number
  xrdlib groups "P 1 21/n 1"    by extinction symbol, in any setting
"""
FETCH_EXAMPLES = """examples:
  xrdlib fetch                  what there is, and under which terms
  xrdlib fetch amcsd
"""


def main(arguments=None):
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process by default.

    Returns
    -------
    int
        Exit code: 0, or 2 where an argument or a file was no good.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except XrdlibError as problem:
        return _complain(problem)
    except BrokenPipeError:
        # Whoever reads our output, as `head` does, has seen enough: let nothing more be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def predict(options):
    """Answer about every file; print the answers; write the report if asked for."""
    if options.cell and not options.html:
        raise XrdlibError("What --cell adds is a picture; name a report to draw it in with --html.")
    from . import answer, output, read_pattern
    from .predict import load_predictor

    predictor = load_predictor(options.weights)
    request = answer.Request(
        options.wavelength, options.prior, options.top, options.coverage, options.cell
    )
    request.check(predictor)
    answered, problems = [], []
    for file in _progress(options.files):
        try:
            pattern = read_pattern(file, options.axis, options.wavelength, options.scan)
            found = answer.answer(predictor, file, pattern, request)
        except XrdlibError as problem:
            problems.append(_about(file, problem))
            _complain(problems[-1])
            continue
        answered.append((found, pattern if options.html else None))
    sys.stdout.write(output.FORMS[options.form]([found for found, _ in answered]))
    if options.html:
        from . import html_report

        html_report.write(options.html, predictor, answered, request, problems)
    return 2 if problems else 0


def groups(options):
    """Explain one group, or list all."""
    from . import explain

    sys.stdout.write(explain.overview() if options.group is None else explain.group(options.group))
    return 0


def fetch(options):
    """Fetch data sets, or list what there is."""
    from . import datasets

    for name in options.names:
        print(f"{name}: {datasets.fetch(name)}")
    if not options.names:
        for entry in datasets.inventory():
            state = "here" if entry["present"] else "not here"
            print(f"{entry['name']:16} {state:9} {entry['origin']} ({entry['licence']})")
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="xrdlib",
        description="Extinction groups from powder diffraction.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"xrdlib {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = _command(commands, predict, "rank the groups of patterns", PREDICT, PREDICT_EXAMPLES)
    _predict_options(command)
    about = "List the 99 extinction groups, or explain one: its space groups, its reflection "
    about += "conditions,\nand its neighbours on the graph of symmetry lowering."
    command = _command(commands, groups, "explain extinction groups", about, GROUPS_EXAMPLES)
    command.add_argument("group", nargs="?", metavar="SYMBOL|NUMBER")
    about = "Fetch external data sets into the data folder, checked by hash."
    command = _command(commands, fetch, "fetch a data set", about, FETCH_EXAMPLES)
    command.add_argument("names", nargs="*", metavar="NAME")
    return parser


def _command(commands, run, summary, about, examples):
    command = commands.add_parser(
        run.__name__,
        help=summary,
        description=about,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def _predict_options(command):
    command.add_argument("files", nargs="+", metavar="FILE")
    form = command.add_mutually_exclusive_group()
    for name in ("json", "csv"):
        about = f"print {name.upper()}, for machines"
        form.add_argument(f"--{name}", action="store_const", dest="form", const=name, help=about)
    command.set_defaults(form="text")
    for name, about, settings in (
        (
            "wavelength",
            "a line as CuKa, CuKa1, MoKa, or angstrom; by default what the file says, else CuKa",
            {"type": _wavelength, "metavar": "W"},
        ),
        (
            "axis",
            "what the positions are; by default what the file says, else two_theta",
            {"choices": ("two_theta", "d", "q")},
        ),
        (
            "scan",
            "which scan of a file that holds several, from 1",
            {"type": int, "metavar": "N"},
        ),
        (
            "prior",
            "what you expect before the measurement: minerals (the default), uniform, system=..., "
            "sg=..., or weights; see below",
            {"default": "minerals", "metavar": "P"},
        ),
        ("top", "groups to list, 1 to 99 (default 5)", {"type": int, "default": 5, "metavar": "K"}),
        (
            "coverage",
            "probability with which the set is to hold the true group (default 0.9)",
            {"type": float, "default": 0.9, "metavar": "C"},
        ),
        (
            "cell",
            "angstrom and degrees; the report then shows which lines decide",
            {"type": _cell, "metavar": "A,B,C,AL,BE,GA"},
        ),
        ("html", "write one page with pictures to this file", {"metavar": "REPORT"}),
        ("weights", "a predictor of your own training", {"metavar": "FILE"}),
    ):
        command.add_argument(f"--{name}", help=about, **settings)


def _wavelength(text):
    """Angstrom, or the name of a line, which is looked up later."""
    try:
        return float(text)
    except ValueError:
        return text


def _cell(text):
    """Six numbers, as an argument."""
    values = tuple(float(part) for part in text.split(","))
    if len(values) != 6:
        raise argparse.ArgumentTypeError(f"{text!r} is not six numbers a,b,c,alpha,beta,gamma")
    return values


_cell.__name__ = "cell"  # argparse names it where a part is no number


def _progress(files):
    """The files, with a bar on stderr if there are several and someone watches."""
    if len(files) < 2 or not sys.stderr.isatty():
        return files
    from tqdm import tqdm

    return tqdm(files, unit="file", file=sys.stderr, leave=False)


def _about(file, problem):
    """A problem as one sentence that names the file."""
    return str(problem) if str(problem).startswith(f"{file}:") else f"{file}: {problem}"


def _complain(problem):
    """One line on stderr; the exit code."""
    printable = "".join(c if c.isprintable() else "?" for c in str(problem))
    print(f"xrdlib: {printable}", file=sys.stderr)
    return 2
