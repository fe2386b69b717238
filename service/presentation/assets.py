"""The files that the pages share: styles, scripts and the plotting library."""

import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

_LINKS = re.compile(r"^import .*;\n|^export (?=\w)", re.MULTILINE)

PLOTLY = "plotly.min.js"

SHARED = ("theme.css", "format.js", "plots.js")
"""Files that every page uses."""


def static_text(package: str, name: str) -> str:
    """Return a file of a package's ``static`` folder as text."""
    return files(package).joinpath("static", name).read_text("utf-8")


def shared_text(name: str) -> str:
    """Return a file of SHARED as text."""
    return static_text("service.presentation", name)


def plotly_js() -> bytes:
    """Return the plotting library's JavaScript from its Python package, without an import."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.submodule_search_locations
    package = Path(next(iter(spec.submodule_search_locations)))
    return (package / "package_data" / PLOTLY).read_bytes()


def inlined(modules: Sequence[str]) -> str:
    r"""Join JavaScript modules into one script, for a page that is a single file.

    A module must come after the modules that it imports. Top-level names must be unique.

    >>> inlined(["export const a = 1;\n", 'import { a } from "./a.js";\nlet b = a;\n'])
    'const a = 1;\nlet b = a;\n'
    """
    return "".join(_LINKS.sub("", module) for module in modules)
