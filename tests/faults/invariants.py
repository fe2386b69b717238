"""The guarantees: at every moment and at the end, whatever faults occur."""

from collections import Counter
from typing import Any

import msgspec
from aiokafka import TopicPartition
from msgspec import Struct

from detectors.kill_switch.switch import decode, digest
from detectors.state import capture
from service.outputs.publisher import MAX_UNACKNOWLEDGED
from service.pipeline.task import PartitionTask
from tests.faults.broker import Record
from tests.faults.markets import SYMBOLS
from tests.faults.world import SETTINGS, TOPICS, Instance, World


class Result(Struct):
    """The results of a run, to compare with those of an undisturbed run."""

    alerts: dict[str, bytes]
    signals: dict[str, bytes]
    switches: dict[str, bytes]
    dead_letters: set[tuple[str, str, str]]
    states: dict[str, bytes]
    repeated_alerts: int = 0
    repeated_signals: int = 0


class InvariantChecker:
    """Checks the guarantees while a world runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._first_published: dict[Any, float] = {}
        self._overlapped: dict[int, float] = {}
        # The partitions that each process owned last, and its publisher.
        self._last_owned: dict[Any, tuple[Any, set[int]]] = {}
        self.repeated_in_overlap = 0
        world.broker.on_commit = self._committed
        world.broker.on_append = self._appended
        # A session may end between two checks while its alerts are still in flight.
        world.broker.on_send = self._note_owners

    def check(self) -> None:
        """Check the guarantees that hold at every moment."""
        self._note_owners()
        for instance in self._world.instances:
            if instance.alive and instance.service is not None:
                self._check_conserved(instance.service, instance.tasks)
                if instance.service._session is not None:
                    self._check_bounded(instance.service._session)

    def _committed(self, tp: TopicPartition, before: int, after: int) -> None:
        if after < before:
            self._world.fail(
                f"the offset of {tp.topic} {tp.partition} went from {before} to {after}"
            )
        if after > self._world.broker.end(tp):
            self._world.fail(f"{tp.topic} {tp.partition} was committed beyond its end: {after}")

    def _appended(self, record: Record) -> None:
        if record.topic != "foreshock.alerts":
            return
        self._note_owners()
        now = self._world.loop.now
        key = alert_identity(record)
        self._world.alert_published(record.partition)
        self._world.log(f"alert {record.partition}:{record.offset} {' '.join(key)}")
        if key not in self._first_published:
            self._first_published[key] = now
        elif self._overlapped.get(record.partition, -1.0) >= self._first_published[key]:
            self.repeated_in_overlap += 1
        else:
            self._world.fail(f"published twice by one owner: {' '.join(key)}")

    def _note_owners(self) -> None:
        """Record the partitions that two processes believe to own.

        A process also counts as owner while alerts of a partition that it has left are in flight.
        """
        owners: Counter[int] = Counter()
        for instance in self._world.instances:
            if instance.alive and instance.service is not None:
                owners.update(self._owned(instance))
        for number, count in owners.items():
            if count > 1:
                if self._overlapped.get(number, -10.0) < self._world.loop.now - 1:
                    self._world.record_fault("two owners", f"partition {number} has two owners")
                self._overlapped[number] = self._world.loop.now

    def _owned(self, instance: Instance) -> set[int]:
        session, process = instance.service._session, instance.process
        publisher, numbers = self._last_owned.get(process, (None, set()))
        if session is not None:
            if session._clients.publisher is not publisher:
                publisher, numbers = session._clients.publisher, set()
            numbers = set(session.partitions) | (numbers if publisher._unacknowledged else set())
            self._last_owned[process] = (publisher, numbers)
        elif publisher is not None and not publisher._unacknowledged:
            numbers = set()
        return numbers

    def _check_conserved(self, service: Any, tasks: list[PartitionTask]) -> None:
        counters = service._counters
        if counters.records_lost and not self._world.lost:
            self._world.fail(f"records are said to be lost: {dict(counters.records_lost)}")
        read = counters.records.total()
        waiting = sum(task.aligner.pending(stream) for task in tasks for stream in TOPICS)
        tally = counters.tally
        dead = sum(counters.dead_letters.values())
        processed = tally.scored + tally.late + tally.skipped + tally.unwatched + tally.repeated
        accounted = processed + dead + waiting
        if read != accounted:
            self._world.fail(
                f"read {read}, but {tally.scored} scored + {tally.late} late + {dead} dead "
                f"letters + {tally.skipped} skipped + {tally.unwatched} unwatched + "
                f"{waiting} waiting = {accounted}"
            )

    def _check_bounded(self, session: Any) -> None:
        symbols = sum(map(len, SYMBOLS.values()))
        most = 4 * (SETTINGS.limits.buffered_events + SETTINGS.kafka.max_poll_records)
        sizes = {
            "sends under way": (
                len(session._clients.publisher._unacknowledged),
                MAX_UNACKNOWLEDGED,
            ),
            "snapshots held": (len(session._saving), 2 * symbols),
            "partitions kept": (len(session._handed_back), len(SYMBOLS) + 1),
        }
        for partition in session.partitions.values():
            for stream in TOPICS:
                pending = partition.task.aligner.pending(stream)
                sizes[f"{stream} waiting in {partition.number}"] = (pending, most)
            sizes[f"alerts noted in {partition.number}"] = (len(partition.alerts), 100)
        for label, (size, limit) in sizes.items():
            if size > limit:
                self._world.fail(f"{label}: {size}, more than {limit}")


def alert_identity(record: Record) -> tuple[str, str, str, str]:
    """The key that identifies an alert."""
    alert = msgspec.json.decode(record.value or b"null")
    return alert["alert_id"], alert["status"], alert["severity"], str(alert["update"])


def result(world: World) -> Result:
    """The results of a world."""
    states = {}
    for instance in world.instances:
        if instance.alive and instance.service is not None and instance.service._session:
            for partition in instance.service._session.partitions.values():
                for symbol, monitor in partition.task.monitors.items():
                    state = msgspec.to_builtins(capture(monitor, None))
                    # A bar's shortest delay is a sample over the partition's symbols. A restart
                    # within a bar may miss one of the samples.
                    del state["feed"]["transport"]
                    states[symbol] = msgspec.msgpack.encode(state, order="sorted")
    alerts = world.broker.records("foreshock.alerts")
    signals = world.broker.records("foreshock.signals")
    dead_letters = world.broker.records("foreshock.deadletters")
    names = ("foreshock.topic", "foreshock.partition", "foreshock.offset")
    actual = Result(
        alerts={" ".join(alert_identity(record)): record.value or b"" for record in alerts},
        signals={_moment(record): record.value or b"" for record in signals},
        switches=_moves(world.broker.records("foreshock.killswitch")),
        dead_letters={
            tuple(dict(r.headers)[name].decode() for name in names) for r in dead_letters
        },  # type: ignore[misc]
        states=states,
    )
    actual.repeated_alerts = len(alerts) - len(actual.alerts)
    actual.repeated_signals = len(signals) - len(actual.signals)
    return actual


def _moment(record: Record) -> str:
    value = msgspec.json.decode(record.value or b"null")
    return f"{value['symbol']} {value['ts_event']}"


def _moves(records: list[Record]) -> dict[str, bytes]:
    """What the switches told that does not depend on owners and clocks, by symbol and moment.

    Heartbeats, renewals and what is told again do, and so do the numbers and hashes of the others.
    """
    moves = {}
    for record in records:
        switch = decode(record.value) if record.value is not None else None
        if (
            switch is not None
            and switch.cause in ("started", "transition")
            and switch.symbol != "*"
        ):
            name = f"{switch.symbol} {switch.ts_event} {switch.state}"
            told = (switch.since, switch.reason, switch.alert_id, switch.by, switch.until)
            moves[name] = msgspec.json.encode(told)
    return moves


def check_switches(world: World) -> None:
    """Fail the world for each switch whose log, or whose last record, is not one whole chain."""
    log: dict[bytes, list[bytes]] = {}
    for record in world.broker.records("foreshock.switchlog"):
        log.setdefault(record.key or b"", []).append(record.value or b"")
    for record in world.broker.records("foreshock.killswitch"):
        switch = decode(record.value) if record.value is not None else None
        if switch is None or switch.cause == "heartbeat":
            continue
        if record.value not in log.get(record.key or b"", ()):
            world.fail(f"killswitch: the log lacks {switch.symbol} {switch.sequence}")
    for symbol, values in log.items():
        chain: dict[int, set[bytes]] = {}
        for value in values:
            chain.setdefault(decode(value).sequence, set()).add(value)
        for sequence, forks in chain.items():
            before = {digest(value) for value in chain.get(sequence - 1, ())} or {""}
            if sequence > 1 and not any(decode(value).previous in before for value in forks):
                world.fail(f"killswitch: {symbol!r} {sequence} follows from nothing")
            if len(forks) > 1 and not world.counts["two owners"]:
                world.fail(f"killswitch: {symbol!r} has {len(forks)} records {sequence}")


def compare(world: World, actual: Result, expected: Result) -> None:
    """Fail the world for every difference from an undisturbed run."""
    for label in ("alerts", "signals", "switches", "states"):
        actual_records, expected_records = getattr(actual, label), getattr(expected, label)
        for name in sorted(expected_records.keys() - actual_records.keys())[:5]:
            world.fail(f"{label}: lost {name}")
        for name in sorted(actual_records.keys() - expected_records.keys())[:5]:
            world.fail(f"{label}: {name} is not in the undisturbed run")
        for name in sorted(name for name in actual_records.keys() & expected_records.keys()):
            if actual_records[name] != expected_records[name]:
                world.fail(f"{label}: {name} differs from the undisturbed run")
    lost = expected.dead_letters - actual.dead_letters
    if lost:
        world.fail(f"dead letters lost: {sorted(lost)[:5]}")
    if actual.dead_letters - expected.dead_letters:
        world.fail("a good record is among the dead letters")


def compare_after_loss(world: World, actual: Result, expected: Result) -> None:
    """Fail the world if the service has not named exactly the records that were deleted unread."""
    for tp, offset in sorted(world.lost - world.reported_lost)[:5]:
        world.fail(f"nobody said that {tp.topic} {tp.partition} {offset} is lost")
    for tp, offset in sorted(world.reported_lost - world.lost)[:5]:
        world.fail(f"{tp.topic} {tp.partition} {offset} is said to be lost")
    deleted = {(tp.topic, str(tp.partition), str(offset)) for tp, offset in world.lost}
    missing = expected.dead_letters - actual.dead_letters - deleted
    if missing:
        world.fail(f"dead letters lost: {sorted(missing)[:5]}")
    if actual.dead_letters - expected.dead_letters:
        world.fail("a good record is among the dead letters")


def check_consoles(world: World) -> None:
    """Fail the world for every process whose console shows a partition that it does not own."""
    for instance in world.instances:
        if not instance.alive or instance.service is None or instance.service._session is None:
            continue
        history, owned = instance.service.history, instance.service._session.partitions
        if history is None or any(ring.number not in owned for ring in history.rings.values()):
            world.fail("a console has bars of a partition that its process does not own")
        elif any(i.ended is None and i.number not in owned for i in history.incidents.values()):
            world.fail("a console shows an incident of a partition that its process does not own")
