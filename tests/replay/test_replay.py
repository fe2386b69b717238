"""Replaying directories: every event accounted for, and a sentence where it cannot be done."""

import json
from typing import Any, NamedTuple

import pytest

from service.cli.main import main


class Replayed(NamedTuple):
    """What a replay wrote; ``status`` is that of ``cancel_burst`` in each bar."""

    summary: dict[str, Any]
    alerts: bytes
    status: list[str]


def replay(directory, tmp_path, *options):
    summary = tmp_path / "summary.json"
    alerts = tmp_path / "alerts.ndjson"
    arguments = ["replay", str(directory), "--summary", str(summary), "--alerts", str(alerts)]
    assert main([*arguments, *options, "--quiet"]) == 0
    return json.loads(summary.read_text()), alerts.read_bytes()


@pytest.fixture(scope="module", params=["goog-2012-06-21-day-10", "aapl-2012-06-21-day-top"])
def best_levels(request, data_dir, tmp_path_factory):
    """A recorded day of which only the best levels are known, replayed once."""
    folder = tmp_path_factory.mktemp("replayed")
    signals = folder / "signals.ndjson"
    summary, alerts = replay(data_dir / request.param, folder, "--signals", str(signals))
    with signals.open() as file:
        status = [json.loads(line)["detectors"]["cancel_burst"]["status"] for line in file]
    return Replayed(summary, alerts, status)


def lines(path, *values):
    path.write_text("".join(f"{value}\n" for value in values))


ORDER = (
    '{"ts_event":1767225600000000000,"symbol":"S","order_id":"1","side":"buy",'
    '"price":"99.5","quantity":2}'
)
CANCEL = '{"ts_event":1767225600500000000,"symbol":"S","order_id":"2"}'


def test_the_recorded_hour_is_accounted_for_and_no_alarm_storm(data_dir, tmp_path):
    summary, _ = replay(data_dir / "aapl-2012-06-21-open-hour", tmp_path)
    assert summary["read"] == 91_997
    assert summary["scored"] + summary["late"] + summary["rejected"] == 91_997
    assert summary["unknown_orders"] > 0
    assert sum(incident["count"] for incident in summary["incidents"]) <= 2


def test_rejected_lines_are_counted_by_reason(tmp_path):
    lines(tmp_path / "orders.ndjson", ORDER, "not json", ORDER.replace("buy", "hold"))
    lines(tmp_path / "cancels.ndjson", CANCEL)
    lines(tmp_path / "trades.ndjson")
    summary, alerts = replay(tmp_path, tmp_path)
    assert (summary["read"], summary["scored"], summary["rejected"]) == (4, 2, 2)
    assert summary["rejections"] == {"not_json": 1, "unknown_side": 1}
    assert summary["unknown_orders"] == 1
    assert alerts == b""


@pytest.mark.parametrize(
    ("present", "said"),
    [
        ([], "orders.ndjson, cancels.ndjson, trades.ndjson"),
        (["orders.ndjson", "cancels.ndjson"], "lacks trades.ndjson"),
        (["orders.ndjson", "orders.ndjson.gz", "cancels.ndjson", "trades.ndjson"], "keep one"),
    ],
)
def test_a_directory_that_cannot_be_replayed_is_told_in_a_sentence(present, said, tmp_path, capsys):
    for name in present:
        (tmp_path / name).touch()
    assert main(["replay", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("foreshock: ")
    assert said in error


def test_a_place_that_is_no_directory_is_told_in_a_sentence(tmp_path, capsys):
    assert main(["replay", str(tmp_path / "nowhere")]) == 1
    assert "is not a directory" in capsys.readouterr().err


def test_a_whole_recorded_day_of_the_best_levels_is_survived(best_levels):
    summary = best_levels.summary
    assert summary["scored"] + summary["late"] + summary["rejected"] == summary["read"]
    assert sum(incident["count"] for incident in summary["incidents"]) <= 3


def test_a_recorded_feed_of_the_best_levels_is_one_feed_incident_a_day(best_levels):
    assert best_levels.summary["feed_incidents"] == 1
    assert best_levels.summary["feed_findings"].keys() == {"partial_book_ratio"}
    assert b"the feed reports only part of the book" in best_levels.alerts


def test_a_feed_of_the_best_levels_is_not_taken_for_an_auction(best_levels):
    """Orders that left the levels cross the book again and again; the market is still judged."""
    after_warmup = best_levels.status[600:]
    assert after_warmup.count("scoring") > 0.99 * len(after_warmup)


def a_venue_whose_cancels_say_what_is_left(directory):
    orders, cancels = [], []
    for number in range(50):
        at = 1_767_225_600_000_000_000 + number * 1_000_000_000
        its = {"symbol": "S", "order_id": str(number)}
        orders.append({**its, "ts_event": at, "side": "buy", "price": 99.5, "quantity": 10})
        cancels += [{**its, "ts_event": at + 10 - left, "quantity": left} for left in (8, 5, 0)]
    lines(directory / "orders.ndjson", *map(json.dumps, orders))
    lines(directory / "cancels.ndjson", *map(json.dumps, cancels))
    lines(directory / "trades.ndjson")


def test_a_meaning_of_quantities_that_does_not_fit_is_said(tmp_path, monkeypatch, capsys):
    a_venue_whose_cancels_say_what_is_left(tmp_path)
    summary, _ = replay(tmp_path, tmp_path)
    (misfit,) = summary["quantity_misfits"]
    assert misfit.startswith("50 cancels have more than what rests of their order: quantities")
    assert misfit.endswith('quantities.cancels = "withdrawn" may not fit; try "left"')
    assert summary["rejected"] == 50  # a cancel of zero
    monkeypatch.setenv("FORESHOCK_QUANTITIES__CANCELS", "left")
    assert main(["replay", str(tmp_path)]) == 0
    assert "quantities:" not in capsys.readouterr().out
    summary, _ = replay(tmp_path, tmp_path)
    assert (summary["quantity_misfits"], summary["rejected"]) == ([], 0)
    assert (summary["oversized_cancels"], summary["unknown_orders"]) == (0, 0)
