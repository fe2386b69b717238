"""The detectors that run.

A new detector has a file of its own and a line here; docs/architecture.md ("Where to add things")
lists what else it needs.
"""

from detectors import (
    activity,
    cancel_burst,
    fading_book,
    layering,
    leverage_jump,
    quote_stuffing,
    spoofing,
    thin_book,
)
from detectors.incidents.kind import DRIFT, FEED_INTEGRITY, OF_VENUE

CATALOGUE = (
    cancel_burst.DETECTOR,
    leverage_jump.DETECTOR,
    thin_book.DETECTOR,
    fading_book.DETECTOR,
    quote_stuffing.DETECTOR,
    layering.DETECTOR,
    spoofing.DETECTOR,
    activity.DETECTOR,
)

ALARMING = tuple(detector.name for detector in CATALOGUE if detector.alarms)
"""The names of the detectors that raise alarms."""

FEATURES = tuple(f"{its.name}.{feature}" for its in CATALOGUE for feature in its.phrases)
"""The features of all detectors, as ``DETECTOR.FEATURE``: what a plug-in may learn."""

NAMES = (*ALARMING, DRIFT, FEED_INTEGRITY, *OF_VENUE)
"""The detector names in alerts. A rule or a maintenance window may be limited to some of them."""
