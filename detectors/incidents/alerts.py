"""What is published about an incident: an alert, its evidence, and its identity."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

MAX_EVIDENCE = 6
"""The features that an alert names, the largest contributions first."""

Severity = Literal["info", "warning", "critical"]
"""``info`` tells of a drift: nothing to act on at once."""


class Evidence(Struct, frozen=True):
    """One feature behind an alert: ``contribution`` is its share of the squared score."""

    detector: str
    feature: str
    value: float
    expected: float
    contribution: float


class Alert(Struct, frozen=True):
    """What is published when an incident opens, escalates or resolves.

    Times are nanoseconds of event time; ``ts_event`` is the close of the bar that caused it.
    A repeat of an alert has the same ``alert_id``, ``status`` and ``severity``. ``inputs`` says, in
    words, why what the alert rests on is not to be trusted; it is empty where nothing is known
    against it.
    """

    alert_id: str
    symbol: str
    detector: str
    severity: Severity
    status: Literal["firing", "resolved"]
    starts_at: int
    ends_at: int | None
    ts_event: int
    score: float
    p_value: float
    evidence: list[Evidence]
    summary: str
    runbook: str
    inputs: list[str] = []


def alert_id(symbol: str, detector: str, version: int, starts_at: int) -> str:
    """The same incident has the same id, wherever and whenever it is computed.

    >>> alert_id("BTC-PERP", "cancel_burst", 1, 1_700_000_000_000_000_000)
    '78f06c56d9142a041e179255dbf2eb1b'
    """
    made_of = f"{symbol}\\0{detector}\\0{version}\\0{starts_at}"
    return blake2b(made_of.encode(), digest_size=16).hexdigest()


def firing(
    symbol: str,
    detector: str,
    version: int,
    severity: Severity,
    starts_at: int,
    ts_event: int,
    *,
    score: float,
    p_value: float | None,
    evidence: list[Evidence],
    summary: str,
    inputs: Sequence[str],
) -> Alert:
    """What is published when an incident that starts at ``starts_at`` opens or escalates."""
    return Alert(
        alert_id=alert_id(symbol, detector, version, starts_at),
        symbol=symbol,
        detector=detector,
        severity=severity,
        status="firing",
        starts_at=starts_at,
        ends_at=None,
        ts_event=ts_event,
        score=score,
        p_value=1.0 if p_value is None else p_value,
        evidence=evidence,
        summary=summary,
        runbook=f"docs/runbook.md#{detector}",
        inputs=list(inputs),
    )


def resolved(fired: Alert, ends_at: int, summary: str) -> Alert:
    """What is published when the incident of a firing alert has ended."""
    return replace(fired, status="resolved", ends_at=ends_at, ts_event=ends_at, summary=summary)


def distrusted(summary: str, inputs: Sequence[str]) -> str:
    """An alert's sentence, with what is known against its inputs.

    >>> distrusted("BTC-PERP: the book is thin", ["cancels frozen for 12 s"])
    'BTC-PERP: the book is thin; do not trust it: cancels frozen for 12 s'
    """
    return f"{summary}; do not trust it: {', '.join(inputs)}" if inputs else summary
