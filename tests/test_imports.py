"""Who may import whom; what the other way is needed for goes through registered names or is imported by a command."""

import ast

import pytest

from tests.conftest import ROOT

PACKAGES = ("harness", "benchmarks", "trainers", "reports")
ALLOWED = {"harness": {"harness"}} | {p: {p, "harness"} for p in PACKAGES[1:]}


def is_for_types_only(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def packages_of(node):
    names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return {n.partition(".")[0] for n in names} & set(PACKAGES)


def imports(tree, *, into_functions):
    """(line, package) of the imports that run: on loading the module, or also inside its functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((node.lineno, p) for p in packages_of(node))
        elif not is_for_types_only(node) and (
            into_functions or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        ):
            yield from imports(node, into_functions=into_functions)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_at_the_engine(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {other}"
        for file in files
        for line, other in imports(
            ast.parse(file.read_text(encoding="utf-8")), into_functions=file.parent != ROOT / "harness" / "cli"
        )
        if other not in ALLOWED[package]
    ]
    assert not wrong
