"""Change the parameters of a running symbol and keep its learned state.

Budgets, overrides, maintenance windows, calendars and feed limits affect judgement only. p-values,
the baselines and tails behind them, and alert ids do not depend on them.
"""

from msgspec.structs import replace

from detectors.incidents.suppressor import Suppressor
from detectors.parameters import Parameters
from detectors.symbol import SymbolMonitor


def judged_alike(before: Parameters, after: Parameters) -> bool:
    """Whether two sets of parameters differ only in settings that affect judgement.

    If so, a symbol keeps its learned state when its parameters change from one to the other.

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
        calendar=after.calendar,
    )
    return judging == after


def reconfigure(monitor: SymbolMonitor, parameters: Parameters) -> None:
    """Judge a symbol by other parameters, starting with the next bar that closes.

    An open incident stays open. The new parameters decide whether later alarms belong to it.

    Raises
    ------
    ValueError
        The parameters differ in more than judgement: the learned state would lose its meaning.
    """
    new = parameters.of(monitor.symbol)
    if not judged_alike(monitor.parameters, new):
        raise ValueError(
            f"cannot reconfigure {monitor.symbol} from {monitor.parameters} to {new}: only"
            " false_alarms_per_day, suppression, calendar and feed (except feed.quiet_ns) may"
            " change"
        )
    monitor.parameters = new
    monitor.suppressor = Suppressor(
        monitor.symbol, new.suppression, monitor.detectors, monitor.counts.suppressed_alarms
    )
    scorers = monitor.columns.scorers
    scorers.budgets[monitor.row] = new.false_alarms_per_day / scorers.tests
    monitor.trading.reconfigure(new.calendar)
    monitor.feed.reconfigure(monitor.symbol, new.feed, new.suppression)
