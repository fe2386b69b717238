"""``foreshock map``: what the messages of a sample become, and what would be wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.cli.main import main
from tests.mapping.test_mapping import ENVELOPE, FILL, FULL, MS, ORDER, envelope

OPENED = {**ORDER, "type": "open"}
CANCELED = {"type": "done", "reason": "canceled", "t": MS, "s": "BTC", "i": 7}


def mapped(tmp_path: Path, text: str, *messages: Any, name: str = "md.ndjson", more: Any = ()):
    """Run the command on a file of messages; return its exit code."""
    (tmp_path / "venue.toml").write_text(text, "utf-8")
    lines = [its if isinstance(its, str) else json.dumps(its) for its in messages]
    (tmp_path / name).write_text("\n".join(lines), "utf-8")
    return main(["map", str(tmp_path / "venue.toml"), str(tmp_path / name), *more])


def test_each_message_is_shown_with_what_it_becomes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    heartbeat = {"type": "heartbeat"}
    assert mapped(tmp_path, FULL, {**OPENED, "fee": 1}, CANCELED, heartbeat) == 0
    out = capsys.readouterr().out
    assert 'md.ndjson:1     orders      {"ts_event":1700000000123000000,"symbol":"BTC"' in out
    assert "md.ndjson:2     cancels     {" in out
    assert 'md.ndjson:3     ignored     no mapping takes it: type is "heartbeat"' in out
    assert "fields that no mapping reads: fee (1)" in out
    assert "fields of cancels that the mapping does not give: sequence, account, quantity" in out
    assert "3 messages: 1 cancels, 1 orders; 1 ignored, 0 rejected, 0 fields unreadable" in out


def test_three_mistakes_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A side of another spelling, a time in seconds, and a leverage that is text."""
    text = FULL.replace('quantity = "q"', 'quantity = "q"\nleverage = "lev"')
    assert (
        mapped(
            tmp_path,
            text,
            {**OPENED, "d": "Bid"},
            {**CANCELED, "t": MS // 1000},
            {**OPENED, "lev": "10x"},
        )
        == 1
    )
    out = capsys.readouterr().out
    assert 'rejected    unknown_side: d (side) is "Bid"; it must be one of "buy", "sell"' in out
    assert "rejected    too_old: t (ts_event) is 1700000000; it must be a time in ms" in out
    assert 'absent: lev (leverage) is "10x"; it must be a number above 0, at most 10000' in out
    assert "3 messages: 1 orders; 0 ignored, 2 rejected, 1 fields unreadable" in out


def test_an_entry_without_a_sample_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert mapped(tmp_path, FULL, OPENED) == 1
    assert "no message became one of the cancels" in capsys.readouterr().out


def test_the_fields_of_a_list_of_events_are_named_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    two = envelope({**FILL, "fee": 1}, {**FILL, "fee": 2}, checksum=3)
    assert mapped(tmp_path, ENVELOPE, two, name="anything.json") == 0
    out = capsys.readouterr().out
    assert "fields that no mapping reads: checksum (1), data.fills.*.fee (1)" in out


def test_a_table_of_csv_is_a_sample_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = FULL.replace('when = {type = ["open", "new*"]}', "").split(
        '\n[[mappings]]\nstream = "c'
    )[0]
    rows = ["t,s,i,d,p,q", f"{MS},BTC,7,buy,1.5,2", f"{MS},BTC,7,buy,,2"]
    assert mapped(tmp_path, text, *rows, name="md.csv") == 1
    out = capsys.readouterr().out
    assert 'md.csv:1     orders      {"ts_event":1700000000123000000' in out
    assert "md.csv:2     rejected    missing_field: p (price) is missing" in out


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no [[mappings]]; docs/connect.md shows"),
        (
            FULL + ENVELOPE.replace('"md"', '"fills"'),
            "no mapping reads a topic other; the mappings read md, fills",
        ),
    ],
)
def test_what_cannot_be_mapped_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
):
    assert mapped(tmp_path, text, OPENED, name="other.ndjson") == 2
    assert sentence in capsys.readouterr().err


def test_the_topic_and_the_key_may_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = FULL.replace('symbol = "s"', 'symbol = "@key"').replace('"s", order', '"@key", order')
    more = ["--topic", "md", "--key", "ETH"]
    assert mapped(tmp_path, text, OPENED, CANCELED, name="x.ndjson", more=more) == 0
    assert '"symbol":"ETH"' in capsys.readouterr().out
