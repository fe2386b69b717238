"""The result of an audit, as it is written."""

from collections.abc import Mapping

from msgspec import Struct, structs

from detectors.audit.check import Check
from detectors.audit.outcome import Case, Finding, Outcome
from detectors.audit.windows import Frontier
from detectors.fairness.statistics import Estimate

OUTCOMES: Mapping[Outcome, str] = {
    "fail": "fail",
    "pass_weak": "pass (weak)",
    "pass": "pass",
    "inferred": "inferred",
    "not_tested": "not tested",
}
"""How each outcome is called, the gravest first."""


class Source(Struct, frozen=True):
    """A file that was read: its name, its length in bytes, and its SHA-256 in hexadecimal.

    Of a topic, it is a partition: the hash is that of its values, each with a newline after it.
    ``refused`` is the number of its records that are no events.
    """

    name: str
    size: int
    sha256: str
    refused: int


class Row(Struct, frozen=True):
    """A check and what it found; the fields are those of `Check` and `Finding`."""

    number: str
    name: str
    rule: str
    inputs: tuple[str, ...]
    source: str
    outcome: Outcome
    sentence: str
    population: int
    breaches: int
    borderline: int
    breach_ratio: Estimate
    money: float
    claim: str
    tolerance: str
    facts: Mapping[str, float | str]
    cases: tuple[Case, ...]
    missing: str
    plan: str


class Audit(Struct, frozen=True):
    """An audit.

    Attributes
    ----------
    venue
        As the claims name it.
    directory
        Name of the audited directory, without its path; or the brokers of the audited topics.
    first_ns, last_ns
        Time of the first and of the last event.
    events
        Number of events by stream.
    liquidations, liquidated_notional
        Number of liquidations, and what they closed in the quote currency.
    verified_ratio
        Share of the liquidated notional of whose first slice the health is known.
    files
        What was read.
    rows
        The findings.
    mark_windows
        What other mark windows would have made of the liquidations; null if it was not asked for.
    """

    venue: str
    directory: str
    first_ns: int
    last_ns: int
    events: Mapping[str, int]
    liquidations: int
    liquidated_notional: float
    verified_ratio: float
    files: tuple[Source, ...]
    rows: tuple[Row, ...]
    mark_windows: Frontier | None = None

    def counts(self) -> dict[Outcome, int]:
        """Return the number of findings of each outcome."""
        return {name: sum(row.outcome == name for row in self.rows) for name in OUTCOMES}


def row(check: Check, finding: Finding) -> Row:
    """Return a check with its finding."""
    its = check._asdict()
    del its["run"]
    return Row(**its, **structs.asdict(finding))


def exit_status(audit: Audit) -> int:
    """Return 1 if a check fails, else 0."""
    return int(audit.counts()["fail"] > 0)
