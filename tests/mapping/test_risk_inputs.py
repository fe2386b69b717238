"""Mapped positions, accounts and liquidations reach the watch over the risk of liquidations."""

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import foreshock
from service.cli.main import main
from service.errors import OperatorError
from service.replay.engine import risk_replay
from service.replay.risk_files import risk_events
from service.settings.assembly import decoders
from tests.mapping.configured import decode, settings

MS = 1_700_000_000_000
TEXT = """
[[mappings]]
stream = "positions"
topics = ["md"]
time_unit = "ms"
when = {e = "position"}
fields = {ts_event = "t", symbol = "s", account = "u", quantity = "q", entry_price = "p"}

[[mappings]]
stream = "liquidations"
topics = ["md"]
time_unit = "ms"
when = {e = "liquidation"}

[mappings.fields]
ts_event = "t"
symbol = "s"
liquidation_id = "i"
account = "u"
phase = {value = "start"}
mark_price = "p"

[[mappings]]
stream = "accounts"
topics = ["md.*"]
time_unit = "ms"
fields = {ts_event = "t", account = "u", equity = "m"}
"""
ENVELOPE = """
[[mappings]]
stream = "insurance"
topics = ["md"]
events = "data"
when = {e = "insurance"}
fields = {ts_event = "t", symbol = "s", balance = "b"}
"""
POSITION = {"e": "position", "t": MS + 1, "s": "BTC", "u": "x", "q": 2, "p": "1.5"}
LIQUIDATION = {"e": "liquidation", "t": MS + 3, "s": "BTC", "u": "x", "i": 7, "p": "1.4"}


def test_records_that_only_the_risk_takes_are_not_ignored(tmp_path: Path):
    configured = settings(TEXT + ENVELOPE, tmp_path)
    (its,) = decoders(configured, ["topic:md"]).values()
    events = {"data": [{"e": "order"}, {"e": "insurance"}]}
    messages = [POSITION, {"e": "ping"}, LIQUIDATION, events, {"data": []}]
    decoded = decode(its, *messages)
    assert (decoded.places, decoded.ignored, decoded.elsewhere) == ([0], 2, 2)
    decoded = decode(its, *messages, POSITION | {"q": "two"}, b"{")  # one by one
    assert [rejection.index for rejection in decoded.rejections] == [5, 6]
    assert (decoded.places, decoded.ignored, decoded.elsewhere) == ([0], 2, 2)


def test_records_of_a_risk_that_nobody_watches_are_ignored(tmp_path: Path):
    configured = settings("[risk]\nenabled = false\n" + TEXT, tmp_path)
    (its,) = decoders(configured, ["topic:md"]).values()
    decoded = decode(its, POSITION, {"e": "ping"}, LIQUIDATION)
    assert (decoded.places, decoded.ignored, decoded.elsewhere) == ([0], 2, 0)


@pytest.fixture
def day(tmp_path: Path) -> Path:
    directory = tmp_path / "day"
    directory.mkdir()
    for stream in ("orders", "cancels", "trades"):
        (directory / f"{stream}.ndjson").write_text("", "utf-8")
    lines = [json.dumps(its) for its in (POSITION, {"e": "ping"}, LIQUIDATION)]
    (directory / "md.ndjson").write_text("\n".join(lines), "utf-8")
    (directory / "md.a.csv").write_text(f"t,u,m\n{MS},x,5\n{MS + 2},x,4\n", "utf-8")
    (directory / "md.b.csv").write_text(f"t,u,m\n{MS},y,3\n{MS + 2},y,2\n", "utf-8")
    return directory


def test_mapped_files_are_read_in_the_order_of_time(tmp_path: Path, day: Path):
    events = list(risk_events(day, settings(TEXT, tmp_path)))
    assert [(type(its).__name__, its.account, its.ts_event // 10**6 - MS) for its in events] == [
        ("Account", "x", 0),
        ("Account", "y", 0),
        ("Position", "x", 1),
        ("Account", "x", 2),
        ("Account", "y", 2),
        ("Liquidation", "x", 3),
    ]


def test_mapped_positions_start_the_watch_over_recorded_days(tmp_path: Path, day: Path):
    watch = risk_replay(day, settings(TEXT, tmp_path), {})
    assert watch is not None
    watch.finish()
    assert len(watch.monitor.holdings.positions) == 1


def test_a_record_of_a_mapped_file_that_is_no_event_is_told(tmp_path: Path, day: Path):
    (day / "md.ndjson").write_text(json.dumps(POSITION | {"q": "two"}), "utf-8")
    refused = []
    list(risk_events(day, settings(TEXT, tmp_path), lambda *its: refused.append(its)))
    ((name, rejection),) = refused
    assert (name, rejection.index) == ("topic:md", 0)


def test_an_option_that_needs_positions_names_the_topics_whose_file_is_missing(
    tmp_path: Path, day: Path
):
    (day / "positions.ndjson").write_text("", "utf-8")  # the mapping takes its place
    (day / "md.ndjson").unlink()
    (day / "refs.ndjson").write_text("", "utf-8")
    references = """
[[mappings]]
stream = "references"
topics = ["refs"]
fields = {ts_event = "t", symbol = "s"}
"""
    with pytest.raises(OperatorError, match="no file of the topics of positions: md; "):
        risk_replay(day, settings(TEXT + references, tmp_path), {}, wanted="--risk")


def test_the_audit_says_that_it_reads_no_mappings(
    tmp_path: Path, day: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "venue.toml").write_text(TEXT, "utf-8")
    assert main(["audit", str(day), "--config", str(tmp_path / "venue.toml")]) != 0
    assert "[[mappings]]: the audit reads plain events only" in capsys.readouterr().err


def test_python_names_the_mapping_that_reads_timestamps_of_kafka(tmp_path: Path, day: Path):
    timed = TEXT.replace('ts_event = "t"', 'ts_event = {path = "@timestamp", unit = "ms"}', 1)
    config = tmp_path / "venue.toml"
    config.write_text(timed, "utf-8")
    with capture_logs() as logs:
        assert foreshock.replay(day, config=config).rejected == 0
    assert [(its["mapping"], its["stream"]) for its in logs] == [("mappings[0]", "positions")]
