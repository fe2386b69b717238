"""One trial: simulate a venue, and audit it against the claims that the clean one keeps."""

from msgspec import Struct

from detectors.audit.table import findings
from detectors.audit.tape import Tape
from service.exchange.breaches import rules_with
from service.exchange.measures import Truth
from service.exchange.rules import KEPT
from service.exchange.simulation import simulate_with_risk
from service.scorecard.audit.markets import SYMBOL, claims, market


class AuditTrial(Struct, frozen=True):
    """A market, and the rule that its venue breaks.

    ``breach`` is empty for the clean venue. ``amount`` is None for the usual size of the breach.
    """

    market: str
    breach: str
    amount: float | None
    seed: int
    seconds: float


class Judged(Struct, frozen=True):
    """What a check found: its outcome, its cases, and how many of them are breaches."""

    outcome: str
    cases: int
    breaches: int


class AuditOutcome(Struct, frozen=True):
    """The result of a trial, by check."""

    trial: AuditTrial
    liquidations: int
    found: dict[str, Judged]

    @property
    def failed(self) -> frozenset[str]:
        """The names of the checks that fail."""
        return frozenset(name for name, its in self.found.items() if its.outcome == "fail")


def run(trial: AuditTrial) -> AuditOutcome:
    """Run a trial. Deterministic: the same trial gives the same outcome."""
    rules = rules_with(trial.breach, trial.amount) if trial.breach else KEPT
    tape = Tape(claims(trial.market, trial.seed))
    for event in simulate_with_risk(
        market(trial.market, rules, trial.seconds),
        seed=trial.seed,
        symbols=[SYMBOL],
        duration_ns=int(trial.seconds * 1e9),
    ):
        if not isinstance(event, Truth):
            tape.apply(event)
    evidence = tape.close()
    return AuditOutcome(
        trial,
        len(evidence.episodes),
        {
            check.name: Judged(its.outcome, its.population, its.breaches)
            for check, its in findings(evidence)
        },
    )
