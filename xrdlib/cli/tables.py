"""`xrdlib derive`: the tables that come with the package, derived anew from their sources."""

import click

from .frame import Command

NAMES = ("symmetry", "wyckoff", "recipes", "minerals", "form_factors")


@click.command(cls=Command, short_help="make a table of the package anew")
@click.argument("name", type=click.Choice(NAMES), metavar="TABLE")
def derive(name: str) -> None:
    """Make one of the tables in xrdlib/tables anew.

    For symmetry, wyckoff and recipes from the operations of the space groups (recipes take some
    minutes), for minerals from published structures (`xrdlib fetch amcsd`), for form_factors from
    gemmi.
    """
    from ..base import files, paths
    from ..simulation import structure_factors
    from ..structures import crystals, fit_minerals
    from ..symmetry import derive, derive_wyckoff

    modules = (derive, derive_wyckoff, crystals, fit_minerals, structure_factors)
    path = paths.TABLES / f"{name}.json"
    files.write_text(path, dict(zip(NAMES, modules, strict=True))[name].derive())
    click.echo(path)


COMMANDS = [derive]
