"""The scorecard of the venue's conduct: what must be found, and what must not be told."""

import pytest
from msgspec.structs import replace

from service.exchange.measures import Truth
from service.exchange.simulation import START_NS
from service.scorecard import tables
from service.scorecard.conduct import cases, found
from service.scorecard.conduct.cases import Case
from service.scorecard.conduct.report import tables as conduct_tables
from service.scorecard.matrix import Trial
from service.scorecard.risk.trial import Incident, RiskOutcome

SECOND = 1_000_000_000


def at(seconds):
    return START_NS + seconds * SECOND


def outcome(scenario, *opened, detector="mark_lag", seed=1):
    """A market of an hour whose injection begins at 1,800 s, with incidents that open then."""
    truth = Truth(kind=scenario, symbol="X", starts_at=at(1_800), ends_at=at(2_000), strength=1.0)
    return RiskOutcome(
        trial=Trial(scenario, seed),
        began_ns=at(0),
        ended_ns=at(3_600),
        symbols=["X", "Y"],
        truths=[truth] if scenario != "calm" else [],
        incidents=[Incident(detector, "X", at(s), at(s + 60), summary=f"at {s}") for s in opened],
    )


@pytest.fixture
def case(monkeypatch):
    chosen = Case("mark_lag", must=("cascade",), must_not=("surge",))
    monkeypatch.setattr(found, "CASES", (chosen,))


@pytest.mark.usefixtures("case")
def test_an_incident_before_the_injection_does_not_count_as_found():
    outcomes = [
        outcome("cascade", 1_860),
        outcome("cascade", 600),
        outcome("cascade", 600, 1_920, seed=3),
        outcome("cascade", 1_860, detector="crowding"),
    ]
    (row,) = found.conduct_card(outcomes).found
    assert (row.detector, row.scenario, row.markets) == ("mark_lag", "cascade", 4)
    assert row.found.value == pytest.approx(0.5)
    assert row.delay_median_seconds == pytest.approx(90.0)


@pytest.mark.usefixtures("case")
def test_an_incident_that_is_open_when_the_cascade_begins_has_found_it():
    """The truth of a cascade is its first liquidation, some time after the injection."""
    its = outcome("cascade", 1_830)
    its.truths = [replace(its.truths[0], starts_at=at(1_845))]
    (row,) = found.conduct_card([its]).found
    assert row.found.value == 1.0
    assert row.delay_median_seconds == pytest.approx(-15.0)


@pytest.mark.usefixtures("case")
def test_what_is_told_in_calm_markets_and_where_nothing_may_be_is_false():
    card = found.conduct_card(
        [outcome("calm"), outcome("surge", 100, 2_000), outcome("cascade", 5)]
    )
    calm, surge = card.false
    assert (calm.scenario, calm.incidents, calm.symbol_hours) == ("calm", 0, 2.0)
    assert (surge.scenario, surge.incidents, surge.told) == ("surge", 2, ["at 100", "at 2000"])
    assert surge.per_symbol_day.value == pytest.approx(24.0)
    text = tables.to_markdown(conduct_tables(card))
    assert "| mark_lag | surge | 2.0 | 2 | 24.00" in text
    assert "| mark_lag | cascade | 1 | 0%" in text


def test_every_case_names_scenarios_that_exist_and_has_seeds_of_its_own():
    planned = cases.trials(
        cases.SCENARIOS, purpose="reporting", seeds=2, calm_days=2, activities=(30.0,),
        false_alarms_per_day=1.0,
    )  # fmt: skip
    assert len({its.seed for its in planned}) == len(planned) == 2 + 2 * len(cases.SCENARIOS)
    assert all(its.seconds > 0 for its in planned)
