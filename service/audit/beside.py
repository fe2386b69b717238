"""Reads the alerts and kill switches of the same time: files beside a record, or topics."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from detectors.audit.beside import Beside, Warned
from detectors.incidents.alerts import Alert
from detectors.kill_switch.switch import KillSwitch
from detectors.kill_switch.switch import decode as decode_switch
from service.audit.result import Source
from service.audit.topics import Span
from service.errors import OperatorError
from service.kafka.operator import read_records
from service.replay.files import BatchReader, stream_path
from service.settings.types import Settings

FILES = ("alerts", "switches")
"""The files, as `foreshock replay` writes them: NDJSON, plain, .gz or .zst."""

EARLIER_NS = 1_800_000_000_000
"""How long before a span alerts and trips are read: they may still hold within it."""

_decode_alert = msgspec.json.Decoder(Alert).decode
_T = TypeVar("_T")


def beside_files(directory: Path) -> tuple[Beside, tuple[Source, ...]]:
    """Return what the files of a directory hold, and the files. Both may be absent.

    Raises
    ------
    OperatorError
        If there are several files of a kind, or a file is damaged.
    """
    sources: list[Source] = []

    def taken(name: str, decode: Callable[[bytes], _T]) -> tuple[_T, ...] | None:
        try:
            path = stream_path(directory, name)
            if path is None:
                return None
            lines = [line for batch in BatchReader(path) for line in batch]
        except (ValueError, OSError, RuntimeError) as error:
            raise OperatorError(str(error)) from error
        found, refused = _decoded(lines, decode)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        sources.append(Source(path.name, len(content), digest, refused))
        return found

    alerts = taken("alerts", _decode_alert)
    return _beside(alerts, taken("switches", decode_switch)), tuple(sources)


async def beside_topics(settings: Settings, span: Span) -> tuple[Beside, tuple[Source, ...]]:
    """Return what the topics of alerts and of the log of switches hold of a span.

    Raises
    ------
    OperatorError
        No broker answers, or the broker refuses.
    """
    since_ns = 0 if span.since_ns is None else span.since_ns - EARLIER_NS
    wanted = ("alerts", "switchlog")
    since_ms = dict.fromkeys(wanted, since_ns // 1_000_000) if since_ns else {}
    records = await read_records(settings, wanted, since_ms)
    sources: list[Source] = []

    def taken(name: str, decode: Callable[[bytes], Any]) -> tuple[Any, ...] | None:
        if name not in records:
            return None
        values = [record.value or b"" for record in records[name]]
        found, refused = _decoded(values, decode)
        content = b"".join(value + b"\n" for value in values)
        digest = hashlib.sha256(content).hexdigest()
        topic = getattr(settings.outputs, name)
        sources.append(Source(topic, len(content), digest, refused))
        until_ns = 2**63 if span.until_ns is None else span.until_ns
        return tuple(its for its in found if since_ns <= its.ts_event < until_ns)

    alerts = taken("alerts", _decode_alert)
    return _beside(alerts, taken("switchlog", decode_switch)), tuple(sources)


def _beside(alerts: tuple[Alert, ...] | None, switches: tuple[KillSwitch, ...] | None) -> Beside:
    warned = None
    if alerts is not None:
        warned = tuple(
            Warned(a.ts_event, a.symbol, a.detector, a.severity, a.status, a.alert_id)
            for a in sorted(alerts, key=lambda a: a.ts_event)
        )
    if switches is not None:
        switches = tuple(sorted(switches, key=lambda its: (its.ts_event, its.sequence)))
    return Beside(warned, switches)


def _decoded(lines: Iterable[bytes], decode: Callable[[bytes], _T]) -> tuple[tuple[_T, ...], int]:
    """Return the records of lines, and the number of lines that hold none."""
    found, refused = [], 0
    for line in lines:
        try:
            found.append(decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            refused += 1
    return tuple(found), refused
