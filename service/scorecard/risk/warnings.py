"""How cascades and their spread were announced before they began."""

from collections.abc import Sequence
from typing import NamedTuple

from detectors.incidents.kind import CASCADE, CONTAGION
from service.exchange.measures import Truth
from service.scorecard.risk.calm import ALL, intervened_ns
from service.scorecard.risk.card import Spreading, Unspread, Warned
from service.scorecard.risk.trial import FLOW, Incident, RiskOutcome, Told
from service.scorecard.score import SECOND
from service.scorecard.statistics import quantile, share

FIRST, FOLLOWER = "first", "follower"


class _Case(NamedTuple):
    """A cascade in its market, and whether it followed another symbol's."""

    outcome: RiskOutcome
    cascade: Truth
    symbol: str

    def opened(self, detector: str) -> Incident | None:
        """The oldest incident of its symbol that is open at the onset."""
        onset = self.cascade.starts_at
        return next((i for i in self._incidents(detector) if i.open_at(onset)), None)

    def opened_since(self, detector: str) -> Incident | None:
        """The first incident that opened between the intervention and the onset."""
        begin, onset = intervened_ns(self.outcome), self.cascade.starts_at
        return next((i for i in self._incidents(detector) if begin <= i.opened_ns < onset), None)

    def _incidents(self, detector: str) -> list[Incident]:
        symbol = self.cascade.symbol
        its = self.outcome.incidents
        return [i for i in its if i.detector == detector and i.symbol == symbol]

    def lead(self, incident: Incident) -> float:
        """From the opening of an incident to the onset, in seconds."""
        return (self.cascade.starts_at - incident.opened_ns) / SECOND


def warned(outcomes: Sequence[RiskOutcome]) -> list[Warned]:
    """How the cascades after an intervention were announced, by kind, and over all."""
    groups: dict[tuple[str, float, str], list[_Case]] = {}
    for outcome in outcomes:
        for case in _cases(outcome):
            trial = outcome.trial
            groups.setdefault((trial.scenario, trial.strength, case.symbol), []).append(case)
    rows = [_warned(*key, cases) for key, cases in groups.items()]
    everything = [case for cases in groups.values() for case in cases]
    return [*rows, _warned(ALL, 0.0, ALL, everything)] if len(rows) > 1 else rows


def _cases(outcome: RiskOutcome) -> list[_Case]:
    begin = intervened_ns(outcome)
    followers = {
        (truth.symbol, truth.starts_at) for truth in outcome.truths if truth.kind == "contagion"
    }
    return [
        _Case(
            outcome,
            cascade,
            FOLLOWER if (cascade.symbol, cascade.starts_at) in followers else FIRST,
        )
        for cascade in outcome.cascades
        if cascade.starts_at >= begin
    ]


def _warned(scenario: str, strength: float, symbol: str, cases: Sequence[_Case]) -> Warned:
    falls = [case.cascade.peak_drawdown_ratio or 0.0 for case in cases]
    found = [(case, case.opened(CASCADE), case.opened(FLOW)) for case in cases]
    opened = [(case, case.opened_since(FLOW)) for case in cases]
    leads = [case.lead(its) for case, its, _ in found if its is not None]
    flow = [case.lead(its) for case, _, its in found if its is not None]
    flow_opened = [case.lead(its) for case, its in opened if its is not None]
    critical = sum(
        its is not None and its.critical_ns is not None and its.critical_ns <= c.cascade.starts_at
        for c, its, _ in found
    )
    either = sum(of_risk is not None or of_flow is not None for _, of_risk, of_flow in found)
    count = len(cases)
    return Warned(
        scenario=scenario,
        strength=strength,
        symbol=symbol,
        cascades=count,
        markets=len({id(case.outcome) for case in cases}),
        fall_median=quantile(falls, 0.5),
        cascade=share(len(leads), count),
        critical=share(critical, count),
        lead_median_seconds=quantile(leads, 0.5),
        lead_p10_seconds=quantile(leads, 0.1),
        flow=share(len(flow), count),
        flow_lead_median_seconds=quantile(flow, 0.5),
        flow_opened=share(len(flow_opened), count),
        flow_opened_lead_median_seconds=quantile(flow_opened, 0.5),
        either=share(either, count),
    )


