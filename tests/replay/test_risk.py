"""A replay writes how near each symbol is to a run of liquidations, and warns before one."""

import json

import pytest

from detectors.incidents.kind import OF_VENUE
from service.exchange.recording import read_truths, simulate_to_directory
from service.exchange.scenarios.catalogue import scenario
from tests.kafka.broker.rig import foreshock

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def cascade(tmp_path_factory):
    """A contract whose leverage builds up until a sale triggers a cascade; seed for tests only."""
    directory = tmp_path_factory.mktemp("risk") / "day"
    simulate_to_directory(
        directory, scenario=scenario("cascade"), seed=7, symbols=1, duration_seconds=1_620.0
    )
    return directory


def replay(directory, out, *arguments, **settings):
    done = foreshock("replay", directory, "--quiet", *arguments, **settings)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_the_warning_stands_before_the_first_liquidation_and_ends_after_it(cascade, tmp_path):
    page = tmp_path / "report.html"
    counted = tmp_path / "summary"
    files = "--alerts", tmp_path / "a", "--report", page, "--summary", counted
    alerts = replay(cascade, tmp_path / "a", *files)
    assert json.loads(counted.read_text())["position_incidents"]["cascade"] == 1
    assert "positions, critical" in page.read_text() or "positions, warning" in page.read_text()
    (onset,) = [its.starts_at for its in read_truths(cascade) if its.kind == "cascade"]
    told = [its for its in alerts if its["detector"] == "cascade"]
    opened, resolved = told[0], told[-1]
    assert opened["status"] == "firing"
    assert opened["starts_at"] < onset - 30 * SECOND
    assert (resolved["status"], resolved["alert_id"]) == ("resolved", opened["alert_id"])
    assert resolved["ends_at"] > onset
    assert "would force out" in opened["summary"]
    # It is an incident of its own: those of the flow detectors are as without it.
    without = replay(cascade, tmp_path / "b", "--alerts", tmp_path / "b", RISK__ENABLED="false")
    assert [its for its in alerts if its["detector"] not in OF_VENUE] == without
    # The fall hides liquidations, and the mark price carries it on after the rebound.
    (lag,) = {its["alert_id"]: its for its in alerts if its["detector"] == "mark_lag"}.values()
    assert lag["starts_at"] > opened["starts_at"]
    assert not [its for its in alerts if its["detector"] in ("mark_rule_broken", "margin_change")]


def test_records_are_the_same_each_time_and_agree_with_the_positions(cascade, tmp_path):
    records = replay(cascade, tmp_path / "r", "--risk", tmp_path / "r")
    again = replay(cascade, tmp_path / "s", "--risk", tmp_path / "s")
    assert records == again
    assert {(its["symbol"], its["side"]) for its in records} == {
        ("BTC-PERP", "long"),
        ("BTC-PERP", "short"),
    }
    at = 1_200 * SECOND
    begin = min(its["ts_event"] for its in records) // SECOND * SECOND
    record = next(its for its in records if its["side"] == "long" and its["ts_event"] >= begin + at)
    held = {}
    for line in (cascade / "positions.ndjson").read_text().splitlines():
        position = json.loads(line)
        if position["ts_event"] < record["ts_event"]:
            held[position["account"]] = position
    # The venue publishes the liquidation price that it uses itself.
    longs = [its for its in held.values() if its["quantity"] > 0.0]
    triggers = [its["liquidation_price"] for its in longs if its["liquidation_price"]]
    # A margin of 0 may be a cut negative one: its liquidation price says more than its margin.
    unclear = sum(its["margin"] == 0.0 for its in longs)
    for rung in record["rungs"]:
        reached = record["mark_price"] * (1.0 - rung["move_bps"] / 1e4)
        expected = sum(price >= reached for price in triggers)
        assert abs(rung["accounts"] - expected) <= unclear
    assert unclear <= 3
    assert record["rungs"][-1]["accounts"] > 10
    assert record["coverage_ratio"] > 0.9
    assert len(record["runs"]) == 3
    # The venue's liquidations are what its flagged trades are, and say how many they belong to.
    last = [its for its in records if its["side"] == "long"][-1]
    since = (last["ts_event"] // (10 * SECOND) - 90) * 10 * SECOND
    flagged = [
        its
        for its in map(json.loads, (cascade / "trades.ndjson").read_text().splitlines())
        if its.get("liquidation") and its["side"] == "sell"
        if since <= its["ts_event"] < last["ts_event"]
    ]
    sold = sum(its["price"] * its["quantity"] for its in flagged)
    assert last["forced_flow_source"] == "liquidations"
    assert last["liquidated_notional_15m"] == pytest.approx(sold)
    starts = [
        its
        for its in map(json.loads, (cascade / "liquidations.ndjson").read_text().splitlines())
        if its["phase"] == "start" and since <= its["ts_event"] < last["ts_event"]
    ]
    # A long has equity above its bankruptcy price, and lacks it below.
    longs = [
        (its["mark_price"] > its["bankruptcy_price"]) == (its["equity_before"] > 0.0)
        for its in starts
    ]
    assert last["liquidations_15m"] == sum(longs)


def test_records_need_positions(cascade, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for stream in ("orders", "cancels", "trades"):
        (bare / f"{stream}.ndjson").write_bytes(b"")
    done = foreshock("replay", bare, "--quiet", "--risk", tmp_path / "r")
    assert done.returncode == 1
    assert "has no positions.ndjson; what is computed of the venue needs positions" in done.stderr
    done = foreshock("replay", cascade, "--risk", tmp_path / "r", RISK__ENABLED="false")
    assert done.returncode == 1
    assert "risk.enabled is false" in done.stderr
