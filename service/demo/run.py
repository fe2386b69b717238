"""``foreshock demo``: an embedded broker, an exchange, the real service, and a subscriber.

The service has no demo mode. The page shows what any subscriber of its topics receives, and its
Prometheus metrics.
"""

import asyncio
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable
from typing import IO

from aiokafka.errors import KafkaError
from msgspec.structs import asdict

from detectors.symbol import SETTLING_BARS
from service import logs
from service.demo.broker import FETCH_WAIT_SECONDS, embedded_broker
from service.demo.captions import Totals
from service.demo.display import conclude, display
from service.demo.exchange import Exchange, simulated_exchange
from service.demo.observations import Observations
from service.demo.plan import Plan, make_plan
from service.demo.status import Status
from service.demo.subscriber import subscribe
from service.errors import OperatorError
from service.kafka.cluster.inspection import verify_topics
from service.run import Service, start_service_http
from service.settings.assembly import input_topics
from service.settings.types import KafkaSettings, Settings
from service.web.server import HttpServer

INTERRUPTED = 130

START_SECONDS = 30.0
"""Maximum time to join the group and restore."""

GRACE = 6.0
"""Maximum duration as a multiple of the planned one, for machines that are too slow."""

STOP_SECONDS = 2.0
"""Maximum time for the service to stop. The broker and its data disappear with the demo anyway."""

_FRAME_SECONDS = 0.2
_RATE_SECONDS = 2.0
_LAST_LOOK_SECONDS = 0.5
_POLL_SECONDS = 0.05


def demo(
    *,
    seconds: float,
    seed: int,
    scenario: str,
    speed: float | None,
    http_port: int,
    keep: bool = False,
) -> int:
    """Run the demo, and print a summary at the end.

    Parameters
    ----------
    seconds
        Duration in wall-clock time.
    seed, scenario
        The market.
    speed
        Seconds of market time per second. None means the speed at which the scenario fits.
    http_port
        Port of the console and the metrics. A free port is used if this one is taken.
    keep
        Continue after the end of the market, until Ctrl-C.

    Returns
    -------
    int
        The exit code: 0, or 130 after Ctrl-C.

    Raises
    ------
    OperatorError
        If the broker, the service or the exchange does not start, or ends early.
    """
    plan = make_plan(scenario, seed=seed, seconds=seconds, speed=speed, now_ns=time.time_ns())
    with _log_file() as log:
        logs.configure("info", "json", log)
        try:
            return asyncio.run(_demonstrate(plan, http_port, keep, log))
        except KafkaError as error:
            raise OperatorError(f"the demo failed: {error!r}; see {log.name}") from None


def _log_file() -> IO[str]:
    """A new file for the log, which stays after the demo.

    Raises
    ------
    OperatorError
        There is no place for it.
    """
    try:
        return tempfile.NamedTemporaryFile(
            "w", prefix="foreshock-demo-", suffix=".log", delete=False
        )
    except OSError as error:
        raise OperatorError(
            f"cannot write the demo's log: {error.strerror}; name a directory that you may write "
            "to in TMPDIR"
        ) from None


async def _demonstrate(plan: Plan, http_port: int, keep: bool, log: IO[str]) -> int:
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    default = Settings()
    with embedded_broker([*asdict(default.topics).values(), *asdict(default.outputs).values()]) as (
        servers
    ):
        settings = Settings(
            kafka=KafkaSettings(
                bootstrap_servers=servers, start="earliest", fetch_wait_seconds=FETCH_WAIT_SECONDS
            )
        )
        report = await verify_topics(settings)
        service = Service(settings, input_topics(settings, report.topics))
        http = await _start_http(settings, http_port, service)
        url = f"http://{settings.http.host}:{http.port}/"
        if http_port not in (0, http.port):
            url += f" (port {http_port} is taken)"
        demonstration = Demonstration(plan, settings, service, url, log, keep=keep)
        try:
            await demonstration.run(interrupted)
        finally:
            await http.close()
    conclude(plan, demonstration.observations, demonstration.totals(), log.name)
    return INTERRUPTED if interrupted.is_set() and not demonstration.ended else 0


async def _start_http(settings: Settings, port: int, service: Service) -> HttpServer:
    try:
        return await start_service_http(settings, port, service)
    except OperatorError:
        return await start_service_http(settings, 0, service)


