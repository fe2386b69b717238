"""All checks of the audit, in the order in which they are reported."""

from detectors.audit import changes, definitions, fair, feed, paths, sizes
from detectors.audit.check import Check
from detectors.audit.outcome import Finding
from detectors.audit.tape import Evidence

CHECKS: tuple[Check, ...] = (
    tuple(
        sorted(
            (*definitions.CHECKS, *paths.CHECKS, *sizes.CHECKS, *fair.CHECKS, *changes.CHECKS),
            key=lambda check: int(check.number),
        )
    )
    + feed.CHECKS
)
"""The checks of the testing guide by their numbers, then those of the feed."""


def findings(evidence: Evidence) -> list[tuple[Check, Finding]]:
    """Run every check."""
    return [(check, check.run(evidence)) for check in CHECKS]
