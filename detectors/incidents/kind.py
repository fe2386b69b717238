"""The subject of an alert: the market, or the feed."""

from typing import Literal

from detectors.incidents.alerts import Severity

DRIFT = "drift"
"""The detector name of incidents that report a lasting change of a symbol's market."""

FEED_INTEGRITY = "feed_integrity"
"""The detector name of incidents that report faults of a symbol's feed."""

CASCADE = "cascade"
"""The detector name of incidents that report how near a run of liquidations is."""

CONTAGION = "contagion"
"""The detector name of incidents that report how liquidations would spread over the venue."""

OF_POSITIONS = (CASCADE, CONTAGION)
"""The detector names of incidents that report the state of the positions."""

OF_CONDUCT: tuple[str, ...] = ()
"""The detector names of incidents that report how the venue treats the positions."""

OF_VENUE = (*OF_POSITIONS, *OF_CONDUCT)
"""The detector names of the incidents that the watch over the whole venue finds."""

Kind = Literal["alarm", "change", "feed", "risk"]
"""An alarm, a lasting change of a market, a fault of a feed, or the state of the positions and how
the venue treats them."""


def of_market(detector: str) -> bool:
    """Whether the incidents of a detector are about the market.

    A faulty feed is no reason to act in the market, and is not part of the false-alarm budget.

    >>> of_market("thin_book"), of_market("drift"), of_market("feed_integrity")
    (True, True, False)
    """
    return detector != FEED_INTEGRITY


def kind(detector: str, severity: Severity) -> Kind:
    """Return the kind of incident that an alert reports.

    Only alarms count against the false-alarm budget: the state of the positions is no judgement.

    >>> kind("thin_book", "critical"), kind("drift", "info"), kind("feed_integrity", "warning")
    ('alarm', 'change', 'feed')
    >>> kind("cascade", "warning")
    'risk'
    """
    if detector in OF_VENUE:
        return "risk"
    if not of_market(detector):
        return "feed"
    return "change" if severity == "info" else "alarm"
