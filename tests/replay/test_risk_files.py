"""The streams that the risk of positions needs come out of a directory as one sequence in time."""

import gzip
import random
from pathlib import Path

import msgspec
import pytest
import zstandard

from detectors.market_data.events import Margin, Position, Reference, Tier
from detectors.market_data.risk_events import Account, Insurance, Liquidation
from service.errors import OperatorError
from service.replay.files import STREAM_NAMES, EventWriter
from service.replay.risk_files import risk_events
from service.settings.types import FieldSettings, Settings, TimeSettings, WireSettings

BEGIN = 1_767_225_600_000_000_000
SECOND = 1_000_000_000
PLAIN = Settings()


def at(seconds: float) -> int:
    return BEGIN + round(seconds * SECOND)


EVENTS = [
    Margin(ts_event=at(0), symbol="A", tiers=(Tier(maintenance_rate=0.01),)),
    Account(ts_event=at(0), account="x", collateral_value=50.0, margin_mode="cross"),
    Position(ts_event=at(1), symbol="A", account="x", quantity=2, entry_price=100, margin=-1.0),
    Reference(ts_event=at(2), symbol="A", mark_price=90.0),
    Liquidation(
        ts_event=at(2), symbol="A", liquidation_id="1", account="x", phase="start", mark_price=90.0
    ),
    Insurance(ts_event=at(3), symbol="*", balance=7.0, delta=-3.0, cause="loss"),
    Account(ts_event=at(3), account="x", collateral_value=0.0, equity=-3.0),
]


def write(directory: Path, events, compression: str = "none"):
    with EventWriter(directory, compression) as writer:
        for event in events:
            writer.write(event)


@pytest.mark.parametrize("compression", ["none", "gz", "zst"])
def test_what_is_written_comes_back_in_order(tmp_path: Path, compression: str):
    write(tmp_path, EVENTS, compression)
    assert list(risk_events(tmp_path, PLAIN)) == sorted(
        EVENTS, key=lambda event: (event.ts_event, event.kind)
    )


def test_a_directory_without_these_streams_is_empty(tmp_path: Path):
    assert list(risk_events(tmp_path, PLAIN)) == []


def test_disorder_within_the_limit_is_sorted_and_a_later_event_takes_the_place_that_is_left(
    tmp_path: Path,
):
    marks = [(0.0, 1), (0.30, 2), (0.25, 3), (0.9, 4), (0.1, 5), (0.85, 6), (1.2, 7)]
    settings = Settings(time=TimeSettings(max_disorder_ms=100))
    write(
        tmp_path,
        [Reference(ts_event=at(seconds), symbol="A", mark_price=mark) for seconds, mark in marks],
    )
    order = [event.mark_price for event in risk_events(tmp_path, settings)]
    assert order == [1, 3, 2, 5, 6, 4, 7]


def test_shuffled_streams_are_one_sequence_by_time_and_sequence(tmp_path: Path):
    rng = random.Random(5)
    times = sorted(rng.choices(range(200), k=400))
    events = [
        rng.choice(
            [
                Account(ts_event=at(time), sequence=number, account="x", equity=1.0),
                Insurance(ts_event=at(time), sequence=number, symbol="*", balance=1.0),
                Position(
                    ts_event=at(time), sequence=number, symbol="A", account="x", quantity=1,
                    entry_price=1,
                ),
            ]
        )
        for number, time in enumerate(times)
    ]  # fmt: skip
    write(tmp_path, events)
    assert list(risk_events(tmp_path, PLAIN)) == events


def test_names_and_units_are_those_of_the_settings(tmp_path: Path):
    lines = b'{"ts_event":%d,"user":"x","equity":"-2.5"}\n' % (at(1) // 10**6)
    (tmp_path / "accounts.ndjson.gz").write_bytes(gzip.compress(lines))
    wire = WireSettings(time_unit="ms", fields=FieldSettings(accounts={"account": "user"}))
    (account,) = risk_events(tmp_path, Settings(wire=wire))
    assert (account.ts_event, account.account, account.equity) == (at(1), "x", -2.5)


def test_a_record_that_is_no_event_is_told_with_its_line_and_stops_nothing(tmp_path: Path):
    good = msgspec.json.encode(EVENTS[5])
    bad = b'{"ts_event":%d,"symbol":"*","balance":-1}' % at(3)
    (tmp_path / "insurance.ndjson.zst").write_bytes(
        zstandard.ZstdCompressor().compress(b"\n".join([good, bad, good, b"{"]))
    )
    refused = []
    events = list(risk_events(tmp_path, PLAIN, lambda *its: refused.append(its)))
    assert events == [EVENTS[5]] * 2
    assert [(stream, its.index, its.reason) for stream, its in refused] == [
        ("insurance", 1, "out_of_range"),
        ("insurance", 3, "not_json"),
    ]


def test_two_files_of_one_stream_and_a_damaged_file_are_refused(tmp_path: Path):
    (tmp_path / "accounts.ndjson").write_bytes(b"")
    (tmp_path / "accounts.ndjson.gz").write_bytes(gzip.compress(b"x" * 100)[:-9])
    with pytest.raises(OperatorError, match="keep one"):
        list(risk_events(tmp_path, PLAIN))
    (tmp_path / "accounts.ndjson").unlink()
    with pytest.raises(OperatorError, match="damaged"):
        list(risk_events(tmp_path, PLAIN))


def test_every_stream_has_a_file():
    assert {"accounts", "liquidations", "insurance"} < set(STREAM_NAMES.values())
