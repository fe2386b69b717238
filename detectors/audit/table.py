"""All checks of the audit, in the order in which they are reported."""

from detectors.audit import (
    access,
    adl,
    automation,
    changes,
    definitions,
    execution,
    fair,
    feed,
    fees,
    inputs,
    margins,
    monitoring,
    operations,
    paths,
    remainders,
    sizes,
    waterfall,
)
from detectors.audit.check import Check
from detectors.audit.outcome import Finding
from detectors.audit.tape import Evidence

_GUIDE = (
    *definitions.CHECKS,
    *inputs.CHECKS,
    *paths.CHECKS,
    *sizes.CHECKS,
    *fair.CHECKS,
    *waterfall.CHECKS,
    *adl.CHECKS,
    *changes.CHECKS,
    *operations.CHECKS,
    *access.CHECKS,
)

CHECKS: tuple[Check, ...] = (
    *sorted(_GUIDE, key=lambda check: int(check.number)),
    *margins.CHECKS,
    *fees.CHECKS,
    *remainders.CHECKS,
    *execution.CHECKS,
    *automation.CHECKS,
    *monitoring.CHECKS,
    *feed.CHECKS,
)
"""The checks of the testing guide by number, those beside them, and those of the feed."""


def findings(evidence: Evidence) -> list[tuple[Check, Finding]]:
    """Run every check."""
    return [(check, check.run(evidence)) for check in CHECKS]
