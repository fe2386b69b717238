"""The detectors of a venue's conduct that run."""

from detectors.conduct.adl import Adl
from detectors.conduct.crowding import Crowding
from detectors.conduct.detector import Detector
from detectors.conduct.execution_quality import ExecutionQuality
from detectors.conduct.fee_incentives import FeeIncentives
from detectors.conduct.liquidation_fairness import LiquidationFairness
from detectors.conduct.liquidations import Liquidations
from detectors.conduct.margin_change import MarginChange
from detectors.conduct.mark_lag import MarkLag
from detectors.conduct.mark_rule import MarkRuleBroken
from detectors.fairness.margin_drivers import Driver


def new_detectors(
    *, margin_notice_seconds: float = 0.0, margin_trigger: Driver | None = None
) -> tuple[Detector, ...]:
    """Return new detectors, in the order in which they are asked.

    Parameters
    ----------
    margin_notice_seconds
        The notice that the venue promises for a change of margins.
    margin_trigger
        What the venue says that its changes of margins follow.
    """
    liquidations = Liquidations()
    return (
        MarkLag(),
        MarkRuleBroken(),
        MarginChange(margin_notice_seconds, margin_trigger),
        Crowding(),
        liquidations,
        LiquidationFairness(liquidations),
        FeeIncentives(liquidations),
        Adl(),
        ExecutionQuality(),
    )
