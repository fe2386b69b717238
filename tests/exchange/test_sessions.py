"""Openings, lulls, little flow, gaps and busier markets are what they say, and no stress."""

from collections.abc import Iterable
from typing import Any

import pytest

from detectors.market_data.events import Cancel, Event, Order, Reference, Trade
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import START_NS, simulate

SECOND = 1_000_000_000


def run(name: str, seconds: int, seed: int = 1, **how: Any) -> list[Event | Truth]:
    return list(
        simulate(
            scenario(name, **how),
            seed=seed,
            symbols=1,
            duration_ns=seconds * SECOND,
            events_per_second=10.0,
        )
    )


def rate(events: Iterable[Event | Truth], start: float, end: float) -> float:
    """Orders, cancels and trades a second."""
    low, high = START_NS + start * SECOND, START_NS + end * SECOND
    count = sum(
        isinstance(event, Order | Cancel | Trade) and low <= event.ts_event < high
        for event in events
    )
    return count / (end - start)


def mean_rate(name: str, seconds: int, start: float, end: float, **how: Any) -> float:
    """The same over a few seeds: activity wanders."""
    return sum(rate(run(name, seconds, seed, **how), start, end) for seed in range(4)) / 4


def test_before_an_opening_hardly_anybody_acts_and_then_ten_times_as_many():
    how = {"start_seconds": 600, "length_seconds": 200}
    usual = mean_rate("calm", 1_000, 600, 1_000)
    assert mean_rate("opening_burst", 620, 100, 600, **how) < 0.1 * usual
    assert mean_rate("opening_burst", 620, 600, 620, **how) > 4 * usual
    assert 0.4 < mean_rate("opening_burst", 1_100, 820, 1_100, **how) / usual < 2


def test_a_sessions_first_minutes_are_its_busiest():
    usual = mean_rate("calm", 600, 300, 600)
    assert mean_rate("first_minutes", 60, 0, 60, length_seconds=200) > 4 * usual
    weak = mean_rate("first_minutes", 60, 0, 60, length_seconds=200, strength=0.3)
    assert usual < weak < mean_rate("first_minutes", 60, 0, 60, length_seconds=200)


def test_a_long_lull_is_an_hour_and_ends_with_everybody_back():
    events = run("long_lull", 4_900, start_seconds=300)
    (found,) = [event for event in events if isinstance(event, Truth) and event.kind == "long_lull"]
    assert (found.ends_at - found.starts_at) / SECOND == 3_600
    assert rate(events, 400, 3_900) < 0.1 * rate(events, 4_000, 4_900)
    assert rate(events, 400, 3_900) > 0


def test_a_quiet_listing_has_a_tenth_of_the_flow_from_the_beginning_and_for_good():
    quiet = mean_rate("quiet_listing", 1_200, 30, 1_200, length_seconds=600)
    assert 0.05 < quiet / mean_rate("calm", 1_200, 30, 1_200) < 0.25


def test_in_a_feed_gap_nothing_arrives_while_the_market_goes_on():
    whole = [event for event in run("calm", 300) if not isinstance(event, Truth)]
    events = run("feed_gap", 300, start_seconds=100, length_seconds=90)
    arrived = [event for event in events if not isinstance(event, Truth)]
    step = SECOND  # the gap begins and ends with the exchange's own pulse
    begin, end = START_NS + 100 * SECOND, START_NS + 190 * SECOND
    assert not [event for event in arrived if begin + step < event.ts_event < end - step]
    outside = [event for event in whole if not begin - step < event.ts_event < end + step]
    assert [e for e in arrived if not begin - step < e.ts_event < end + step] == outside
    known = {event.order_id for event in arrived if isinstance(event, Order)}
    later = [event for event in arrived if isinstance(event, Cancel) and event.ts_event > end]
    assert any(event.order_id not in known for event in later), "what was missed stays missed"


def test_a_weak_feed_gap_loses_some_of_the_events():
    how = {"start_seconds": 100, "length_seconds": 90}
    assert rate(run("feed_gap", 200, strength=0.5, **how), 101, 189) == pytest.approx(
        0.5 * rate(run("calm", 200), 101, 189), rel=0.15
    )


def test_an_activity_regime_lasts_and_moves_the_price_no_more_than_a_calm_day_does():
    events = run("activity_regime", 1_600, start_seconds=300, length_seconds=1_200)
    usual = mean_rate("calm", 1_500, 300, 1_500)
    for begin in range(330, 1_500, 300):
        assert rate(events, begin, begin + 200) > 4 * usual
    marks = [event.mark_price for event in events if isinstance(event, Reference)]
    assert max(marks) / min(marks) < 1.02
    assert "cascade" not in {event.kind for event in events if isinstance(event, Truth)}
