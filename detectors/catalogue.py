"""The detectors that run. Adding one is its file, its line here and its runbook section."""

from detectors import (
    activity,
    cancel_burst,
    drift_incidents,
    fading_book,
    feed_incidents,
    leverage_jump,
    spoofing,
    thin_book,
)

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

NAMES = (*ALARMING, drift_incidents.NAME, feed_incidents.NAME)
"""The names that alerts go by, and that a rule or a maintenance window may be limited to."""
