"""Audits a directory of recorded streams, or a span of the topics of a cluster."""

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from detectors.audit.claims import Book
from detectors.audit.health import price_at, slack
from detectors.audit.outcome import Tally
from detectors.audit.table import findings
from detectors.audit.tape import Evidence, Tape
from detectors.audit.windows import frontier
from service.audit.beside import beside_files, beside_topics
from service.audit.read import audited_events, audited_files
from service.audit.result import Audit, Source, row
from service.audit.topics import MOST_UNORDERED, UNORDERED, Span, copy_topics
from service.pipeline.rejection import Rejection
from service.replay.files import STREAM_NAMES
from service.replay.risk_files import Refused
from service.settings.types import Settings

_CHUNK_BYTES = 1 << 20


def audit_directory(
    directory: Path, claims: Book, settings: Settings, *, mark_windows: bool = False
) -> Audit:
    """Return the audit of a directory; the same files and claims give the same audit.

    ``mark_windows`` adds what other windows would have made of the liquidations. Memory holds the
    resting orders, the positions, the references and the liquidations.

    Raises
    ------
    OperatorError
        If there is no stream, a stream has several files, or a file is damaged.
    """
    refused: Counter[str] = Counter()
    unordered: list[str] = []

    def refuse(stream: str, its: Rejection) -> None:
        refused[stream] += 1
        if its.reason == UNORDERED and len(unordered) < MOST_UNORDERED:
            unordered.append(its.detail)

    files = audited_files(directory)
    beside, more = beside_files(directory)
    evidence = _read(
        {name: [path] for name, path in files.items()}, Tape(claims, beside), settings, refuse,
        unordered,
    )  # fmt: skip
    sources = tuple(_source(path, path.name, refused[name]) for name, path in files.items())
    return _audit(evidence, directory.resolve().name, sources + more, mark_windows=mark_windows)


def audit_topics(
    settings: Settings, span: Span, claims: Book, *, mark_windows: bool = False
) -> Audit:
    """Return the audit of a span of the topics of a cluster; see `audit_directory`.

    The records are copied to a temporary directory first: it needs the space for them.

    Raises
    ------
    OperatorError
        As `service.audit.topics.copy_topics`.
    """
    with TemporaryDirectory(prefix="foreshock-audit-") as folder:
        copied = asyncio.run(copy_topics(settings, span, Path(folder)))
        beside, more = asyncio.run(beside_topics(settings, span))
        files: dict[str, list[Path]] = {}
        for its in copied:
            files.setdefault(its.stream, []).extend((its.before, its.path))
        unordered = [detail for its in copied for detail in its.unordered]
        evidence = _read(files, Tape(claims, beside), settings, None, unordered)
        evidence.first_ns = max(evidence.first_ns, span.since_ns or 0)
        sources = tuple(_source(its.path, its.name, its.refused) for its in copied)
    return _audit(
        evidence, settings.kafka.bootstrap_servers, sources + more, mark_windows=mark_windows
    )


def _read(
    files: Mapping[str, Sequence[Path]],
    tape: Tape,
    settings: Settings,
    refuse: Refused | None,
    unordered: Sequence[str],
) -> Evidence:
    """Read all events; ``unordered`` is complete once they are read."""
    disorder: dict[str, Tally] = {}
    for event in audited_events(files, settings, disorder, refuse):
        tape.apply(event)
    return tape.close(disorder, unordered)


def _audit(
    evidence: Evidence, place: str, sources: tuple[Source, ...], *, mark_windows: bool
) -> Audit:
    notional = math.fsum(episode.notional for episode in evidence.episodes)
    return Audit(
        venue=evidence.claims.default.venue,
        directory=place,
        first_ns=evidence.first_ns,
        last_ns=evidence.last_ns,
        events={name: evidence.streams[kind] for kind, name in STREAM_NAMES.items()},
        liquidations=len(evidence.episodes),
        liquidated_notional=notional,
        verified_ratio=_verified(evidence) / notional if notional else 0.0,
        files=sources,
        rows=tuple(row(check, finding) for check, finding in findings(evidence)),
        mark_windows=frontier(evidence) if mark_windows else None,
    )


def _verified(evidence: Evidence) -> float:
    """Return the notional of the liquidations of whose first slice the health is known."""
    known = 0.0
    for episode in evidence.episodes:
        mark = price_at(evidence, episode.slices[0])
        if mark is not None and math.isfinite(slack(episode.slices[0], mark.low)):
            known += episode.notional
    return known


def _source(path: Path, name: str, refused: int) -> Source:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return Source(name, size, digest.hexdigest(), refused)
