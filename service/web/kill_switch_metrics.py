"""The metrics of kill switches: their states, heartbeats, commands, and how fast they are told."""

from collections import Counter
from collections.abc import Iterator
from heapq import nsmallest
from typing import get_args

from prometheus_client.core import Metric

from detectors.kill_switch.machine import Cause
from detectors.kill_switch.table import LEVELS
from service.metric_families import counter, gauge
from service.outputs.delays import histogram
from service.pipeline.commands import COMMAND, Action
from service.web.view import View


def kill_switches(view: View, limit: int) -> Iterator[Metric]:
    """Yield the metrics of the kill switches of the owned partitions.

    At most ``limit`` of them have their own series, the strictest first.
    """
    states = view.switches
    by_state = Counter(states.values())
    moved = (pair for pair in states.items() if pair[1] != "armed")
    strictest = nsmallest(limit, moved, key=lambda pair: (-LEVELS[pair[1]], pair[0]))
    yield gauge(
        "killswitch_symbols",
        "Kill switches by state, that of the venue (symbol *) included.",
        {(state,): by_state[state] for state in LEVELS},
        ["state"],
    )
    yield gauge(
        "killswitch_state",
        "1 for the state of each kill switch that is not armed.",
        dict.fromkeys(strictest, 1.0),
        ["symbol", "state"],
    )
    yield gauge(
        "killswitch_manual_only",
        "Kill switches that flapped three times in a day: only an operator makes them less strict.",
        sum(
            partition.task.switches.manual_only(partition.task.aligner.watermark_ns)
            for partition in view.partitions.values()
        ),
    )
    yield counter(
        "killswitch_records",
        "Records sent to the kill-switch topic, by cause.",
        {(cause,): view.published.switches[cause] for cause in get_args(Cause)},
        ["cause"],
    )
    yield histogram(
        "killswitch_delay_seconds",
        "From the moment of an automatic transition, in event time, to the broker's "
        "acknowledgement of its record.",
        {(): view.published.switch_delays},
    )
    yield counter(
        "killswitch_commands",
        "Commands of operators that were applied, by action.",
        {(action,): view.counters.commands[action] for action in get_args(Action)},
        ["action"],
    )
    yield counter(
        "killswitch_command_failures",
        "Failures of reading commands; reading is retried.",
        view.counters.written_failures[COMMAND],
    )
