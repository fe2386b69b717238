"""Recorded messages of a venue are replayed from files named after their topics."""

import json
from pathlib import Path

import pytest

from service.cli.main import main
from tests.mapping.test_mapping import FULL, MS, ORDER

CANCEL = {"type": "done", "reason": "canceled", "t": MS + 500, "s": "BTC", "i": 7}


def summary(tmp_path: Path, text: str) -> dict[str, object]:
    (tmp_path / "venue.toml").write_text(text, "utf-8")
    out = tmp_path / "summary.json"
    command = ["replay", str(tmp_path / "day"), "--quiet", "--summary", str(out)]
    assert main([*command, "--config", str(tmp_path / "venue.toml")]) == 0
    found: dict[str, object] = json.loads(out.read_text("utf-8"))
    return found


@pytest.fixture
def day(tmp_path: Path) -> Path:
    (tmp_path / "day").mkdir()
    return tmp_path / "day"


def test_a_file_of_a_topic_holds_all_streams(tmp_path: Path, day: Path):
    messages = [
        {**ORDER, "type": "open"},
        {"type": "heartbeat"},
        {**ORDER, "d": "up", "type": "open"},
    ]
    lines = [json.dumps(its) for its in (*messages, CANCEL)]
    (day / "md.ndjson").write_text("\n".join(lines), "utf-8")
    for stream in ("trades",):  # the mappings do not give it
        (day / f"{stream}.ndjson").write_text("", "utf-8")
    found = summary(tmp_path, FULL)
    assert (found["read"], found["scored"], found["rejected"]) == (4, 2, 1)
    assert found["rejections"] == {"unknown_side": 1}


def test_a_csv_file_with_a_header_is_a_recording_too(tmp_path: Path, day: Path):
    rows = [
        "type,t,s,i,d,p,q,reason",
        f"open,{MS},BTC,7,buy,1.5,2,",
        f"done,{MS},BTC,7,,,,canceled",
    ]
    (day / "md.csv").write_text("\r\n".join(rows), "utf-8")
    (day / "trades.ndjson").write_text("", "utf-8")
    found = summary(tmp_path, FULL)
    assert (found["scored"], found["rejected"]) == (2, 0)


def test_an_entry_that_needs_a_timestamp_is_left_out(tmp_path: Path, day: Path):
    text = FULL.replace('{ts_event = "t"', '{ts_event = {path = "@timestamp", unit = "ms"}')
    (day / "md.ndjson").write_text(json.dumps(ORDER | {"type": "open"}) + "\n" + json.dumps(CANCEL))
    for stream in ("trades", "cancels"):
        (day / f"{stream}.ndjson").write_text("", "utf-8")
    assert summary(tmp_path, text)["scored"] == 1
