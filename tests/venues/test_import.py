"""``foreshock import`` turns files of a venue into a recording that every command reads."""

import datetime as dt
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import pytest
import zstandard

from service.cli.main import main
from tests.venues.test_lobster import CONFIG, FILE, one_symbol
from tests.venues.test_ready_made import VENUES
from tests.venues.written import WRITERS, with_what_is_left

MBO = VENUES / "databento-mbo.toml"
REQUIRED = ("orders", "cancels", "trades")
Plain = list[tuple[str, dict[str, Any]]]


def recorded(directory: Path) -> dict[str, list[Any]]:
    """The events of a recording, by the names of its files."""
    return {
        path.name.partition(".")[0]: [*map(json.loads, path.read_bytes().splitlines())]
        for path in directory.iterdir()
    }


def by_stream(events: Plain, *streams: str) -> dict[str, list[Any]]:
    return {its: [event for stream, event in events if stream == its] for its in streams}


@pytest.fixture(scope="session")
def lobster_file(tmp_path_factory: pytest.TempPathFactory, plain_events: Plain):
    """A file of LOBSTER's, and the events that it stands for."""
    lines, expected = one_symbol(plain_events)
    path = tmp_path_factory.mktemp("lobster") / f"{FILE}.csv"
    path.write_text("".join(f"{its}\r\n" for its in lines))
    return path, expected


def test_a_file_becomes_the_recording_of_its_events(
    lobster_file: tuple[Path, Plain], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path, expected = lobster_file
    out = tmp_path / "day"
    assert main(["import", str(path), str(out), "--config", str(CONFIG)]) == 0
    assert recorded(out) == by_stream(expected, *REQUIRED)
    assert "0 messages rejected" in capsys.readouterr().out
    assert main(["replay", str(out), "--quiet", "--config", "/dev/null"]) == 0
    assert main(["import", str(path), str(out), "--config", str(CONFIG)]) == 1
    assert "exists already; name an empty directory" in capsys.readouterr().err


def test_messages_that_are_no_events_are_told_and_kept_apart(
    lobster_file: tuple[Path, Plain], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path, expected = lobster_file
    source, out = tmp_path / "source", tmp_path / "day"
    source.mkdir()
    bad = "34200.1,1,5,ten,5700100,1\n"
    (source / path.name).write_text(path.read_text() + bad)
    (source / "references.ndjson").write_text('{"ts_event": 1340285400000000000, "symbol": "AAPL"}')
    assert main(["import", str(source), str(out), "--config", str(CONFIG)]) == 1
    written = capsys.readouterr().out
    number = len(path.read_text().splitlines()) + 1
    assert f'the first is {path.name}:{number}: wrong_type: size (quantity) is "ten"' in written
    found = recorded(out)
    (rejected,) = found.pop("rejected")
    assert (rejected["file"], rejected["number"]) == (path.name, number)
    (reference,) = found.pop("references")  # a stream without mappings has a file of its own
    assert reference["symbol"] == "AAPL"
    assert found == by_stream(expected, *REQUIRED)


def test_what_the_mappings_do_not_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for source in (tmp_path, tmp_path / "notes.txt", tmp_path / "none"):
        if source.name == "notes.txt":
            source.write_text("not a stream")
        assert main(["import", str(source), str(tmp_path / "out"), "--config", str(MBO)]) == 1
        error = capsys.readouterr().err
        assert "databento.mbo" in error or "does not exist" in error


def mbo(plain_events: Plain) -> tuple[bytes, Plain, list[Any]]:
    """A file of Databento's, the events that it stands for, and the same messages as JSON."""
    symbols = sorted({event["symbol"] for _, event in plain_events})
    ids = {symbol: number for number, symbol in enumerate(symbols, 1)}
    days = (dt.date(2000, 1, 1), dt.date(2100, 1, 1))
    mappings = [
        SimpleNamespace(
            raw_symbol=symbol,
            intervals=[SimpleNamespace(start_date=days[0], end_date=days[1], symbol=str(number))],
        )
        for symbol, number in ids.items()
    ]
    start = plain_events[0][1]["ts_event"]
    kinds = (dbn.SType.RAW_SYMBOL, dbn.SType.INSTRUMENT_ID, dbn.Schema.MBO)
    parts = [bytes(dbn.Metadata("GLBX.MDP3", start, *kinds, symbols, mappings=mappings))]
    expected: Plain = []
    messages: list[Any] = []
    whole = [
        (
            stream,
            its | {"quantity": float(round(its["quantity"] * 1e4))} if "quantity" in its else its,
        )
        for stream, its in plain_events
    ]
    for stream, event in with_what_is_left(whole):
        for its in WRITERS["databento-mbo"](stream, event):
            message = its.message
            messages.append(message)
            parts.append(
                bytes(
                    dbn.MBOMsg(
                        1,
                        ids[message["symbol"]],
                        int(message["hd"]["ts_event"]),
                        int(message["order_id"]),
                        int(message.get("price") or dbn.UNDEF_PRICE),
                        int(message["size"]),
                        dbn.Action.from_str(message["action"]),
                        dbn.Side.from_str(message.get("side", "N")),
                        int(message["hd"]["ts_event"]),
                        sequence=message["sequence"],
                    )
                )
            )
            expected += its.events
    return b"".join(parts), expected, messages


@pytest.fixture(scope="session")
def mbo_file(plain_events: Plain) -> tuple[bytes, Plain, list[Any]]:
    return mbo(plain_events)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_of_databento_becomes_the_recording_of_its_events(
    mbo_file: tuple[bytes, Plain, list[Any]], tmp_path: Path, compressed: bool
):
    content, expected, _ = mbo_file
    path, out = tmp_path / "glbx.mbo.dbn", tmp_path / "day"
    if compressed:
        path, content = tmp_path / "glbx.mbo.dbn.zst", zstandard.compress(content)
    path.write_bytes(content)
    arguments = ["import", str(path), str(out), "--topic", "databento.mbo", "--config", str(MBO)]
    assert main(arguments) == 0
    assert len(expected) > 500
    assert recorded(out) == by_stream(expected, *REQUIRED)


def test_a_file_of_databento_that_ends_within_a_record_is_told(
    mbo_file: tuple[bytes, Plain, list[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for number, content in enumerate((mbo_file[0][:-9], b"DBN" + b"x" * 500, b"{}")):
        path = tmp_path / f"{number}" / "databento.mbo.dbn"
        path.parent.mkdir()
        path.write_bytes(content)
        assert (
            main(["import", str(path), str(tmp_path / f"out{number}"), "--config", str(MBO)]) == 1
        )
        assert f"{path} is damaged near byte" in capsys.readouterr().err


def test_a_replay_reads_it_as_it_reads_the_json_of_databento(
    mbo_file: tuple[bytes, Plain, list[Any]], tmp_path: Path
):
    content, _, messages = mbo_file
    files = {
        "databento.mbo.dbn": content,
        "databento.mbo.ndjson": "\n".join(map(json.dumps, messages)).encode(),
    }
    signals = []
    for name, its in files.items():
        day, out = tmp_path / f"of {name}", tmp_path / f"{name}.signals"
        day.mkdir()
        (day / name).write_bytes(its)
        arguments = ["replay", str(day), "--quiet", "--config", str(MBO)]
        assert main([*arguments, "--signals", str(out)]) == 0
        signals.append(out.read_bytes())
    assert signals[0] == signals[1]
    assert len(signals[0].splitlines()) > 50
