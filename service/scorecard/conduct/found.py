"""What the detectors of the venue's conduct found, and what they found where nothing was."""

from collections.abc import Sequence

from msgspec import Struct

from service.scorecard.conduct.cases import CASES
from service.scorecard.risk.trial import Incident, RiskOutcome
from service.scorecard.statistics import Interval, quantile, rate, share

SECOND = 1_000_000_000


class ConductFound(Struct, frozen=True):
    """How often a detector alarmed in a scenario in which it must.

    ``delay_median_seconds`` is from the beginning of the injection to the opening of the first
    incident, where there is one. A cascade begins with its first liquidations, after its injection:
    an incident that is open by then has found it, and its delay is below 0.
    """

    detector: str
    scenario: str
    markets: int
    found: Interval | None
    delay_median_seconds: float | None


class ConductFalse(Struct, frozen=True):
    """How often a detector alarmed where it must not.

    ``per_symbol_day`` is the number of incidents in a day of one symbol. ``told`` are the first of
    their sentences.
    """

    detector: str
    scenario: str
    symbol_hours: float
    incidents: int
    per_symbol_day: Interval | None
    told: list[str]


class ConductCard(Struct, frozen=True):
    """The figures of the scorecard of the venue's conduct."""

    found: list[ConductFound]
    false: list[ConductFalse]


MOST_TOLD = 5
CALM = "calm"


def conduct_card(outcomes: Sequence[RiskOutcome]) -> ConductCard:
    """The figures of trials."""
    by_scenario: dict[str, list[RiskOutcome]] = {}
    for outcome in outcomes:
        by_scenario.setdefault(outcome.trial.scenario, []).append(outcome)
    found, false = [], []
    for case in CASES:
        found += [
            _found(case.detector, name, by_scenario[name])
            for name in case.must
            if name in by_scenario
        ]
        false += [
            _false(case.detector, name, by_scenario[name])
            for name in (CALM, *case.must_not)
            if name in by_scenario
        ]
    return ConductCard(found, false)


def _found(detector: str, scenario: str, outcomes: Sequence[RiskOutcome]) -> ConductFound:
    delays = []
    for outcome in outcomes:
        begins = [its.starts_at for its in outcome.truths if its.kind == scenario]
        began_ns = min(begins, default=_injected_ns(outcome))
        opened = [
            its.opened_ns
            for its in _of(outcome, detector)
            if its.ended_ns > began_ns and its.opened_ns >= _injected_ns(outcome)
        ]
        if opened:
            delays.append((min(opened) - began_ns) / SECOND)
    return ConductFound(
        detector,
        scenario,
        len(outcomes),
        share(len(delays), len(outcomes)),
        quantile(delays, 0.5) if delays else None,
    )


def _injected_ns(outcome: RiskOutcome) -> int:
    """When the injection begins. What opens before it has found something else."""
    return outcome.began_ns + round(outcome.trial.start_seconds * SECOND)


def _false(detector: str, scenario: str, outcomes: Sequence[RiskOutcome]) -> ConductFalse:
    days = [
        len(its.symbols) * (its.ended_ns - its.began_ns) / SECOND / 86_400.0 for its in outcomes
    ]
    incidents = [_of(outcome, detector) for outcome in outcomes]
    return ConductFalse(
        detector,
        scenario,
        24.0 * sum(days),
        sum(map(len, incidents)),
        rate([len(its) for its in incidents], days),
        [its.summary for each in incidents for its in each][:MOST_TOLD],
    )


def _of(outcome: RiskOutcome, detector: str) -> list[Incident]:
    return [its for its in outcome.incidents if its.detector == detector]