class Demonstration:
    """One run: the exchange trades, the service monitors it, a subscriber shows the results.

    Parameters
    ----------
    plan
        The plan of the demo.
    settings
        The service's settings, with the embedded broker's address.
    service
        The service, not yet running.
    console_url
        Address of its console.
    log
        Destination of the service's and the exchange's logs.
    keep
        Whether to continue after the end of the market.

    Attributes
    ----------
    ended
        Whether the market has ended.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        service: Service,
        console_url: str,
        log: IO[str],
        *,
        keep: bool,
    ) -> None:
        self.ended = False
        self.observations = Observations(plan.symbols, plan.start_ns)
        self._plan = plan
        self._settings = settings
        self._service = service
        self._console_url = console_url
        self._keep = keep
        self._log = log
        self._reads: deque[tuple[float, int]] = deque()
        self._traded_for = 0.0

    async def run(self, interrupted: asyncio.Event) -> None:
        """Run until the market ends, the time is up, or the event is set.

        Raises
        ------
        OperatorError
            If the exchange ends early.
        KafkaError
            If the service or the subscriber cannot continue.
        """
        with display(self._plan, self.observations) as show:
            async with simulated_exchange(self._plan, self._settings, self._log) as exchange:
                service_task = asyncio.create_task(self._service.run())
                side_tasks = {
                    asyncio.create_task(subscribe(self._settings, self.observations)),
                    asyncio.create_task(self._show(show)),
                    asyncio.create_task(self._trade(exchange)),
                    asyncio.create_task(interrupted.wait()),
                }
                try:
                    done, _ = await asyncio.wait(
                        {service_task, *side_tasks},
                        timeout=None if self._keep else START_SECONDS + GRACE * self._plan.seconds,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    for task in done:
                        task.result()
                finally:
                    for task in side_tasks:
                        task.cancel()
                    self._service.stop()
                    await asyncio.wait({service_task}, timeout=STOP_SECONDS)
                    service_task.cancel()
                    await asyncio.gather(service_task, *side_tasks, return_exceptions=True)

    def totals(self) -> Totals:
        """Counts of the records so far."""
        counters = self._service.view().counters
        tally = counters.tally
        return Totals(
            produced=self.observations.produced,
            scored=tally.scored,
            late=tally.late,
            rejected=counters.dead_letters.total(),
            seconds=self._traded_for,
        )

    async def _trade(self, exchange: Exchange) -> None:
        """Start the market once the service is ready, and wait for its end."""
        # The broker knows no times: what is published before the watch over the risk reads is lost.
        while not (  # noqa: ASYNC110 - a state, not an event
            self._service.health().ready and self._service.view().risk is not None
        ):
            await asyncio.sleep(_POLL_SECONDS)
        began = time.monotonic()
        await exchange.open(self.observations.progress, lambda: self.totals().processed)
        self._traded_for = time.monotonic() - began
        while self.totals().pending > 0:  # noqa: ASYNC110 - as above
            await asyncio.sleep(_POLL_SECONDS)
        self.ended = True
        await asyncio.sleep(_LAST_LOOK_SECONDS)
        if self._keep:
            await asyncio.Event().wait()  # until this task is cancelled

    async def _show(self, show: Callable[[Status], None]) -> None:
        while True:
            show(self._status())
            await asyncio.sleep(_FRAME_SECONDS)

    def _status(self) -> Status:
        view = self._service.view()
        read = view.counters.records.total()
        now = time.monotonic()
        self._reads.append((now, read))
        while self._reads[0][0] < now - _RATE_SECONDS:
            self._reads.popleft()
        since, read_then = self._reads[0]
        return Status(
            phase=self._phase(),
            read=read,
            rate=(read - read_then) / (now - since) if now > since else 0.0,
            lag=sum(view.lags.values()),
            late=view.counters.tally.late,
            bootstrap_servers=self._settings.kafka.bootstrap_servers,
            console_url=self._console_url,
            log=self._log.name,
        )

    def _phase(self) -> str:
        """The current phase, as reported by the service."""
        if self.ended and self._keep:
            return "market ended; the console keeps running until Ctrl-C"
        health = self._service.health()
        if not health.ready:
            waiting = next(check for check in health.checks.values() if check != "ok")
            return f"starting: {waiting}"
        views = self.observations.symbols.values()
        if all(view.stress_ratio is None for view in views):
            bars = min(view.bars for view in views)
            needed = SETTLING_BARS + self._settings.detection.warmup_bars
            return f"warming up: {bars} of {needed} bars"
        incidents = [i for s in self._plan.symbols if (i := self.observations.open_incident(s))]
        if not incidents:
            return "monitoring: no open incidents"
        critical = sum(incident.severity == "critical" for incident in incidents)
        return f"alarm: {len(incidents)} open, {critical} critical"
