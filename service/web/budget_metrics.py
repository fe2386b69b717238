"""Metrics of the false-alarm budget: what is promised, what was realised, what operators judged."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from typing import get_args

from prometheus_client.core import Metric

from detectors.catalogue import ALARMING
from detectors.judging.tail import DAY_SECONDS
from detectors.symbol import SymbolMonitor
from service.kafka.counters import ConsumerCounters
from service.metric_families import counter, gauge, single
from service.pipeline.feedback import FEEDBACK, Judgements, Verdict

_VERDICTS = get_args(Verdict)


def budget(
    counters: ConsumerCounters,
    monitors: Sequence[SymbolMonitor],
    budget_per_day: float,
    bar_seconds: float,
    judgements: Judgements,
    plug_ins: Sequence[str] = (),
) -> Iterator[Metric]:
    """Yield the metrics of the budget; ``plug_ins`` names the plug-ins that run."""
    names = (*ALARMING, *plug_ins)
    counts = counters.tally.market
    judged_seconds = counts.judged_bars * bar_seconds
    yield gauge(
        "false_alarm_budget_per_day",
        "False-alarm budget per symbol and day, mean over symbols.",
        budget_per_day,
    )
    yield gauge(
        "false_alarm_detector_budget_per_day",
        "A detector's share of the false-alarm budget per symbol and day, mean over symbols.",
        single(_shares(monitors)),
        ["detector"],
    )
    yield gauge(
        "false_alarm_detector_rate_per_day",
        "Incidents of a detector that nobody judged true, per symbol and day of market time since "
        "the process started.",
        single(
            {
                name: counts.unconfirmed[name] / (judged_seconds / DAY_SECONDS)
                for name in names
                if judged_seconds > 0.0
            }
        ),
        ["detector"],
    )
    yield gauge(
        "false_alarm_detector_bar",
        "Rarity beyond the budget that a detector's next alarm must have, in powers of ten, "
        "maximum over symbols and statistics.",
        single(_bars(monitors, names)),
        ["detector"],
    )
    yield counter(
        "judged_symbol_seconds",
        "Market time in which an alarm could be raised, summed over symbols.",
        judged_seconds,
        unit="seconds",
    )
    yield counter(
        "feedback",
        "Verdicts of operators that changed what an incident counts for.",
        # All series from the start, as for incidents.
        {pair: counts.feedback[pair] for pair in product(names, _VERDICTS)},
        ["detector", "verdict"],
    )
    pairs = [*product(ALARMING, _VERDICTS), *judgements.counts]
    yield gauge(
        "feedback_judged_alerts",
        "Alerts with a verdict on the feedback topic, the same at every instance.",
        {pair: judgements.counts[pair] for pair in pairs},
        ["detector", "verdict"],
    )
    yield counter(
        "feedback_read_failures",
        "Failures to read the feedback topic; they are retried.",
        counters.written_failures[FEEDBACK],
    )


def _shares(monitors: Sequence[SymbolMonitor]) -> dict[str, float]:
    """Return each detector's budget per symbol and day: by its number of statistics."""
    sums: defaultdict[str, float] = defaultdict(float)
    for monitor in monitors:
        statistics = sum(len(its.detector.statistics) for its in monitor.scorers)
        for scorer in monitor.scorers:
            share = len(scorer.detector.statistics) / statistics
            sums[scorer.detector.name] += monitor.parameters.false_alarms_per_day * share
    return {name: total / len(monitors) for name, total in sums.items()}


def _bars(monitors: Sequence[SymbolMonitor], names: Sequence[str]) -> dict[str, float]:
    highest = dict.fromkeys(names, 0.0)
    for monitor in monitors:
        for scorer in monitor.scorers:
            name = scorer.detector.name
            highest[name] = max(highest[name], scorer.highest_bar)
    return highest
