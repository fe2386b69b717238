"""The fuzz targets. Each takes the bytes of a case, and raises on a broken invariant."""

import gzip
import io
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec
import zstandard

from detectors.catalogue import CATALOGUE
from detectors.market_data.events import Event
from detectors.parameters import Parameters
from service.pipeline import snapshots as snapshots_module
from service.pipeline.log_time import log_time_ns
from service.pipeline.output import Output, PublishedUntil, Tally
from service.pipeline.rejection import MAX_AHEAD_SECONDS, NANOSECONDS, Reason
from service.pipeline.snapshot import Snapshot
from service.pipeline.task import PartitionTask
from service.pipeline.wire import STREAMS, Decoder
from service.replay import files as files_module
from service.replay.files import BatchReader
from tests.fuzz.cases import BEGIN_NS, CALM, NOW_NS, CoreCase, core_case, wire_case, wire_header
from tests.fuzz.invariants import check_finite, check_output, check_task

PARAMETERS = Parameters(
    warmup_bars=10, false_alarms_per_day=100_000.0, quiet_ns=10**10, max_orders=100, max_accounts=8
)
MAX_SYMBOLS = 4
MAX_RECORD_BYTES = 8_192
NOW_MS = NOW_NS // 1_000_000
LATEST_NS = log_time_ns(NOW_MS) + MAX_AHEAD_SECONDS * 10**9


def new_task(max_orders: int = 150, max_waiting: int = 1 << 40) -> PartitionTask:
    """A task with low limits."""
    return PartitionTask(
        list(STREAMS),
        PARAMETERS,
        CATALOGUE,
        max_disorder_ns=100_000_000,
        max_symbols=MAX_SYMBOLS,
        max_orders=max_orders,
        max_waiting=max_waiting,
        tally=Tally(),
    )


class _Run:
    """A task that is fed and checked at every step."""

    def __init__(self, task: PartitionTask, offset: int = 0) -> None:
        self.task = task
        self.fed = 0
        self.outputs: list[Output] = []
        self._offsets = dict.fromkeys(STREAMS, offset)

    def feed(self, events: list[Event]) -> None:
        for kind, stream in enumerate(STREAMS):
            stream_events = [event for event in events if event.kind == kind]
            first = self._offsets[stream]
            self._offsets[stream] = first + len(stream_events)
            self.task.feed(
                stream, stream_events, first_offset=first, next_offset=first + len(stream_events)
            )
        self.fed += len(events)
        self._advance()

    def finish(self) -> None:
        for stream in STREAMS:
            self.task.aligner.set_idle(stream)
        self._advance()

    def _advance(self) -> None:
        output = self.task.advance()
        check_output(output)
        check_task(self.task, self.fed)
        self.outputs.append(output)

    @property
    def published(self) -> bytes:
        """All output, in an order that does not depend on the division into batches."""
        alerts = [alert for output in self.outputs for alert in output.alerts]
        signals = [signal for output in self.outputs for signal in output.signals]
        alerts.sort(key=lambda a: (a.ts_event, a.symbol, a.detector, a.status, a.severity))
        signals.sort(key=lambda s: (s.ts_event, s.symbol))
        return msgspec.msgpack.encode([alerts, signals])


@cache
def _monitored() -> tuple[int, tuple[bytes, ...]]:
    """Snapshots of symbols that are judged already, and their time."""
    events = [
        event
        for who in range(2)
        for event in core_case(
            bytes([0]) + bytes([CALM, 165, who, 0, 0, 3, 7, 0]) * 15, BEGIN_NS
        ).batches[0]
    ]
    run = _Run(new_task())
    run.feed(sorted(events, key=lambda event: event.ts_event))
    run.finish()
    task = run.task
    assert not any(monitor.warming_up for monitor in task.monitors.values())
    at = task.aligner.watermark_ns
    return at, tuple(msgspec.msgpack.encode(task.snapshot(s)) for s in list(task.monitors))


def _begin(header: int, max_waiting: int) -> tuple[_Run, int]:
    """An empty task, or one that already monitors some symbols."""
    task = new_task(150 if header & 2 else 1 << 40, max_waiting)
    if header & 1:
        return _Run(task), BEGIN_NS
    at, states = _monitored()
    saved = [msgspec.msgpack.decode(state, type=Snapshot) for state in states]
    task.resume(saved[0].position.streams, saved, PublishedUntil())
    offset = max(stream_position.read for stream_position in saved[0].position.streams.values())
    return _Run(task, offset), at


def _run_batches(case: CoreCase, batches: list[list[Event]], max_waiting: int) -> _Run:
    run, _ = _begin(case.header, max_waiting)
    for batch in batches:
        run.feed(batch)
    run.finish()
    return run


def core(data: bytes) -> None:
    """Events through alignment, books, bars, detectors and incidents."""
    _, at = _begin(data[0] if data else 0, 1)
    case = core_case(data, at)
    max_waiting = 20 if case.header & 4 else 1 << 40
    run = _run_batches(case, case.batches, max_waiting)
    match case.header >> 4 & 3:
        case 1:  # run it again
            assert _run_batches(case, case.batches, max_waiting).published == run.published
        case 2 if not case.header & 6:  # other batches, without memory limits
            whole = [[event for batch in case.batches for event in batch]]
            assert _run_batches(case, whole, max_waiting).published == run.published
        case 3:  # save and restore
            _check_states(run.task)


