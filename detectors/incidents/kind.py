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

MARK_LAG = "mark_lag"
"""The detector name of incidents in which the mark price lags the market, and that matters."""

MARK_RULE_BROKEN = "mark_rule_broken"
"""The detector name of incidents in which the mark price is not what the venue's rule gives."""

MARGIN_CHANGE = "margin_change"
"""The detector name of incidents about changes of margin parameters."""

LIQUIDATION_FAIRNESS = "liquidation_fairness"
"""The detector name of incidents in which liquidations treat sizes of accounts differently."""

EXECUTION_QUALITY = "execution_quality"
"""The detector name of incidents in which large orders, their costs and the spread rise together.
"""

FEE_INCENTIVES = "fee_incentives"
"""The detector name of incidents in which the venue earns by liquidating."""

ADL = "adl"
"""The detector name of incidents in which accounts are deleveraged, or soon will be."""

OF_CONDUCT: tuple[str, ...] = (
    MARK_LAG,
    MARK_RULE_BROKEN,
    MARGIN_CHANGE,
    LIQUIDATION_FAIRNESS,
    EXECUTION_QUALITY,
    FEE_INCENTIVES,
    ADL,
)
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
