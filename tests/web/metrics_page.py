"""The metrics as docs/metrics.md specifies them, and as an exposition has them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Metric

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"

# Added by the exposition itself.
SAMPLE_LABELS = {"le"}


class Specified(NamedTuple):
    """A metric's row on the page."""

    type: str
    unit: str
    labels: frozenset[str]
    meaning: str


def rows() -> list[list[str]]:
    """The cells of each row of the page's tables."""
    lines = re.findall(r"^\| (`[a-z_]+` \|.*) \|$", PAGE.read_text(), flags=re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


def specified() -> dict[str, Specified]:
    """Every metric on the page, by the name that queries use."""
    return {
        name.strip("`"): Specified(kind, unit, frozenset(re.findall(r"`(\w+)`", labels)), meaning)
        for name, kind, unit, labels, meaning, _query in rows()
    }


def queries() -> list[str]:
    """Every typical query of the page."""
    return [row[5].strip("`").replace("\\|", "|") for row in rows()]


def exposed(families: Iterable[Metric]) -> dict[str, Specified]:
    """The families of an OpenMetrics exposition, by the name that queries use."""
    found = {}
    for family in families:
        suffix = "_total" if family.type == "counter" else ""
        # The client library's own have their unit in the name only.
        last = (family.name.removesuffix("_total")).rpartition("_")[2]
        unit = family.unit or (last if last in {"bytes", "seconds"} else "")
        labels = {name for sample in family.samples for name in sample.labels} - SAMPLE_LABELS
        found[family.name + suffix] = Specified(
            family.type, unit, frozenset(labels), family.documentation
        )
    return found
