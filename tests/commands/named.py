"""Tests that are named in a table: whether they are there."""

import ast

from tests.commands.made import ROOT


def exists(name: str) -> str:
    """The source of a test, named as ``path::function``."""
    path, _, function = name.partition("::")
    source = (ROOT / path).read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function:
            return ast.get_source_segment(source, node) or ""
    raise AssertionError(f"there is no test {name}")
