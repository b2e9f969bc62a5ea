"""Shared parts of the commands: format of the help, common options, error messages."""

import errno
import os
import re
import sys
from collections.abc import Callable

import click

from ..base.config import PROFILES
from ..base.errors import XrdlibError, printable

_FULL = errno.ENOSPC, errno.EDQUOT, errno.EFBIG


def _write_no_more():
    """Discard what Python still has in its buffer and would write when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Examples:
    """Examples after the help, printed without wrapping."""

    def format_epilog(self, ctx, formatter):
        if self.epilog:
            formatter.write_paragraph()
            formatter.write(self.epilog)


class Command(_Examples, click.Command):
    """A command whose help ends with examples."""


class Commands(_Examples, click.Group):
    """Commands in the order in which they were added; an error in one prints one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> int | None:
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
            return code
        except XrdlibError as problem:
            return complain(problem)
        except BrokenPipeError:
            # The reader of our output has closed it, as `head` does.
            _write_no_more()
            return 0
        except OSError as problem:
            if problem.errno not in _FULL:
                raise
            _write_no_more()
            return complain(f"The output cannot be written: {problem.strerror}; make room.")


class Wavelength(click.ParamType):
    """Angstrom unless a unit is named, or the name of a line such as CuKa, resolved later."""

    name = "wavelength"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | float:
        from ..prediction.reading.scans import typed_wavelength

        return typed_wavelength(str(value))


def reading_options(function: Callable) -> Callable:
    """Options of the commands that read a pattern file."""
    for option in (
        click.option(
            "--scan", type=int, metavar="N", help="which scan of a file that holds several, from 1"
        ),
        click.option(
            "--axis",
            type=click.Choice(("two_theta", "d", "q")),
            help="what the positions are; by default what the file says, else two_theta",
        ),
        click.option(
            "--wavelength",
            type=Wavelength(),
            metavar="W",
            help="a line as CuKa, CuKa1, MoKa, or angstrom; by default what the file says, else "
            "CuKa",
        ),
    ):
        function = option(function)
    return function


weights_option = click.option(
    "--weights", type=click.Path(), metavar="FILE", help="a predictor of your own training"
)
profile_option = click.option(
    "--profile", type=click.Choice(PROFILES), help="by default the one named in params.yaml"
)


def complain(problem: object) -> int:
    """Print an error as one line on stderr, options as typed here; returns the exit code."""
    message = printable(problem)
    message = re.sub(
        r"\b(axis|scan|wavelength)=(?=(\S?))", lambda m: f"--{m[1]}{m[2] and ' '}", message
    )
    # Flushed at once: a launcher that lost one of its processes soon ends the others.
    print(f"xrdlib: {message}", file=sys.stderr, flush=True)
    return 2
