"""The service: consecutive Kafka sessions, the HTTP server, and an orderly shutdown."""

import asyncio
import gc
import os
import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from prometheus_client.registry import Collector

from detectors.closing import mean_budget_per_day
from service import __version__, signals
from service.backoff import delays
from service.cancellation import cancel_and_wait, close, is_cancelled
from service.console.history import History
from service.console.page import console
from service.errors import OperatorError
from service.kafka.clients import Clients, consumer_options, producer_options
from service.kafka.cluster.connection import client_options
from service.kafka.cluster.inspection import BrokerAwayError, explain
from service.kafka.cluster.placement import verify
from service.kafka.cluster.topics import Report
from service.kafka.copartitioning import CopartitionedAssignor
from service.kafka.counters import ConsumerCounters
from service.kafka.reading import readable_end
from service.kafka.session import Session
from service.kafka.venue_watch import VenueWatch
from service.kafka.written_watch import watches
from service.outputs.alertmanager import Notifier
from service.outputs.journal import Journal
from service.outputs.publisher import Published, Publisher
from service.pipeline.feedback import Feedback
from service.pipeline.switch_inputs import Written
from service.registry.registry import Registry
from service.settings.assembly import input_topics
from service.settings.reload import Reloader, Source
from service.settings.types import Settings
from service.web.address import authority
from service.web.metrics import ForeshockCollector, registry
from service.web.readiness import health
from service.web.server import Health, HttpServer, start_http
from service.web.view import View
from service.web.web_config import WebConfig, load_web_config

STOP_SECONDS = 4.5
"""The time limit of saving and committing at shutdown, in seconds; orchestrators kill a process
that takes much longer."""

READER_WAIT_MILLISECONDS = 10
"""The fetch wait of the reader. A broker answers the requests of a connection in order. While it
waits for records (500 ms by default), it delays the requests that restore a partition."""

GC_THRESHOLDS = (100_000, 50, 100)
"""Garbage collections over many long-lived models cause long pauses, so they must be rare."""

log = structlog.get_logger("foreshock")


