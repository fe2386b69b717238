"""All checks of the audit, in the order in which they are reported."""

from detectors.audit import (
    adl,
    changes,
    definitions,
    fair,
    feed,
    operations,
    paths,
    sizes,
    waterfall,
)
from detectors.audit.check import Check
from detectors.audit.outcome import Finding
from detectors.audit.tape import Evidence

_GUIDE = (
    *definitions.CHECKS,
    *paths.CHECKS,
    *sizes.CHECKS,
    *fair.CHECKS,
    *waterfall.CHECKS,
    *adl.CHECKS,
    *changes.CHECKS,
    *operations.CHECKS,
)

CHECKS: tuple[Check, ...] = (
    *sorted(_GUIDE, key=lambda check: int(check.number)),
    *operations.BESIDE,
    *feed.CHECKS,
)
"""The checks of the testing guide by number, those beside them, and those of the feed."""


def findings(evidence: Evidence) -> list[tuple[Check, Finding]]:
    """Run every check."""
    return [(check, check.run(evidence)) for check in CHECKS]
