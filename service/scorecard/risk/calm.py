"""Time in alarm where nothing was provoked, and what was raised where nothing must be."""

from collections.abc import Iterable, Sequence

from detectors.incidents.kind import CASCADE, CONTAGION
from detectors.incidents.market_wide import MARKET
from service.exchange.measures import MEASURED
from service.scorecard.risk.card import CalmTime, Explained, Safe
from service.scorecard.risk.plan import MUST_NOT_ALARM, MUST_NOT_BE_CRITICAL
from service.scorecard.risk.trial import FLOW, Incident, RiskOutcome
from service.scorecard.score import SECOND, WARMUP_NS, uncovered

ALL = "all"

_HOUR_NS = 3_600 * SECOND


def intervened_ns(outcome: RiskOutcome) -> int:
    """The start of the first intervention; the end of the trial if there is none."""
    starts = [truth.starts_at for truth in outcome.truths if truth.kind not in MEASURED]
    return min(starts, default=outcome.ended_ns)


def calm_span(outcome: RiskOutcome) -> tuple[int, int]:
    """The time after the warm-up in which nothing was provoked yet."""
    begin = outcome.began_ns + WARMUP_NS
    return begin, max(begin, intervened_ns(outcome))


def calm_times(outcomes: Sequence[RiskOutcome]) -> list[CalmTime]:
    """The time in alarm by kind of market, and over all."""
    groups: dict[str, list[RiskOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(_market(outcome), []).append(outcome)
    rows = [_calm_time(market, group) for market, group in groups.items()]
    return [*rows, _calm_time(ALL, outcomes)] if len(rows) > 1 else rows


def explained(outcomes: Sequence[RiskOutcome]) -> list[Explained]:
    """The incidents about positions on calm time, and where nothing must be raised."""
    found = []
    for outcome in outcomes:
        begin, end = calm_span(outcome)
        if outcome.trial.scenario in MUST_NOT_ALARM:
            end = outcome.ended_ns
        for its in outcome.incidents:
            overlap = min(its.ended_ns, end) - max(its.opened_ns, begin)
            if its.detector != FLOW and overlap > 0:
                found.append(
                    Explained(
                        _market(outcome),
                        outcome.trial.seed,
                        its.detector,
                        its.symbol,
                        overlap / SECOND,
                        its.whale_ratio,
                        its.summary,
                    )
                )
    return found


def safe(outcomes: Sequence[RiskOutcome]) -> list[Safe]:
    """What was raised in the scenarios with a rule, from the warm-up to the end."""
    rows = []
    for scenario in (*MUST_NOT_ALARM, *MUST_NOT_BE_CRITICAL):
        group = [outcome for outcome in outcomes if outcome.trial.scenario == scenario]
        if not group:
            continue
        of_risk = [[i for i in outcome.incidents if i.detector != FLOW] for outcome in group]
        rows.append(
            Safe(
                scenario,
                "no alarm" if scenario in MUST_NOT_ALARM else "not critical",
                len(group),
                sum(any(i.detector == CASCADE for i in its) for its in of_risk),
                sum(any(i.critical_ns is not None for i in its) for its in of_risk),
                sum(any(i.detector == CONTAGION for i in its) for its in of_risk),
                sum(sum(outcome.liquidated.values()) for outcome in group),
            )
        )
    return rows


def _market(outcome: RiskOutcome) -> str:
    name = outcome.trial.scenario
    return name if name == "calm" else f"before {name}"


def _calm_time(market: str, outcomes: Sequence[RiskOutcome]) -> CalmTime:
    symbol_ns = venue_ns = cascade_ns = contagion_ns = flow_ns = 0
    cascades: list[Incident] = []
    contagions: list[Incident] = []
    for outcome in outcomes:
        begin, end = calm_span(outcome)
        venue_ns += end - begin
        symbol_ns += (end - begin) * len(outcome.symbols)
        inside = [i for i in outcome.incidents if i.opened_ns < end and i.ended_ns > begin]
        cascades += (i for i in inside if i.detector == CASCADE)
        contagions += (i for i in inside if i.detector == CONTAGION)
        contagion_ns += _covered(begin, end, inside, CONTAGION, MARKET)
        for symbol in outcome.symbols:
            cascade_ns += _covered(begin, end, inside, CASCADE, symbol)
            flow_ns += _covered(begin, end, inside, FLOW, symbol)
    return CalmTime(
        market=market,
        symbol_hours=symbol_ns / _HOUR_NS,
        venue_hours=venue_ns / _HOUR_NS,
        cascade_ratio=cascade_ns / max(symbol_ns, 1),
        cascade_incidents=len(cascades),
        whales=sum(i.whale_ratio is not None for i in cascades),
        contagion_ratio=contagion_ns / max(venue_ns, 1),
        contagion_incidents=len(contagions),
        flow_ratio=flow_ns / max(symbol_ns, 1),
    )


def _covered(
    begin: int, end: int, incidents: Iterable[Incident], detector: str, symbol: str
) -> int:
    spans = [
        (i.opened_ns, i.ended_ns)
        for i in incidents
        if i.detector == detector and i.symbol == symbol
    ]
    return end - begin - uncovered(begin, end, spans)
