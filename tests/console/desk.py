"""The service's parts without Kafka: a simulated market goes through them, as far as one asks."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby

from prometheus_client import CollectorRegistry

from detectors.feed.incidents import FeedIncident
from detectors.incidents.alerts import Alert
from detectors.incidents.symbol_incidents import Incident
from detectors.kill_switch.machine import Action
from detectors.kill_switch.switch import Switch
from detectors.market_data.events import Event
from detectors.risk_watch.monitor import RiskMonitor
from service.console.history import History
from service.console.page import console
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import Scenario, scenario
from service.exchange.simulation import simulate
from service.kafka.counters import ConsumerCounters
from service.kafka.partition import Partition
from service.outputs.publisher import Published
from service.pipeline.feedback import Feedback, Judgements
from service.pipeline.output import PublishedUntil, opens_or_escalates
from service.pipeline.wire import STREAMS
from service.settings.assembly import partition_task
from service.settings.types import Settings
from service.web.server import Health, HttpServer, start_http
from service.web.view import View

SECOND = 1_000_000_000
BEGIN_NS = 1_800_000_000 * SECOND
CASCADE = scenario("cascade", start_seconds=420)
CASCADE_SEED = 3
CALM_SECONDS, STRESS_SECONDS, CASCADE_SECONDS = 460, 500, 1_100
"""When the cascade's market is calm, when it has been warned of, and when it has come."""

BY_KIND = ("orders", "cancels", "trades", "references", "margins", "positions", "statuses")
"""The stream of each kind of event."""


class Desk:
    """A market on its way through the service's parts, and a console that shows it.

    The clock is the market's own, so that nothing is old; ``silence`` is for how long nothing came.
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        script: Scenario = CASCADE,
        seed: int = CASCADE_SEED,
        symbols: int | Sequence[str] = 4,
        rate: float = 30.0,
    ) -> None:
        self.settings = settings or Settings()
        self.silence = 0.0
        self.judge: Callable[[Feedback], Awaitable[None]] | None = None
        self.judgements = Judgements()
        self.health = Health(live=True, ready=True, checks={"kafka": "ok"})
        self.counters = ConsumerCounters()
        self.published = Published()
        self.lags: dict[tuple[str, int], int] = {}
        self.risk: RiskMonitor | None = None
        self.risk_wanted = False
        self._steady = 0.0
        self.history = History(clock=lambda: self._steady + self.silence)
        task = partition_task(self.settings, dict.fromkeys(STREAMS), self.counters.tally)
        self.partition = Partition(0, task, {name: f"market.{name}" for name in STREAMS}, 30.0)
        self.task = task
        self._read = dict.fromkeys(STREAMS, 0)
        market = simulate(
            script,
            seed=seed,
            start_ns=BEGIN_NS,
            duration_ns=3_600 * SECOND,
            symbols=symbols,
            events_per_second=rate,
        )
        events = (event for event in market if not isinstance(event, Truth))
        self._seconds: Iterator[tuple[int, Iterator[Event]]] = groupby(
            events, key=lambda event: (event.ts_event - BEGIN_NS) // SECOND
        )

    def run_to(self, seconds: int) -> None:
        """Let the market go on to so many seconds after its beginning."""
        for second, events in self._seconds:
            self.feed(list(events))
            if second >= seconds:
                break

    def feed(self, events: Sequence[Event]) -> None:
        """What the consumer's loop does with a poll, without Kafka."""
        for stream in STREAMS:
            its = [event for event in events if BY_KIND[event.kind] == stream]
            first = self._read[stream]
            self._read[stream] = last = first + len(its)
            self.counters.records[f"market.{stream}"] += len(its)
            self.task.feed(stream, its, first_offset=first, next_offset=last)
            self.task.aligner.set_idle(stream)
        output = self.task.advance()
        for alert in output.alerts:
            if opens_or_escalates(alert):
                self.counters.incidents[alert.detector, alert.severity] += 1
        self.history.take(0, output)

    def view(self) -> View:
        """As the service gives it."""
        return View(
            self.counters,
            self.published,
            {0: self.partition},
            self.lags,
            connected=True,
            judgements=self.judgements,
            risk_wanted=self.risk_wanted,
            risk=self.risk,
        )

    def clock(self) -> float:
        """Seconds since the epoch: a moment after what was seen last."""
        return self.task.aligner.watermark_ns / 1e9 + 0.3 + self.silence

    def addition(self) -> object:
        """What adds this console to a server."""
        return console(
            self.settings, self.view, lambda: self.health, self.history, self.judge, self.clock
        )

    async def serve(self, port: int = 0) -> HttpServer:
        """Serve it, as the service does."""
        return await start_http(
            "127.0.0.1",
            port,
            registry=CollectorRegistry(),
            health=lambda: self.health,
            additions=[self.addition()],
        )


def restarted(alarm: Alert, found: Alert | None = None) -> Desk:
    """A desk of the symbol S after a restart, which an alarm and a feed's incident outlived."""
    before, after = (Desk(script=scenario("calm"), symbols=["S"], rate=5.0) for _ in range(2))
    before.run_to(3)
    here_ns = before.task.aligner.watermark_ns
    monitor = before.task.monitors["S"]
    monitor.incidents.open = Incident(alarm, [alarm.detector], 1, here_ns)
    if found is not None:
        monitor.feed.findings.open = FeedIncident(found, [], 1, here_ns)
    kept = before.task.snapshot("S")
    after.task.resume(kept.position.streams, [kept], PublishedUntil())
    return after


def commanded(desk: Desk, symbol: str, action: Action, reason: str) -> None:
    """Let an operator move a kill switch three seconds after the market's beginning."""
    switch = Switch(symbol)
    switch.command(action, BEGIN_NS + 3 * SECOND, "ann", reason, reason)
    desk.task.switches.revive(symbol, switch.snapshot)


@asynccontextmanager
async def served(desk: Desk) -> AsyncIterator[str]:
    """A served desk; yields its address."""
    server = await desk.serve()
    try:
        yield f"http://127.0.0.1:{server.port}/"
    finally:
        await server.close()
