"""The files that pages are made of besides their own: styles, scripts, the plotting library."""

import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

_LINKS = re.compile(r"^import .*;\n|^export (?=\w)", re.MULTILINE)

PLOTLY = "plotly.min.js"

SHARED = ("theme.css", "format.js", "plots.js")
"""What every page is made of."""


def static_text(package: str, name: str) -> str:
    """A file of a package's ``static`` folder as text."""
    return files(package).joinpath("static", name).read_text("utf-8")


def shared_text(name: str) -> str:
    """A file of SHARED as text."""
    return static_text("service.presentation", name)


def plotly_js() -> bytes:
    """The plotting library's JavaScript, from its Python package, which is not imported."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.submodule_search_locations
    place = Path(next(iter(spec.submodule_search_locations)))
    return (place / "package_data" / PLOTLY).read_bytes()


def inlined(modules: Sequence[str]) -> str:
    r"""JavaScript modules as one, for a page of a single file, where none can be imported.

    A module comes after those that it imports from, and no two have a name of their own in common.

    >>> inlined(["export const a = 1;\n", 'import { a } from "./a.js";\nlet b = a;\n'])
    'const a = 1;\nlet b = a;\n'
    """
    return "".join(_LINKS.sub("", module) for module in modules)
