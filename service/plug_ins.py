"""The plug-ins that are installed, and those that run: detectors of other packages.

A package offers a plug-in at the entry point group ``foreshock.detectors``. It is code that runs in
the process, so installing it is not enough: ``plugins.allow`` must name it. What is not named is
not even imported.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from itertools import groupby

import structlog
from msgspec import Struct

from detectors.catalogue import CATALOGUE, FEATURES, NAMES
from detectors.detector import Detector
from detectors.estimators import LeftOut, Reason
from detectors.incidents.market_wide import NAME as MARKET_WIDE
from detectors.plug_in import detector_of, problem

GROUP = "foreshock.detectors"

NAME = r"[a-z][a-z0-9_]{0,63}"
"""The names that a plug-in may have."""

OTHER = "other"
"""What metrics call detectors that they do not know; see `service.pipeline.feedback`."""

log = structlog.get_logger("foreshock.plug_ins")


class PlugIns(Struct, frozen=True):
    """The plug-ins that are allowed: those that run, in the order of their names, and the others.

    ``packages`` holds the package and its version of each plug-in that runs.
    """

    detectors: tuple[Detector, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    packages: dict[str, tuple[str, str]] = {}


def installed() -> dict[str, list[EntryPoint]]:
    """Return the entry points of the group by name, without importing them."""
    found: defaultdict[str, list[EntryPoint]] = defaultdict(list)
    for point in sorted(entry_points(group=GROUP), key=lambda its: (its.name, its.value)):
        found[point.name].append(point)
    return dict(found)


@cache  # modules are imported once in a process, and so is what they hold
def plug_ins(allow: tuple[str, ...]) -> PlugIns:
    """Import the plug-ins that ``allow`` names; one that cannot be used is left out."""
    detectors: list[Detector] = []
    left_out: list[LeftOut] = []
    packages: dict[str, tuple[str, str]] = {}
    points = installed() if allow else {}
    for name in sorted(set(allow)):
        outcome = _load(name, points.get(name, []))
        if isinstance(outcome, Detector):
            detectors.append(outcome)
            packages[name] = package_of(points[name][0])
        else:
            left_out.append(LeftOut(name, *outcome))
    return PlugIns(tuple(detectors), tuple(left_out), packages)


def _load(name: str, points: list[EntryPoint]) -> Detector | tuple[Reason, str]:
    if not points:
        return "not_installed", f"no installed package has it in the entry point group {GROUP}"
    if len(points) > 1:
        packages = " and ".join(package_of(its)[0] for its in points)
        return "ambiguous", f"{packages} have a plug-in of this name; uninstall one of them"
    if taken(name):
        return "name_taken", "a built-in detector has this name; the package must choose another"
    try:
        plug_in = points[0].load()
        found = problem(plug_in, FEATURES)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the other detectors run
        return "import_error", f"{points[0].value}: {error!r:.500}"
    if found is not None:
        reason, detail = found
        return reason, f"{points[0].value}: {detail}"
    return detector_of(name, plug_in)


def taken(name: str) -> bool:
    """Whether a plug-in cannot have a name: it is used, or no name of a detector."""
    used = (*(its.name for its in CATALOGUE), *NAMES, MARKET_WIDE, OTHER)
    return name in used or not re.fullmatch(NAME, name)


def package_of(point: EntryPoint) -> tuple[str, str]:
    """Return the name and the version of the package of an entry point."""
    package = point.dist
    return ("unknown", "") if package is None else (package.name, package.version)


def report(left_out: Iterable[LeftOut]) -> None:
    """Log what is left out: a line for each plug-in and reason."""
    ordered = sorted(left_out, key=lambda its: (its.name, its.reason))
    for (name, reason), group in groupby(ordered, key=lambda its: (its.name, its.reason)):
        its = list(group)
        facts = {"plugin": name, "reason": reason, "detail": its[0].detail}
        if its[0].symbol:
            log.error(
                "a plug-in is left out for some symbols until a restart",
                **facts,
                symbol=its[0].symbol,
                symbols=len(its),
            )
        else:
            log.error("a plug-in is left out", **facts)
