"""The scores from which statistics raise an alarm, to see what a session has done to them."""

from service.pipeline.task import PartitionTask


def thresholds(task: PartitionTask) -> dict[str, dict[str, float]]:
    """The threshold of each statistic that is judged now, by symbol and statistic."""
    return {
        symbol: {
            name: scorer.threshold(name)
            for scorer in monitor.scorers
            if not scorer.warming_up
            for name in scorer.detector.statistics
        }
        for symbol, monitor in sorted(task.monitors.items())
    }