class _Spread(NamedTuple):
    """A cascade that spread to a second symbol, and the last alert before it did."""

    truth: Truth
    first_onset_ns: int
    incident: Incident | None
    told: Told | None


def spreading(outcomes: Sequence[RiskOutcome]) -> list[Spreading]:
    """How the spread of cascades to other symbols was announced, by scenario."""
    groups: dict[str, list[_Spread]] = {}
    for outcome in outcomes:
        for truth in outcome.truths:
            if truth.kind == "contagion":
                groups.setdefault(outcome.trial.scenario, []).append(_spread(outcome, truth))
    return [_spreading(scenario, spreads) for scenario, spreads in groups.items()]


def unspread(outcomes: Sequence[RiskOutcome]) -> list[Unspread]:
    """Where no cascade spread, how often it was said that one would."""
    groups: dict[str, list[RiskOutcome]] = {}
    for outcome in outcomes:
        if not any(truth.kind == "contagion" for truth in outcome.truths):
            groups.setdefault(outcome.trial.scenario, []).append(outcome)
    rows = []
    for scenario, group in groups.items():
        open_ones = 0
        for outcome in group:
            its = [i for i in outcome.incidents if i.detector == CONTAGION]
            begin = intervened_ns(outcome) if scenario != "calm" else outcome.began_ns
            onset = min((c.starts_at for c in outcome.cascades if c.starts_at >= begin), default=0)
            open_ones += any(i.open_at(onset) if onset else i.ended_ns > begin for i in its)
        rows.append(Unspread(scenario, len(group), open_ones))
    return rows


def _spread(outcome: RiskOutcome, truth: Truth) -> _Spread:
    second = truth.starts_at
    of_first = (c.starts_at for c in outcome.cascades if c.symbol == truth.parent_symbol)
    first = next(of_first, second)
    # One that ends in between has announced what began: its positions are being closed.
    its = [
        i
        for i in outcome.incidents
        if i.detector == CONTAGION and i.opened_ns <= second and i.ended_ns > first
    ]
    if not its:
        return _Spread(truth, first, None, None)
    incident = its[-1]
    told = [t for t in outcome.told if incident.opened_ns <= t.ts_event <= second]
    return _Spread(truth, first, incident, told[-1] if told else None)


def _spreading(scenario: str, spreads: Sequence[_Spread]) -> Spreading:
    count = len(spreads)
    leads = [
        (s.truth.starts_at - s.incident.opened_ns) / SECOND
        for s in spreads
        if s.incident is not None
    ]
    before = sum(
        s.incident is not None and s.incident.opened_ns <= s.first_onset_ns for s in spreads
    )
    named = [
        ({s.told.seed, *s.told.reached}, {s.truth.symbol, s.truth.parent_symbol})
        for s in spreads
        if s.told is not None
    ]
    others = [len(symbols - pair) for symbols, pair in named]
    return Spreading(
        scenario=scenario,
        spreads=count,
        announced=share(len(leads), count),
        before=share(before, count),
        named=share(sum(pair <= symbols for symbols, pair in named), count),
        named_way=share(sum(_names_way(s) for s in spreads), count),
        lead_median_seconds=quantile(leads, 0.5),
        others=sum(others) / len(others) if others else None,
    )


def _names_way(spread: _Spread) -> bool:
    """Whether the alert says that the first symbol's liquidations spread to the second one."""
    told = spread.told
    if told is None:
        return False
    first, second = spread.truth.parent_symbol, spread.truth.symbol
    if told.seed == first:
        return second in told.reached
    return told.seed == second and told.back and told.reached[:1] == [first]
