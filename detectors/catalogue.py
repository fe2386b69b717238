"""The detectors that run. Adding one is its file, its line here and its runbook section."""

from detectors import cancel_burst, leverage_jump, thin_book

CATALOGUE = (
    cancel_burst.DETECTOR,
    leverage_jump.DETECTOR,
    thin_book.DETECTOR,
)

NAMES = tuple(detector.name for detector in CATALOGUE)
"""The names that a rule or a maintenance window may be limited to."""
