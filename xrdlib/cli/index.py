"""`xrdlib index`: from a file to unit cells."""

import click

from .frame import Command, reading_options, weights_option

EXAMPLES = """examples:
  xrdlib index pattern.xy
  xrdlib index pattern.xy --wavelength CoKa --top 3
  xrdlib index pattern.xy --json                    for machines
  xrdlib index pattern.xy --hkl peaks.csv           observed and calculated peaks of the first cell

Cells are in the standard setting of the International Tables: hexagonal axes for rhombohedral
lattices, b unique for monoclinic ones. M20 and F20 are those of de Wolff and of Smith and Snyder,
of the first 20 peaks that a cell indexes, or as many as there are (M12). Triclinic cells are not
sought.
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="find the unit cell of a pattern")
@click.argument("file", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="print JSON, for machines")
@click.option("--top", type=click.IntRange(1), default=10, metavar="K", help="cells (default 10)")
@reading_options
@click.option(
    "--hkl",
    type=click.Path(),
    metavar="CSV",
    help="write the peaks of the first cell to this file: indices, 2theta calculated and observed",
)
@weights_option
def index(
    file: str,
    as_json: bool,
    top: int,
    wavelength: str | float | None,
    axis: str | None,
    scan: int | None,
    hkl: str | None,
    weights: str | None,
) -> int | None:
    """Find the unit cells that explain a measured powder pattern, the most probable first.

    Reads columns of text (XY, CSV, ...), XRDML, RAW, BRML, RAS, powder CIF and more.
    """
    from .. import read_pattern
    from ..base.errors import XrdlibError
    from ..base.files import write_text
    from ..prediction import answer, cell_table, cell_words, checks, flags, peak_positions
    from ..prediction.predictor import load_predictor

    predictor = load_predictor(weights)
    pattern = read_pattern(file, axis, wavelength, scan)
    used, assumed = answer.used_wavelength(pattern, answer.Request(wavelength))
    scan = pattern.two_theta, pattern.intensity, used
    flagged = checks.of_pattern(*scan, assumed, predictor.grid)
    flagged |= {"wavelength_assumed": ""} if assumed else {}
    notes = [flags.FLAGS[flag] for flag in flagged if flag not in ("no_peaks", "few_peaks")]
    peaks, cells = cell_table.find_cells(predictor, *scan)
    cells = cells[:top]
    form = cell_words.document if as_json else cell_words.listing
    click.echo(form(file, peaks, cells, notes), nl=False)
    if hkl:
        if not cells:
            raise XrdlibError(f"{file}: no cell was found, so that {hkl} is not written.")
        write_text(hkl, peak_positions.positions(peaks, cells[0]).round(4).to_csv(index=False))


COMMANDS = [index]
