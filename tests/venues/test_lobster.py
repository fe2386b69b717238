"""LOBSTER's message files are replayed as they are: CSV without a header, one symbol and day."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from service.cli.main import main
from service.mapping.csv_lines import CsvLines
from service.settings.assembly import mapped_decoder
from service.settings.load import load_settings
from tests.venues.test_ready_made import KINDS, VENUES, fields
from tests.venues.written import OTHER, is_limit, only

MIDNIGHT = 1_340_251_200_000_000_000  # 2012-06-21T00:00:00-04:00
FILE = "AAPL_2012-06-21_34200000_57600000_message_10"
CONFIG = VENUES / "lobster.toml"


def line(event: dict[str, Any], kind: int, order: str, side: str) -> str:
    seconds, ns = divmod(event["ts_event"] - MIDNIGHT, 1_000_000_000)
    cells = [
        f"{seconds}.{ns:09}",
        kind,
        order,
        int(event.get("quantity", 1)),
        round(event.get("price", 1) * 10_000),
        1 if side == "buy" else -1,
    ]
    return ",".join(map(str, cells))


def one_symbol(plain_events: list[tuple[str, dict[str, Any]]]):
    """The lines of the file, and the plain events that they stand for."""
    first, symbol = plain_events[0][1]["ts_event"], plain_events[0][1]["symbol"]
    lines: list[str] = []
    expected: list[tuple[str, dict[str, Any]]] = []
    for stream, given in plain_events:
        if given["symbol"] != symbol or (stream == "orders" and not is_limit(given)):
            continue
        event = given | {
            "ts_event": given["ts_event"] - first + MIDNIGHT + 34_200_000_000_000,
            "symbol": "AAPL",
            "quantity": float(max(1, int(given.get("quantity", 1)))),
            "price": round(given.get("price", 1) * 10_000 + 1) / 10_000,
        }
        if stream == "orders":
            lines.append(line(event, 1, event["order_id"], event["side"]))
            names = ("order_id", "side", "price", "quantity")
        elif stream == "cancels":
            lines.append(line(event, 3, event["order_id"], "buy"))
            names = ("order_id",)
        else:
            lines.append(line(event, 4, event["maker_order_id"], OTHER[event["side"]]))
            event["trade_id"] = str(len(lines) - 1)
            names = ("trade_id", "maker_order_id", "side", "price", "quantity")
        expected.append((stream, only(event, "ts_event", "symbol", *names)))
    return lines, expected


def test_its_lines_become_the_events_that_they_stand_for(
    plain_events: list[tuple[str, dict[str, Any]]],
):
    lines, expected = one_symbol(plain_events)
    decoder = mapped_decoder(load_settings(CONFIG, {}), FILE)
    columns = ("time", "type", "order_id", "size", "price", "direction")
    values = CsvLines(columns).messages([its.encode() for its in lines])
    many = len(values)
    decoded = decoder.decode(values, [2_000_000_000_000] * many, [None] * many, range(many))
    assert decoded.rejections == []
    assert [(KINDS[its.kind], fields(its)) for its in decoded.events] == expected


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_is_replayed_as_the_plain_events_are(
    tmp_path: Path, plain_events: list[tuple[str, dict[str, Any]]], compressed: bool
):
    lines, expected = one_symbol(plain_events)
    day, plain = tmp_path / "day", tmp_path / "plain"
    day.mkdir()
    plain.mkdir()
    text = "".join(f"{its}\r\n" for its in lines).encode()
    if compressed:
        (day / f"{FILE}.csv.gz").write_bytes(gzip.compress(text))
    else:
        (day / f"{FILE}.csv").write_bytes(text)
    (day / "README.md").write_text("not a stream")
    for stream in ("orders", "cancels", "trades"):
        its = [json.dumps(event) for name, event in expected if name == stream]
        (plain / f"{stream}.ndjson").write_text("\n".join(its))
    signals = []
    for directory, more in ((day, ["--config", str(CONFIG)]), (plain, ["--config", "/dev/null"])):
        out = tmp_path / f"{directory.name}.signals"
        assert main(["replay", str(directory), "--quiet", "--signals", str(out), *more]) == 0
        signals.append(out.read_bytes())
    assert signals[0] == signals[1]
    assert len(signals[0].splitlines()) > 50


def test_a_directory_without_a_file_of_the_mappings_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["replay", str(tmp_path), "--config", str(CONFIG)]) == 1
    assert "has no file of the topics of the mappings: *_message_*" in capsys.readouterr().err


def test_two_files_of_one_topic_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for ending in ("csv", "csv.gz"):
        (tmp_path / f"{FILE}.{ending}").write_bytes(b"")
    assert main(["replay", str(tmp_path), "--config", str(CONFIG)]) == 1
    assert f"two files of the topic {FILE}" in capsys.readouterr().err
