"""Texts in upstream scripts, read without running them."""

from __future__ import annotations

import ast


def text_constants(tree: ast.Module) -> dict[str, str]:
    """Module-level names that are assigned a constant text; of several assignments the last."""
    found = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                found[name] = text
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text))):
                found[name] = text
    return found
