"""The detectors that run. Adding one is its file, its line here and its runbook section."""

from detectors import activity, cancel_burst, fading_book, leverage_jump, spoofing, thin_book
from detectors.incidents.kind import DRIFT, FEED_INTEGRITY

CATALOGUE = (
    cancel_burst.DETECTOR,
    leverage_jump.DETECTOR,
    thin_book.DETECTOR,
    fading_book.DETECTOR,
    spoofing.DETECTOR,
    activity.DETECTOR,
)

ALARMING = tuple(detector.name for detector in CATALOGUE if detector.alarms)
"""The names of those that raise alarms."""

NAMES = (*ALARMING, DRIFT, FEED_INTEGRITY)
"""The names that alerts go by, and that a rule or a maintenance window may be limited to."""
