"""What an alert is about: the market, or the feed that tells of it."""

from typing import Literal

from detectors.incidents.alerts import Severity

DRIFT = "drift"
"""The detector name of incidents that report a lasting change of a symbol's market."""

FEED_INTEGRITY = "feed_integrity"
"""The detector name of incidents that report a fault of a symbol's feed."""

Kind = Literal["alarm", "change", "feed"]
"""An alarm, a lasting change of a market, or what is found against a feed."""


def of_market(detector: str) -> bool:
    """Whether what a detector finds is about the market: a feed is no reason to act in it.

    Nor is a feed part of the budget of false alarms.

    >>> of_market("thin_book"), of_market("drift"), of_market("feed_integrity")
    (True, True, False)
    """
    return detector != FEED_INTEGRITY


def kind(detector: str, severity: Severity) -> Kind:
    """What kind of incident an alert tells of.

    >>> kind("thin_book", "critical"), kind("drift", "info"), kind("feed_integrity", "warning")
    ('alarm', 'change', 'feed')
    """
    if not of_market(detector):
        return "feed"
    return "change" if severity == "info" else "alarm"
