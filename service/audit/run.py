"""Audits a directory of recorded streams."""

import hashlib
import math
from collections import Counter
from pathlib import Path

from detectors.audit.claims import Book
from detectors.audit.health import price_at, slack
from detectors.audit.outcome import Tally
from detectors.audit.table import findings
from detectors.audit.tape import Evidence, Tape
from service.audit.read import audited_events, audited_files
from service.audit.result import Audit, Source, row
from service.pipeline.rejection import Rejection
from service.replay.files import STREAM_NAMES
from service.settings.types import Settings

_CHUNK_BYTES = 1 << 20


def audit_directory(directory: Path, claims: Book, settings: Settings) -> Audit:
    """Return the audit of a directory; the same files and claims give the same audit.

    Memory holds the resting orders, the positions, the references and the liquidations.

    Raises
    ------
    OperatorError
        If there is no stream, a stream has several files, or a file is damaged.
    """
    disorder: dict[str, Tally] = {}
    refused: Counter[str] = Counter()

    def refuse(stream: str, _: Rejection) -> None:
        refused[stream] += 1

    files = audited_files(directory)
    tape = Tape(claims)
    for event in audited_events(directory, settings, disorder, refuse):
        tape.apply(event)
    evidence = tape.close(disorder)
    notional = math.fsum(episode.notional for episode in evidence.episodes)
    return Audit(
        venue=claims.default.venue,
        directory=directory.resolve().name,
        first_ns=evidence.first_ns,
        last_ns=evidence.last_ns,
        events={name: evidence.streams[kind] for kind, name in STREAM_NAMES.items()},
        liquidations=len(evidence.episodes),
        liquidated_notional=notional,
        verified_ratio=_verified(evidence) / notional if notional else 0.0,
        files=tuple(_source(path, refused[name]) for name, path in files.items()),
        rows=tuple(row(check, finding) for check, finding in findings(evidence)),
    )


def _verified(evidence: Evidence) -> float:
    """Return the notional of the liquidations of whose first slice the health is known."""
    known = 0.0
    for episode in evidence.episodes:
        mark = price_at(evidence, episode.slices[0])
        if mark is not None and math.isfinite(slack(episode.slices[0], mark.low)):
            known += episode.notional
    return known


def _source(path: Path, refused: int) -> Source:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return Source(path.name, size, digest.hexdigest(), refused)
