"""`xrdlib groups`, `fetch` and `inventory`: the extinction groups and the external data sets."""

import click

from .frame import Command

GROUPS_EXAMPLES = """examples:
  xrdlib groups                 all 99
  xrdlib groups 14              the group of space group 14
  xrdlib groups P21/n           by symbol of any setting, full or short; Hall, Schoenflies
  xrdlib groups eg14            by the paper's label
  xrdlib groups "C - c (ab)"    by extinction symbol
"""

FETCH_EXAMPLES = """examples:
  xrdlib fetch                  what there is, and under which terms
  xrdlib fetch amcsd
  xrdlib fetch materials-project --clone topology_databases
"""


@click.command(
    cls=Command,
    epilog=GROUPS_EXAMPLES,
    short_help="explain extinction groups",
    context_settings={"ignore_unknown_options": True},  # a Hall symbol may begin with "-"
)
@click.argument("group", required=False, metavar="[SYMBOL|NUMBER]")
def groups(group: str | None) -> None:
    """List the 99 extinction groups, or explain one: its space groups, its reflection conditions,
    and its neighbours on the graph of symmetry lowering.
    """
    from ..prediction import text

    click.echo(text.overview() if group is None else text.group(group), nl=False)


@click.command(cls=Command, epilog=FETCH_EXAMPLES, short_help="fetch a data set")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--clone", type=click.Path(), metavar="FOLDER", help="where the files are, for a set made here"
)
def fetch(names: tuple[str, ...], clone: str | None) -> None:
    """Fetch external data sets into the data folder, checked by hash."""
    from ..base import paths
    from ..structures import datasets, materials_project

    if clone and names != (materials_project.NAME,):
        raise click.UsageError(f"--clone goes with {materials_project.NAME} alone")
    if clone:
        file = paths.cache_dir() / datasets.REGISTRY[materials_project.NAME].file
        number = materials_project.collect(clone, datasets.fetch("known-formulas"), file)
        click.echo(f"{materials_project.NAME}: {number} structures in {file}")
        return
    for name in names:
        click.echo(f"{name}: {datasets.fetch(name)}")
    if not names:
        for entry in datasets.inventory():
            state = "here" if entry["present"] else "not here"
            click.echo(f"{entry['name']:16} {state:9} {entry['origin']} ({entry['licence']})")


@click.command(cls=Command, short_help="write which data sets are here")
@click.argument("file", type=click.Path())
def inventory(file: str) -> None:
    """Write which external data sets are on this machine to a JSON FILE, for the pipeline."""
    from ..structures import datasets

    datasets.write(file)


COMMANDS = [groups, fetch, inventory]