def _check_states(task: PartitionTask) -> None:
    encoded_states = [msgspec.msgpack.encode(task.snapshot(symbol)) for symbol in task.changed()]
    check_finite(msgspec.msgpack.decode(msgspec.msgpack.encode(encoded_states)))
    restored = new_task()
    restored.resume(
        {}, [msgspec.msgpack.decode(raw, type=Snapshot) for raw in encoded_states], PublishedUntil()
    )
    for raw in encoded_states:
        snapshot = msgspec.msgpack.decode(raw, type=Snapshot)
        restored._unsaved[snapshot.symbol] = snapshot.position
        state = restored.snapshot(snapshot.symbol).state
        assert msgspec.msgpack.encode(state) == msgspec.msgpack.encode(snapshot.state)


@cache
def _decoder(stream: str, unit: Any, mapped: bool) -> Decoder:
    fields = wire_case(wire_header("orders", mapping=int(mapped))).fields
    return Decoder(stream, fields, unit, MAX_RECORD_BYTES, MAX_AHEAD_SECONDS)


def wire(data: bytes) -> None:
    """Records through the decoder, and the decoded events through a task."""
    case = wire_case(data)
    decoder = _decoder(case.stream, case.unit, bool(case.fields))
    decoded = decoder.decode(case.records, [NOW_MS] * len(case.records))
    rejected = [rejection.index for rejection in decoded.rejections]
    assert len(decoded.events) + len(rejected) == len(case.records)
    assert rejected == sorted(set(rejected))
    for rejection in decoded.rejections:
        assert rejection.reason in get_args(Reason)
        assert rejection.detail.isprintable()
        assert len(rejection.detail) < 400
    if rejected:
        singly = [e for record in case.records for e in decoder.decode([record], [NOW_MS]).events]
        assert singly == decoded.events
    for event in decoded.events:
        assert getattr(event, "symbol", getattr(event, "account", "")).isprintable()
        assert event.ts_event <= LATEST_NS + NANOSECONDS[case.unit]
        check_finite(msgspec.structs.asdict(event))
    if case.stream in STREAMS:
        run = _Run(new_task())
        run.feed(decoded.events)
        run.finish()


def files(data: bytes) -> None:
    """A plain or compressed file gives whole lines, cut at their limit, or an OSError."""
    header, size = (data[0], data[1]) if len(data) > 1 else (0, 0)
    body = data[2:]
    suffix = ("", ".gz", ".zst")[header % 3]
    whole = header & 8 > 0 or not suffix
    stored = _compressed(body, suffix) if whole else body
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"orders.ndjson{suffix}"
        path.write_bytes(stored)
        before = files_module._CHUNK_BYTES
        files_module._CHUNK_BYTES = 1 + size
        try:
            batches = list(BatchReader(path, 3, max_line_bytes=64))
        except OSError as error:
            if whole or "orders.ndjson" not in str(error):
                raise
            return
        finally:
            files_module._CHUNK_BYTES = before
    lines = [line for batch in batches for line in batch]
    assert all(0 < len(line) <= 65 for line in lines)
    if whole:
        expected = [line[:65] for line in body.split(b"\n") if line.strip() or len(line) > 64]
        assert lines == expected


def _compressed(body: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.compress(body, 1, mtime=0)
    if suffix == ".zst":
        out = io.BytesIO()
        with zstandard.ZstdCompressor().stream_writer(out, closefd=False) as writer:
            writer.write(body)
        return out.getvalue()
    return body


class _Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


@cache
def _true_records() -> tuple[list[_Record], set[bytes]]:
    """Two sets of parts of each of two symbols, and their snapshots."""
    records, whole = [], set()
    for raw in _monitored()[1]:
        snapshot = msgspec.msgpack.decode(raw, type=Snapshot)
        whole.add(msgspec.msgpack.encode(snapshot))
        for slot in (0, 1):
            before = snapshots_module.PART_BYTES
            snapshots_module.PART_BYTES = len(raw) // 3
            parts = snapshots_module.parts(
                snapshot, slot=slot, generation=f"{slot}", settings="settings"
            )
            snapshots_module.PART_BYTES = before
            records += [_Record(*part) for part in parts]
    return records, whole


def snapshots(data: bytes) -> None:
    """Records of the snapshots topic: complete snapshots are restored unchanged, others are not."""
    valid_records, whole = _true_records()
    records = []
    for start in range(0, len(data) - 5, 6):
        record_code, mutation, low, high, change, tail = data[start : start + 6]
        record = valid_records[record_code % len(valid_records)]
        at = low + 256 * high
        match mutation % 8:
            case 1:
                record = record._replace(key=_changed(record.key, at, change))
            case 2:
                record = record._replace(value=_changed(record.value, at, change))
            case 3:
                name, header = record.headers[0]
                record = record._replace(headers=[(name, _changed(header, at, change))])
            case 4:
                record = record._replace(value=None)
            case 5:
                record = record._replace(value=record.value[: -1 - at])
            case 6:  # bytes from the case itself
                foreign = data[start + 6 : start + 6 + tail]
                record = record._replace(headers=[("foreshock.snapshot", foreign)])
            case 7:
                record = _Record(data[start + 6 : start + 6 + tail] or None, b"", [])
        records.append(record)
    restored = snapshots_module.restore(records, "settings")
    for snapshot in restored.snapshots:
        assert msgspec.msgpack.encode(snapshot) in whole
    assert set(restored.slots.values()) <= {0, 1}
    assert set(restored.problems) <= set(get_args(snapshots_module.Problem))
    new_task().resume({}, restored.snapshots, PublishedUntil())


def _changed(value: bytes, at: int, change: int) -> bytes:
    changed = bytearray(value)
    changed[at % len(changed)] ^= change
    return bytes(changed)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "wire": wire,
    "core": core,
    "files": files,
    "snapshots": snapshots,
}
