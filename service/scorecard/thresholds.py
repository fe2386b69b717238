"""The scores from which detectors raise an alarm, to see what a session has done to them."""

from collections.abc import Callable

from detectors.scorer import Scorer
from service.pipeline.task import PartitionTask

LARGEST = 1e9
PRECISION = 1e-6


def thresholds(task: PartitionTask) -> dict[str, dict[str, float]]:
    """The threshold of each alarming detector that has one now, by symbol and detector."""
    return {
        symbol: {
            scorer.detector.name: threshold
            for scorer in monitor.scorers
            if scorer.detector.alarms and (threshold := threshold_of(scorer)) is not None
        }
        for symbol, monitor in sorted(task.monitors.items())
    }


def threshold_of(scorer: Scorer) -> float | None:
    """The least score at which a scorer raises an alarm; None while it is warming up."""
    if scorer.warming_up:
        return None
    return _least(lambda score: scorer.calibration.judge(score).alarm)


def _least(alarms: Callable[[float], bool]) -> float | None:
    """The least score that is an alarm; None if none is."""
    low, high = 0.0, 1.0
    while not alarms(high):
        low, high = high, 2.0 * high
        if high > LARGEST:
            return None
    while high - low > PRECISION * high:
        middle = (low + high) / 2.0
        low, high = (low, middle) if alarms(middle) else (middle, high)
    return high
