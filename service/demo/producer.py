"""The simulated exchange as a process of its own: it trades ahead of time, and produces on time.

Started by `service.demo.exchange`. It reads its task from the command line. Each line on standard
input is the number of records that have been dealt with; the first starts the market's clock, and
the end of input ends the process. It tells how far it has come on standard output.
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

from detectors.market_data.events import Event
from service.demo.plan import SYMBOLS
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import simulate
from service.replay.files import without_nulls
from service.settings.types import TopicSettings

TICK_SECONDS = 0.05
REPORT_SECONDS = 0.2

LOOKAHEAD_NS = 600_000_000_000
"""How far it trades ahead, in market time: a cascade is known only minutes after its onset."""

MAX_BACKLOG = 20_000
"""Records not yet dealt with at which the market's clock stands still; from half of it on it slows
down. On a machine that is too slow for the speed the market takes longer, rather than the broker
dropping what nobody has read.
"""

_FLUSH_SECONDS = 10.0


class Task(Struct):
    """What is to be produced where; times and speed as in `service.demo.plan.Plan`."""

    bootstrap_servers: str
    topics: TopicSettings
    scenario: str
    seed: int
    start_ns: int
    market_seconds: float
    speed: float


class Progress(Struct):
    """How far the exchange has come: all before ``market_ns``, and so many records, are in Kafka.

    ``cascades`` are those that have begun since it last told.
    """

    market_ns: int
    produced: int
    cascades: list[Truth]
    done: bool


class Ahead:
    """A simulation that is run ahead of the market's clock, a bit at a time.

    Parameters
    ----------
    stream
        What `simulate` yields.
    start_ns
        Its beginning.
    """

    def __init__(self, stream: Iterator[Event | Truth], start_ns: int) -> None:
        self._stream = stream
        self._events: deque[Event] = deque()
        self._cascades: deque[Truth] = deque()
        self.until_ns = start_ns
        self.ended = False

    def work(self, now_ns: int, until: float) -> None:
        """Simulate until far enough ahead of ``now_ns``, or the monotonic clock is ``until``."""
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

    def events(self, until_ns: int) -> Iterator[Event]:
        """Take the events before a market time."""
        events = self._events
        while events and events[0].ts_event < until_ns:
            yield events.popleft()

    def cascades(self, until_ns: int) -> list[Truth]:
        """Take the cascades that had begun by a market time."""
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
        File descriptors: to be told how much was dealt with, and to tell progress.
    """
    end_ns = task.start_ns + int(task.market_seconds * 1e9)
    stream = simulate(
        scenario(task.scenario),
        seed=task.seed,
        symbols=SYMBOLS,
        start_ns=task.start_ns,
        duration_ns=end_ns - task.start_ns,
    )
    ahead = Ahead(stream, task.start_ns)
    producer = Producer(
        {
            "bootstrap.servers": task.bootstrap_servers,
            "linger.ms": 0,
            "partitioner": "murmur2_random",  # where Java's producers put a key
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    dealt_with = -1
    while dealt_with < 0:
        ahead.work(task.start_ns, time.monotonic() + TICK_SECONDS)
        dealt_with = _told(commands, TICK_SECONDS, dealt_with)
    topics = list(msgspec.structs.asdict(task.topics).values())
    encode = msgspec.json.Encoder().encode
    tick = next_report = time.monotonic()
    clock_ns = task.start_ns
    produced = 0
    done = False
    while not done:
        ahead.work(clock_ns, tick)
        done = ahead.ended and clock_ns >= end_ns
        now_ns = clock_ns if ahead.ended else min(clock_ns, ahead.until_ns)
        for event in ahead.events(end_ns + 1 if done else now_ns):
            producer.produce(
                topics[event.kind], without_nulls(encode(event)), event.symbol.encode()
            )
            produced += 1
        # All topics up to now before anything later, as a venue does: so nothing comes late.
        if producer.flush(_FLUSH_SECONDS):
            raise TimeoutError("the embedded broker does not take the records")
        if done or time.monotonic() >= next_report:
            told = end_ns if done else now_ns
            progress = Progress(told, produced, ahead.cascades(told), done)
            os.write(reports, encode(progress) + b"\n")
            next_report += REPORT_SECONDS
        ahead.work(clock_ns, tick + TICK_SECONDS)
        dealt_with = _told(commands, max(0.0, tick + TICK_SECONDS - time.monotonic()), dealt_with)
        passed, tick = time.monotonic() - tick, time.monotonic()
        room = 1.0 - (produced - dealt_with) / MAX_BACKLOG
        clock_ns += int(passed * task.speed * min(1.0, max(0.0, 2.0 * room)) * 1e9)


def _told(commands: int, seconds: float, before: int) -> int:
    """Wait for so long; the newest number told meanwhile, or the one before."""
    until = time.monotonic() + seconds
    while select.select([commands], [], [], max(0.0, until - time.monotonic()))[0]:
        lines = os.read(commands, 65_536).split()
        if not lines:
            raise SystemExit
        before = int(lines[-1])
    return before


if __name__ == "__main__":
    produce(msgspec.json.decode(sys.argv[1], type=Task), 0, 1)
