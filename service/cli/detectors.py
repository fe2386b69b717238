"""The detectors that are installed, as a table: built-in ones and plug-ins."""

from msgspec import Struct
from rich.table import Table

from detectors.catalogue import CATALOGUE
from detectors.detector import Detector
from service import __version__
from service.plug_ins import installed, package_of, plug_ins


class Listed(Struct, frozen=True):
    """A detector that is installed or allowed.

    A plug-in that does not run has no ``version`` and no ``features``: it is not imported.
    ``problem`` is why an allowed plug-in is left out; empty without a problem.
    """

    name: str
    package: str
    status: str
    version: str = ""
    features: tuple[str, ...] = ()
    problem: str = ""


def listed(allow: tuple[str, ...]) -> list[Listed]:
    """Return the built-in detectors, then the plug-ins by name."""
    found = [
        Listed(its.name, f"foreshock {__version__}", "runs", str(its.version), _names(its))
        for its in CATALOGUE
    ]
    loaded = plug_ins(allow)
    running = {its.name: its for its in loaded.detectors}
    left_out = {its.name: its for its in loaded.left_out}
    points = installed()
    for name in sorted({*points, *left_out}):
        package = ", ".join(" ".join(package_of(its)) for its in points.get(name, []))
        if name in running:
            its = running[name]
            found.append(Listed(name, package, "runs", str(its.version), its.inputs))
        elif name in left_out:
            why = left_out[name]
            status = f"left out: {why.reason}"
            found.append(Listed(name, package, status, problem=why.detail))
        else:
            found.append(Listed(name, package, "not in plugins.allow"))
    return found


def _names(detector: Detector) -> tuple[str, ...]:
    """Return the names of the features of a built-in detector, as a plug-in names them."""
    return tuple(f"{detector.name}.{feature}" for feature in detector.phrases)


def table(found: list[Listed]) -> Table:
    """Return the detectors as a table for the terminal."""
    shown = Table("detector", "version", "features", "package", "status", box=None)
    for its in found:
        shown.add_row(its.name, its.version, "\n".join(its.features), its.package, its.status)
    return shown
