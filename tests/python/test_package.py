"""`import foreshock`: the engine of the service in a notebook."""

import heapq
import json
import re
from itertools import islice
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

import foreshock
from service.cli.main import main
from service.pipeline.wire import STREAMS
from service.replay.files import stream_path
from tests.python.conftest import PAGE

ORDER = {
    "ts_event": 1_767_225_600_000_000_000,
    "symbol": "S",
    "order_id": "1",
    "side": "buy",
    "type": "limit",
    "price": "99.5",
    "quantity": 2,
}


def merged(directory) -> list[tuple[str, bytes]]:
    """The lines of a directory, in the order of event time."""

    def stream(name):
        path = stream_path(directory, name)
        lines = path.read_bytes().splitlines() if path is not None else []
        return [(json.loads(line)["ts_event"], name, line) for line in lines]

    return [its[1:] for its in heapq.merge(*map(stream, STREAMS), key=itemgetter(0))]


@pytest.fixture(scope="session")
def replayed(notebook, tmp_path_factory) -> dict[str, list[Any]]:
    """The records of the command ``foreshock replay``."""
    folder = tmp_path_factory.mktemp("replayed")
    options = [f"--{name}={folder / name}" for name in ("alerts", "signals")]
    assert main(["replay", str(notebook / "day"), *options, "--quiet"]) == 0
    return {
        name: [json.loads(line) for line in (folder / name).read_bytes().splitlines()]
        for name in ("alerts", "signals")
    }


def test_the_blocks_of_the_page_run_in_order(notebook, monkeypatch, capsys):
    monkeypatch.chdir(notebook)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 6
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)  # noqa: S102 - our own page
    said = capsys.readouterr().out
    assert "firing" in said
    assert "trades: order" in said or "price" in said


def test_a_directory_gives_what_the_command_writes(result, replayed):
    assert json.loads(msgspec.json.encode(result.alerts)) == replayed["alerts"]
    assert json.loads(msgspec.json.encode(result.signals)) == replayed["signals"]
    assert {its.detector for its in result.alerts} >= {"cancel_burst"}


def test_the_same_events_in_memory_give_the_same(notebook, result):
    again = foreshock.replay(merged(notebook / "day"))
    of_symbols = [its for its in result.alerts if its.symbol != "*" and its.detector != "cascade"]
    assert again.alerts == of_symbols
    assert again.signals == result.signals


def test_a_watcher_gives_each_bar_once_when_it_closes(notebook, result):
    watcher = foreshock.Watcher("BTC-PERP")
    newest, signals = 0, []
    for stream, line in islice(merged(notebook / "day"), 1_500):
        newest = json.loads(line)["ts_event"]
        found = watcher.feed(stream, line)
        assert all(its.ts_event <= newest for its in found.signals)
        signals += found.signals
    assert newest - signals[-1].ts_event < 3 * 10**9
    assert signals == result.signals[: len(signals)]
    assert [its.ts_event for its in watcher.finish().signals] == [newest // 10**9 * 10**9 + 10**9]


def test_records_may_be_rows_lines_and_numbers_of_numpy():
    watcher = foreshock.Watcher("S")
    row = {name: np.int64(its) if isinstance(its, int) else its for name, its in ORDER.items()}
    for record in (ORDER, json.dumps(ORDER), json.dumps(ORDER).encode(), row):
        watcher.feed("orders", record)
    assert len(watcher.finish().signals) == 1


@pytest.mark.parametrize(
    ("stream", "record", "said"),
    [
        ("order", ORDER, "unknown stream 'order'; there are orders, cancels"),
        ("orders", ORDER | {"side": "hold"}, "orders: side"),
        ("orders", ORDER | {"price": float("nan")}, "orders: price"),
        ("orders", ORDER | {"symbol": "T"}, "symbol is 'T'; this watcher takes 'S'"),
        ("orders", ORDER | {"price": object()}, "orders: .*has no JSON"),
        ("orders", "no json", "orders: .*no json"),
    ],
)
def test_a_record_that_is_no_event_is_told_with_its_field(stream, record, said):
    watcher = foreshock.Watcher("S")
    with pytest.raises(ValueError, match=said):
        watcher.feed(stream, record)
    assert watcher.finish().signals == []


def test_late_events_and_rejected_lines_are_counted(tmp_path):
    second = 10**9
    later = [
        ORDER | {"order_id": str(i), "ts_event": ORDER["ts_event"] + i * second} for i in (5, 0)
    ]
    assert foreshock.replay([("orders", its) for its in later]).late == 1
    for stream in ("orders", "cancels", "trades"):
        (tmp_path / f"{stream}.ndjson").write_text("no json\n")
    assert foreshock.replay(tmp_path).rejected == 3


def test_what_cannot_be_used_is_told_in_a_sentence(tmp_path):
    with pytest.raises(foreshock.OperatorError, match=r"lacks orders.ndjson"):
        foreshock.replay(tmp_path)
    (tmp_path / "wrong.toml").write_text("[detection]\nwarmup = 3\n")
    with pytest.raises(foreshock.OperatorError, match=r"detection.warmup"):
        foreshock.Watcher("S", config=tmp_path / "wrong.toml")


def test_settings_come_from_the_file_that_is_named_and_from_nowhere_else(
    notebook, tmp_path, monkeypatch
):
    file = tmp_path / "foreshock.toml"
    file.write_text("[time]\nbar_seconds = 2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORESHOCK_TIME__BAR_SECONDS", "5")
    some = list(islice(merged(notebook / "day"), 1_500))
    bars = len(foreshock.replay(some).signals)
    assert len(foreshock.replay(some, config=file).signals) == pytest.approx(bars / 2, abs=1)


def test_rows_are_columns_of_one_type_whatever_comes_first(result):
    frame = pl.DataFrame(foreshock.rows(result.signals))  # types from the first rows: warm-up
    assert frame.height == len(result.signals)
    kinds = dict(zip(frame.columns, map(str, frame.dtypes), strict=True))
    assert kinds["cancel_burst.p_value"] == kinds["stress_ratio"] == "Float64"
    last, signal = frame.row(-1, named=True), result.signals[-1]
    reading = signal.detectors["cancel_burst"]
    assert last["cancel_burst.p_value"] == reading.p_value
    assert {f"cancel_burst.{name}" for name in reading.features} <= set(frame.columns)
    alerts = pl.DataFrame(foreshock.rows(result.alerts), infer_schema_length=None)
    assert alerts["alert_id"].to_list() == [its.alert_id for its in result.alerts]
    assert alerts["evidence"][0][0]["detector"] == result.alerts[0].evidence[0].detector
