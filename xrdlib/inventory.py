"""Which external data sets are on this machine, as a file that the pipeline depends on.

The file changes when a data set arrives, leaves or is replaced, and with it the results that use
it: a stage that runs whenever the pipeline does writes it.
"""

import json
from pathlib import Path

from . import datasets

# AMCSD is fetched by the pipeline itself and pinned by hash; the others are a person's to provide.
PROVIDED = ("rruff", "rruff-processed", "rruff-dif")


def write(file):
    """Write the inventory unless the file already says the same.

    Parameters
    ----------
    file : path-like

    Raises
    ------
    XrdlibError
        If a data set is there and damaged.
    """
    found = {}
    for name in PROVIDED:
        try:
            found[name] = datasets.digest(datasets.path(name))
        except datasets.MissingData:
            found[name] = None
    text = json.dumps(found, indent=1) + "\n"
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
