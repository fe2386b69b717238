"""The detectors that run. Adding one is its file, its line here and its runbook section."""

from detectors import activity, cancel_burst, fading_book, leverage_jump, thin_book

CATALOGUE = (
    cancel_burst.DETECTOR,
    leverage_jump.DETECTOR,
    thin_book.DETECTOR,
    fading_book.DETECTOR,
    activity.DETECTOR,
)

ALARMING = tuple(detector.name for detector in CATALOGUE if detector.alarms)
"""The names of those that raise alarms."""