class Service:
    """Runs Kafka sessions until asked to stop; a failed session is replaced by a new one.

    Parameters
    ----------
    settings
        The settings of the service.
    topics
        The topic of each stream that is read. None: the topics that exist in the cluster, verified
        before the first session.
    first_partitions
        The partition count of the input topics at the start; None if unknown.

    Attributes
    ----------
    history
        The data that the console shows; None if the settings disable the console.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Mapping[str, str] | None = None,
        first_partitions: int | None = None,
    ) -> None:
        self.history = History() if settings.http.console else None
        self._settings = settings
        self._topics = topics
        self._first_partitions = first_partitions
        self._counters = ConsumerCounters()
        self._published = Published()
        self._session: Session | None = None
        self._venue: VenueWatch | None = None
        self._clients: Clients | None = None
        self._written = Written()
        self._watches = watches(self._written, settings.outputs, self._counters)
        self._journal = Journal(settings, f"{socket.gethostname()}-{os.getpid()}")
        self._registry = Registry(settings.registry)
        self._stopping = asyncio.Event()
        self._verifying: asyncio.Task[Report] | None = None
        self._notifier = Notifier(settings.alertmanager, lambda: self.view().open_alerts)

    def stop(self) -> None:
        """Ask ``run`` to save, commit and end."""
        self._stopping.set()
        if self._verifying is not None:
            self._verifying.cancel()
        if self._session is not None:
            self._session.stop()

    async def reconfigure(self, settings: Settings) -> None:
        """Apply new settings from the next bar on; only reloadable settings may differ."""
        market_differs = settings.market != self._settings.market
        self._settings = settings
        self._journal.reloaded(settings)
        if self._session is not None:
            await self._session.reconfigure(settings)
        if self._venue is not None:
            self._venue.risk.reconfigure(settings)
            if market_differs:
                self._venue.market.reconfigure(settings)

    async def run(self) -> None:
        """Run until asked to stop. Retry while no broker answers.

        Raises
        ------
        OperatorError
            The first session cannot be established, for a reason that waiting does not change.
            Later sessions are retried until they succeed.
        """
        async with self._notifier.running(), self._registry.running():
            await self._run()

    async def _run(self) -> None:
        waits = delays(random.Random())  # noqa: S311 - spreads load; not for security
        connected_once = False
        while not self._stopping.is_set():
            session = None
            try:
                topics = self._topics = self._topics or await self._find_topics()
                async with self._connected(topics) as session:
                    connected_once = True
                    await session.run()
                    if self._clients is not None:
                        await self._journal.stopped(self._clients.publisher.journal)
            except (KafkaError, OSError, OperatorError, asyncio.CancelledError) as error:
                if self._stopping.is_set() and not connected_once:
                    return
                is_final = isinstance(error, OperatorError) and not connected_once
                if is_cancelled() or (is_final and not isinstance(error, BrokerAwayError)):
                    raise
                if session is not None and session.progressed:
                    waits = delays(random.Random())  # noqa: S311 - as above
                wait = next(waits)
                facts = {
                    "reason": await explain(self._settings, error),
                    "wait_seconds": round(wait, 2),
                }
                if connected_once:
                    log.warning("session lost, reconnecting", **facts)
                else:
                    log.warning("not connected, trying again", **facts)
                await self._pause(wait)

    async def _find_topics(self) -> Mapping[str, str]:
        """Return the topic of each stream that is read, of those that exist in the cluster."""
        self._verifying = asyncio.create_task(verify(self._settings))
        try:
            report = await self._verifying
        finally:
            self._verifying = None
        for hint in report.hints:
            log.warning("input not read", reason=hint)
        self._first_partitions = report.partitions
        topics = input_topics(self._settings, report.topics)
        log.info("topics found", topics=list(topics.values()))
        return topics

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    @asynccontextmanager
    async def _connected(self, topics: Mapping[str, str]) -> AsyncIterator[Session]:
        """Provide a session on new connections, and close all of them after it."""
        kafka = self._settings.kafka
        options = client_options(kafka)  # once: this reads files and requests a token
        async with AsyncExitStack() as stack:
            reader = AIOKafkaConsumer(
                **consumer_options(kafka, options), fetch_max_wait_ms=READER_WAIT_MILLISECONDS
            )
            await reader.start()
            stack.push_async_callback(close, "the reader", reader.stop)
            admin = AIOKafkaAdminClient(**options)
            await admin.start()
            stack.push_async_callback(close, "the admin client", admin.close)
            consumer = AIOKafkaConsumer(
                # The session itself sets the start offsets, and reports lost records.
                **consumer_options(kafka, options) | {"auto_offset_reset": "none"},
                group_id=kafka.group_id,
                fetch_max_wait_ms=round(kafka.fetch_wait_seconds * 1e3),
                enable_auto_commit=False,
                session_timeout_ms=round(kafka.session_timeout_seconds * 1e3),
                heartbeat_interval_ms=round(kafka.session_timeout_seconds * 1e3 / 10),
                partition_assignment_strategy=(CopartitionedAssignor,),
            )
            await consumer.start()
            stack.push_async_callback(close, "the consumer", consumer.stop)
            producer = AIOKafkaProducer(**producer_options(kafka, options))
            await producer.start()
            # Stopped before the group is left: the sends in flight must arrive before the next
            # owner reads the alerts topic to see what was published.
            stack.push_async_callback(close, "the producer", producer.stop)
            publisher = Publisher(producer, self._settings.outputs, self._published)
            clients = Clients(
                consumer, reader, admin, publisher, self._notifier.notify, self._registry
            )
            session = Session(
                self._settings,
                topics,
                clients,
                self._counters,
                self.history,
                self._first_partitions,
                self._written,
            )

            def connect() -> AIOKafkaConsumer:
                wait_ms = round(kafka.fetch_wait_seconds * 1e3)
                return AIOKafkaConsumer(**consumer_options(kafka), fetch_max_wait_ms=wait_ms)

            def waits() -> Iterator[float]:
                return delays(random.Random())  # noqa: S311 - as in _run

            venue = VenueWatch(
                self._settings, topics, session, clients, self._counters, connect, waits,
                self.history,
            )  # fmt: skip
            for watch in self._watches:
                await watch.catch_up(reader, admin)
            for beside in (
                venue.run(),
                *(w.follow(connect, admin, session.refuse_written, waits) for w in self._watches),
                self._journal.keep(publisher.journal),
            ):
                stack.push_async_callback(cancel_and_wait, asyncio.create_task(beside))
            self._session, self._venue, self._clients = session, venue, clients
            if self._stopping.is_set():
                session.stop()
            try:
                yield session
            finally:
                self._session = self._venue = self._clients = None

    def view(self) -> View:
        """Return the current state for the metrics."""
        session, clients = self._session, self._clients
        partitions = dict(session.partitions) if session is not None else {}
        lags = {}
        for partition in partitions.values():
            for tp, read in partition.read().items():
                end = readable_end(clients.consumer, tp) if clients is not None else None
                if end is not None:
                    lags[tp.topic, tp.partition] = max(0, end - read)
        connected = session is not None and session.joined
        watches = session.watches if session is not None else None
        view = View(
            self._counters,
            self._published,
            partitions,
            lags,
            connected,
            restoring=session.restoring if session is not None else 0,
            deliveries=self._notifier.deliveries,
            unread=session.partition_counts.unread if session is not None else {},
            misplaced_symbols=len(watches.placement.misplaced) if watches is not None else 0,
            stuck=watches.progress.stuck(time.monotonic()) if watches is not None else {},
            judgements=self._written.judgements,
            registry_failures=self._registry.failures,
            pending_schemas=self._registry.pending,
        )
        if (venue := self._venue) is not None:
            view.venue_alerts = venue.open_alerts()
            view.market_watched = venue.market.watching
            view.market_wide_symbols = venue.market.symbols
            view.risk_wanted, view.risk = venue.risk.wanted, venue.risk.monitor
            view.conduct, view.conduct_missing = venue.risk.conduct, venue.risk.missing_inputs
        default = self._settings.detection.false_alarms_per_day
        parameters = [monitor.parameters for monitor in view.monitors]
        view.budget_per_day = mean_budget_per_day(parameters, default)
        return view

    def health(self) -> Health:
        """Return whether the loop runs, and whether the session owns restored partitions."""
        return health(self._session, self._counters, self._registry.problem)

    async def judge(self, feedback: Feedback) -> None:
        """Publish what an operator judged of an alert.

        Raises
        ------
        KafkaError
            No broker acknowledges it.
        OperatorError
            No session is connected.
        """
        if self._clients is None:
            raise OperatorError("Kafka is not connected; try again when /readyz says so")
        await self._clients.publisher.feedback(feedback)


async def start_service_http(
    settings: Settings,
    port: int,
    service: Service,
    web_config: WebConfig | None = None,
    collectors: Iterable[Collector] = (),
) -> HttpServer:
    """Serve the console and metrics of a service, and metrics of other collectors, on a port.

    Raises OperatorError if the server cannot start.
    """
    additions = []
    if service.history is not None:
        additions.append(
            console(settings, service.view, service.health, service.history, service.judge)
        )
    return await start_http(
        settings.http.host,
        port,
        registry=registry([ForeshockCollector(settings, service.view), *collectors]),
        health=service.health,
        web_config=web_config,
        additions=additions,
    )


async def serve(settings: Settings, source: Source) -> int:
    """Run the service until SIGTERM or SIGINT; return the exit status."""
    stop = asyncio.Event()
    reloader = Reloader(settings, source)
    signals.on_signal(signal.SIGTERM, stop.set)
    signals.on_signal(signal.SIGINT, stop.set)
    signals.on_signal(signal.SIGHUP, reloader.ask)
    web_config = load_web_config(settings.http.web_config_file)
    service = Service(settings)
    http = await start_service_http(
        settings, settings.http.port, service, web_config, collectors=[reloader]
    )
    where = authority(settings.http.host, http.port)
    url = f"{'https' if web_config.tls else 'http'}://{where}/"
    log.info(
        "started",
        version=__version__,
        kafka=settings.kafka.bootstrap_servers,
        group=settings.kafka.group_id,
        metrics=f"{url}metrics",
        console=url if settings.http.console else None,
    )
    reloading = asyncio.create_task(reloader.run(service.reconfigure))
    task = asyncio.create_task(service.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            log.info("stopping")
            service.stop()
            done, _ = await asyncio.wait({task}, timeout=STOP_SECONDS)
            if not done:
                log.error(
                    "saving timed out; the next start replays the records that were not saved"
                )
                task.cancel()
                return 1
        task.result()
    finally:
        stopping.cancel()
        reloading.cancel()
        await http.close()
    log.info("stopped")
    return 0


def run(settings: Settings, source: Source) -> int:
    """Run the service in a new event loop; return the exit status. ``source`` is for reloads."""
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        return asyncio.run(serve(settings, source))
    finally:
        signals.ignore()
