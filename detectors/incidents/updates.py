"""When an open incident is told again: on a material change, and at most once a minute."""

from msgspec import Struct

from detectors.incidents.alerts import Reason, Severity
from detectors.incidents.market_effect import NOTICEABLE, Part, worst

UPDATE_NS = 60_000_000_000
"""The least event time between two records of an incident. Only a worse severity, which happens
once, is told at once: it pages, and moves the kill switch."""

RARER = 100.0
"""An alarm that chance makes so much less often than those before is told."""

DOUBLING = 1.0
"""The change of a grade that is told: depth has halved again, the spread or the move has doubled
again, or the effect has doubled in typical fluctuations."""

OVER = 0.5
"""The grade from which a told effect is over. It is below `NOTICEABLE`, so that an effect at the
limit is not told again and again."""


class Told(Struct, frozen=True):
    """What a record of an incident says, as far as a change of it is material.

    ``detectors`` are those that have alarmed so far, and ``p_value`` is their least. ``grades`` are
    those of the effects on the market at ``ts_event``.
    """

    ts_event: int
    severity: Severity
    detectors: list[str]
    p_value: float
    grades: dict[Part, float]

    @property
    def lead(self) -> tuple[Part | None, float]:
        """The worst effect that is noticeable, and its grade; None without one."""
        part, grade = worst(self.grades)
        return (part, grade) if grade >= NOTICEABLE else (None, 0.0)


def needs_update(told: Told, now: Told) -> Reason | None:
    """Return why an incident must be told again; None if it need not be.

    Parameters
    ----------
    told
        What its last record says.
    now
        What a record would say now. Detectors and the least p-value only grow, so a change within
        the minute is told when the minute is over.

    Returns
    -------
    str or None
        ``severity`` has risen; another ``detector`` alarms; an alarm is a hundred times as rare
        (``rarity``); an effect on the market is new or has doubled (``worse``); or the worst effect
        that was told is over, or has halved and another leads (``better``).
    """
    if now.severity != told.severity:
        return "severity"
    if now.ts_event < told.ts_event + UPDATE_NS:
        return None
    if not set(now.detectors) <= set(told.detectors):
        return "detector"
    if now.p_value * RARER <= told.p_value:
        return "rarity"
    return _market_change(told, now)


def _market_change(told: Told, now: Told) -> Reason | None:
    for part, grade in now.grades.items():
        before = told.grades[part]
        if grade >= NOTICEABLE and (before < NOTICEABLE or grade >= before + DOUBLING):
            return "worse"
    part_told, grade_told = told.lead
    if part_told is None:
        return None
    left = now.grades[part_told]
    has_halved = left <= grade_told - DOUBLING
    return "better" if left < OVER or (has_halved and now.lead[0] != part_told) else None
