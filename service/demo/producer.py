"""The simulated exchange as a separate process: it simulates ahead of time and produces on time.

`service.demo.exchange` starts it with a task on the command line. Each line on standard input is
the number of processed records. The first line starts the market's clock; the end of input ends
the process. Progress reports go to standard output.
"""

import os
import select
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice

import msgspec
from confluent_kafka import Producer
from msgspec import Struct

from detectors.market_data.risk_events import Account, RiskEvent
from service.demo.plan import SYMBOLS
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.scenarios.feeds import Published
from service.exchange.simulation import simulate_with_risk
from service.replay.files import STREAM_NAMES, without_nulls
from service.settings.types import TopicSettings

TICK_SECONDS = 0.05
REPORT_SECONDS = 0.2

LOOKAHEAD_NS = 600_000_000_000
"""Lookahead of the simulation in market time: a cascade is known only minutes after its onset."""

MAX_BACKLOG = 20_000
"""Unprocessed records at which the market's clock stops; above half of it the clock slows down. On
a machine that is too slow for the speed, the market takes longer and the broker drops no unread
record."""

_FLUSH_SECONDS = 10.0


class Task(Struct):
    """What to produce and where; times and speed as in `service.demo.plan.Plan`."""

    bootstrap_servers: str
    topics: TopicSettings
    scenario: str
    seed: int
    start_ns: int
    market_seconds: float
    speed: float


class Progress(Struct):
    """Progress of the exchange: Kafka has all events before ``market_ns``, ``produced`` records.

    ``produced`` is the number of records of the symbols' streams: those that are processed.

    ``cascades`` are those that have begun since the last report.
    """

    market_ns: int
    produced: int
    cascades: list[Truth]
    done: bool


class Lookahead:
    """A simulation that runs ahead of the market's clock in small steps.

    Parameters
    ----------
    stream
        The output of `simulate_with_risk`.
    start_ns
        Its start.
    """

    def __init__(self, stream: Iterator[Published | Truth], start_ns: int) -> None:
        self._stream = stream
        self._events: deque[Published] = deque()
        self._cascades: deque[Truth] = deque()
        self.until_ns = start_ns
        self.ended = False

    def advance(self, now_ns: int, until: float) -> None:
        """Simulate until far enough ahead of ``now_ns``, or until ``until`` (monotonic clock)."""
        while (
            not self.ended
            and self.until_ns < now_ns + LOOKAHEAD_NS
            and (self.until_ns <= now_ns or time.monotonic() < until)
        ):
            self.ended = True
            for item in islice(self._stream, 200):
                self.ended = False
                if not isinstance(item, Truth):
                    self._events.append(item)
                    self.until_ns = item.ts_event
                elif item.kind == "cascade":
                    self._cascades.append(item)

    def events(self, until_ns: int) -> Iterator[Published]:
        """Remove and yield the events before a market time."""
        events = self._events
        while events and events[0].ts_event < until_ns:
            yield events.popleft()

    def cascades(self, until_ns: int) -> list[Truth]:
        """Remove and return the cascades that have begun by a market time."""
        begun = []
        while self._cascades and self._cascades[0].starts_at < until_ns:
            begun.append(self._cascades.popleft())
        return begun


def produce(task: Task, commands: int, reports: int) -> None:
    """Simulate and produce until the market's end, or the end of ``commands``.

    Parameters
    ----------
    task
        What to produce.
    commands, reports
        File descriptors: input of processed-record counts, output of progress reports.
    """
    end_ns = task.start_ns + int(task.market_seconds * 1e9)
    stream = simulate_with_risk(
        scenario(task.scenario),
        seed=task.seed,
        symbols=SYMBOLS,
        start_ns=task.start_ns,
        duration_ns=end_ns - task.start_ns,
    )
    lookahead = Lookahead(stream, task.start_ns)
    producer = Producer(
        {
            "bootstrap.servers": task.bootstrap_servers,
            "linger.ms": 0,
            "partitioner": "murmur2_random",  # the partition that Java's producers choose for a key
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    processed = -1
    while processed < 0:
        lookahead.advance(task.start_ns, time.monotonic() + TICK_SECONDS)
        processed = _read_processed(commands, TICK_SECONDS, processed)
    topics = {kind: getattr(task.topics, name) for kind, name in STREAM_NAMES.items()}
    encode = msgspec.json.Encoder().encode
    tick = next_report = time.monotonic()
    clock_ns = task.start_ns
    produced = 0
    done = False
    while not done:
        lookahead.advance(clock_ns, tick)
        done = lookahead.ended and clock_ns >= end_ns
        now_ns = clock_ns if lookahead.ended else min(clock_ns, lookahead.until_ns)
        for event in lookahead.events(end_ns + 1 if done else now_ns):
            key = event.account if isinstance(event, Account) else event.symbol
            producer.produce(topics[event.kind], without_nulls(encode(event)), key.encode())
            produced += not isinstance(event, RiskEvent)
        # Flush all topics up to now before producing later events, so no event is late.
        if producer.flush(_FLUSH_SECONDS):
            raise TimeoutError("the embedded broker did not accept all records in time")
        if done or time.monotonic() >= next_report:
            reported_ns = end_ns if done else now_ns
            progress = Progress(reported_ns, produced, lookahead.cascades(reported_ns), done)
            os.write(reports, encode(progress) + b"\n")
            next_report += REPORT_SECONDS
        lookahead.advance(clock_ns, tick + TICK_SECONDS)
        processed = _read_processed(
            commands, max(0.0, tick + TICK_SECONDS - time.monotonic()), processed
        )
        passed, tick = time.monotonic() - tick, time.monotonic()
        headroom = 1.0 - (produced - processed) / MAX_BACKLOG
        clock_ns += int(passed * task.speed * min(1.0, max(0.0, 2.0 * headroom)) * 1e9)


def _read_processed(commands: int, seconds: float, before: int) -> int:
    """Wait for this many seconds; return the newest number read, or ``before``."""
    until = time.monotonic() + seconds
    while select.select([commands], [], [], max(0.0, until - time.monotonic()))[0]:
        lines = os.read(commands, 65_536).split()
        if not lines:
            raise SystemExit
        before = int(lines[-1])
    return before


if __name__ == "__main__":
    produce(msgspec.json.decode(sys.argv[1], type=Task), 0, 1)
