"""The command `xrdlib`, one module for each concern; start at `main`.

Modules here parse arguments and print. They import the working modules inside a command's function,
so that help and version appear at once.
"""

import click

from .. import __version__
from . import index, predict, reference, runs, tables
from .frame import Commands, complain

__all__ = ["main"]

EXAMPLES = """examples:
  xrdlib predict pattern.xy                    the five most probable extinction groups
  xrdlib predict *.xrdml --csv > ranking.csv   many files, one table
  xrdlib predict *.xrdml --html report.html    ... or one page with pictures
  xrdlib index pattern.xy                      its unit cells, with M20 and F20
  xrdlib groups P21/c                          what powder diffraction sees of P21/c
  xrdlib fetch amcsd                           mineral structures, for training

`xrdlib COMMAND --help` shows more of each.
"""


@click.group(
    cls=Commands,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """Extinction groups from powder diffraction."""


for _module in (predict, index, reference, runs, tables):
    for _command in _module.COMMANDS:
        commands.add_command(_command)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; `arguments` are those of the process by default.

    The exit code is 0, 2 for an invalid argument or file, or 130 after Ctrl-C.
    """
    try:
        return commands.main(arguments, "xrdlib", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as problem:
        problem.show()
        return 2
    except click.UsageError as problem:
        usage = f"; see `{problem.ctx.command_path} --help`" if problem.ctx else ""
        return complain(" ".join(problem.format_message().split()).rstrip(".") + usage + ".")
    except click.Abort:
        return 130
