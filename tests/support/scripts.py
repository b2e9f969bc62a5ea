"""The programs in benchmarks/, as modules."""

import importlib.util

from xrdlib.base.paths import ROOT


def benchmark(name):
    """The module made of benchmarks/NAME.py."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"benchmarks/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
