"""What a report says of the distance of a cascade over a replay."""

import re

import pytest
from msgspec.structs import replace

from detectors.risk_watch.records import cascade_of
from service.report.risk import BUCKETS, RiskCollected
from tests.risk_watch.venue import Venue, margin, near, reference


def collected(*venues: Venue) -> RiskCollected:
    its = RiskCollected()
    for venue in venues:
        its.take(venue.output.records)
    return its


@pytest.fixture(scope="module")
def crowded() -> Venue:
    venue = near()
    venue.run(90)
    return venue


def test_the_table_has_the_nearest_distance_of_each_side_and_when(crowded: Venue):
    longs = [its for its in crowded.output.records if its.side == "long" and its.runs]
    nearest = min(longs, key=lambda its: cascade_of(its).distance_bps.p50 or 1e9)
    its = cascade_of(nearest)
    text = re.sub(r"<[^>]+>", " ", collected(crowded).section())
    row = " ".join(re.search(r" X +longs(.*)", text)[1].split())
    assert f"{its.distance_bps.p50:.0f} bps" in row
    assert f"sale of {its.sale_notional.p50:,.0f}" in row
    assert f"{its.notional.p50:,.0f}" in row
    near_for = 10 * sum(each.cascade_probability >= 0.8 for each in longs)
    assert near_for >= 60
    assert re.search(r"1 min", row), row
    assert re.search(r" X +shorts +5000 bps", text), "the one that is short is far away"
    assert text.index("longs") < text.index("shorts")


def test_the_plot_has_the_distance_over_time_where_it_is_known(crowded: Venue):
    plot, _ = collected(crowded).plots()
    assert (plot["symbol"], plot["side"]) == ("X", "long")
    told = {
        its.ts_event // 10_000_000_000 * 10_000: cascade_of(its).distance_bps.p50
        for its in crowded.output.records
        if its.side == "long" and its.runs
    }
    drawn = dict(zip(plot["ts_ms"], plot["p50"], strict=True))
    assert set(drawn) == set(told)
    for ts_ms, distance in drawn.items():
        assert distance == (None if told[ts_ms] is None else pytest.approx(told[ts_ms], rel=1e-3))
    known = [i for i, distance in enumerate(plot["p50"]) if distance is not None]
    assert known
    assert all(plot["p10"][i] <= plot["p50"][i] for i in known)


def test_its_size_is_bounded_and_nothing_is_said_without_positions():
    venue = Venue()
    venue.take(margin(), reference())
    venue.run(20)
    assert collected(venue).section() == ""
    assert collected(venue).plots() == []
    venue = near()
    venue.run(20)
    record = venue.last()
    its = RiskCollected()
    its.take(
        replace(record, ts_event=record.ts_event + n * 10_000_000_000) for n in range(3 * BUCKETS)
    )
    assert len(its.plots()[0]["ts_ms"]) <= 2 * BUCKETS


def test_names_of_the_feed_are_text():
    venue = near()
    venue.run(20)
    its = RiskCollected()
    its.take([replace(venue.last(), symbol="<b>X")])
    assert "<b>" not in its.section()
    assert "&lt;b&gt;X" in its.section()
