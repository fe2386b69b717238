"""One trial: simulate a venue, and audit it against the claims that the clean one keeps."""

from collections import defaultdict, deque

from msgspec import Struct

from detectors.audit.beside import Beside
from detectors.audit.disorder import watched
from detectors.audit.outcome import Tally
from detectors.audit.table import findings
from detectors.audit.tape import Tape
from detectors.market_data.events import Kind
from service.exchange.breaches import rules_with
from service.exchange.measures import Truth
from service.exchange.rules import KEPT
from service.exchange.scenarios.catalogue import Scenario
from service.exchange.scenarios.feeds import Published
from service.exchange.simulation import START_NS, simulate_with_risk
from service.exchange.venue.switches import switch_log
from service.replay.files import STREAM_NAMES
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


def _beside(scenario: Scenario) -> Beside:
    """The log of the kill switches, where the venue has one."""
    structure = scenario.structure
    if not structure.audited:
        return Beside()
    log = switch_log(
        scenario.episodes,
        [SYMBOL],
        START_NS,
        rearms_itself=structure.rules.access.rearms_itself,
    )
    return Beside(switches=tuple(log))


def run(trial: AuditTrial) -> AuditOutcome:
    """Run a trial. Deterministic: the same trial gives the same outcome."""
    rules = rules_with(trial.breach, trial.amount) if trial.breach else KEPT
    scenario = market(trial.market, rules, trial.seconds)
    tape = Tape(claims(trial.market, trial.seed), _beside(scenario))
    streams: dict[Kind, list[Published]] = defaultdict(list)
    published: list[Published] = []
    for event in simulate_with_risk(
        scenario, seed=trial.seed, symbols=[SYMBOL], duration_ns=int(trial.seconds * 1e9)
    ):
        if not isinstance(event, Truth):
            streams[event.kind].append(event)
            published.append(event)
    disorder = {STREAM_NAMES[kind]: Tally() for kind in streams}
    for kind, events in streams.items():
        deque(watched(STREAM_NAMES[kind], events, disorder[STREAM_NAMES[kind]]), maxlen=0)
    for event in sorted(published, key=lambda its: its.ts_event):
        tape.apply(event)
    evidence = tape.close(disorder)
    return AuditOutcome(
        trial,
        len(evidence.episodes),
        {
            check.name: Judged(its.outcome, its.population, its.breaches)
            for check, its in findings(evidence)
        },
    )
