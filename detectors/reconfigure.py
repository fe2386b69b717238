"""A symbol that goes on under other parameters: what it has learned stays as it is.

Budgets, overrides, maintenance windows and what counts against a feed only judge. p-values, the
baselines and tails behind them, and the ids of alerts do not depend on them.
"""

from msgspec.structs import replace

from detectors.incidents.suppressor import Suppressor
from detectors.parameters import Parameters, share_per_day
from detectors.symbol import SymbolMonitor


def judged_alike(before: Parameters, after: Parameters) -> bool:
    """Whether a symbol can go from one to the other as it is: they differ only in what judges.

    >>> judged_alike(Parameters(), Parameters(false_alarms_per_day=0.1))
    True
    >>> judged_alike(Parameters(), Parameters(warmup_bars=9))
    False
    """
    judging = replace(
        before,
        false_alarms_per_day=after.false_alarms_per_day,
        suppression=after.suppression,
        feed=replace(after.feed, quiet_ns=before.feed.quiet_ns),
    )
    return judging == after


def reconfigure(monitor: SymbolMonitor, parameters: Parameters) -> None:
    """Judge a symbol by other parameters, from the bar on that closes next.

    A running incident goes on; whether an alarm of its next bars counts is decided anew.

    Raises
    ------
    ValueError
        They differ in more than what judges, so that what was learned would mean something else.
    """
    its = parameters.of(monitor.symbol)
    if not judged_alike(monitor.parameters, its):
        raise ValueError(f"{monitor.symbol} cannot go from {monitor.parameters} to {its}")
    monitor.parameters = its
    monitor.suppressor = Suppressor(
        monitor.symbol, its.suppression, monitor.detectors, monitor.counts.suppressed_alarms
    )
    sharing = sum(scorer.detector.alarms for scorer in monitor.scorers)
    for scorer in monitor.scorers:
        scorer.calibration.budget_per_day = share_per_day(its.false_alarms_per_day, sharing)
    monitor.feed.reconfigure(monitor.symbol, its.feed, its.suppression)
