"""The scores from which detectors raise an alarm, to see what a session has done to them."""

from collections.abc import Callable

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


def threshold_of(scorer: object) -> float | None:
    """The least score at which a scorer raises an alarm; None if it cannot tell.

    Only this function depends on how detectors judge: a scorer states its ``threshold``,
    or has a ``calibration`` that judges a score.
    """
    stated = getattr(scorer, "threshold", None)
    if isinstance(stated, int | float):
        return float(stated)
    calibration = getattr(scorer, "calibration", None)
    judge = getattr(calibration, "judge", None)
    if judge is None or getattr(scorer, "warming_up", False):
        return None
    return _least(lambda score: bool(judge(score).alarm))


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
