"""Signatures: every public function and method says the types that it takes and gives."""

import ast

from xrdlib.base.paths import ROOT

# Files that do not yet; nothing is to be added.
UNTYPED = {
    f"identification/{name}.py"
    for name in ("lattice_evidence", "index_cells", "index_search", "pattern_evidence",
                 "pattern_weights", "cell_fits", "profile_sums", "intensity_evidence")
} | {
    f"prediction/{name}.py"
    for name in ("predictor", "answer", "text", "html_report", "widgets", "checks", "many")
}  # fmt: skip


def functions(tree: ast.Module | ast.ClassDef):
    """Public functions of a module, and public and special methods of its public classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node)
        elif isinstance(node, ast.FunctionDef):
            special = isinstance(tree, ast.ClassDef) and node.name.startswith("__")
            if special or not node.name.startswith("_"):
                yield node


def lacking(function: ast.FunctionDef) -> list[str]:
    """Names of parameters without a type; "return" for the value."""
    a = function.args
    parameters = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    names = [p.arg for p in parameters if p.annotation is None and p.arg not in ("self", "cls")]
    return names + ["return"] * (function.returns is None)


def test_public_functions_have_types():
    package, found = ROOT / "xrdlib", []
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        if name in UNTYPED or name.startswith("prediction/reading/"):
            continue
        for function in functions(ast.parse(file.read_text(encoding="utf-8"))):
            found += [f"{name}:{function.lineno} {function.name}: {x}" for x in lacking(function)]
    assert not found, "\n".join(found)


def test_a_missing_type_is_seen():
    module = ast.parse("class A:\n def f(self, x, *y: int) -> int: ...\n def __len__(self): ...")
    assert [lacking(function) for function in functions(module)] == [["x"], ["return"]]
