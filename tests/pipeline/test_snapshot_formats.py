"""What versions of the service wrote: read while the format is ours, else left out and said."""

import base64
import json
from pathlib import Path
from typing import NamedTuple

import pytest

from detectors.state import FORMAT
from service.pipeline import snapshots
from service.pipeline.output import PublishedUntil, Tally
from service.settings.assembly import partition_task
from service.settings.types import Settings, settings_hash
from tests.pipeline.events import BEGIN, SECOND, by_stream, market

WRITTEN = {
    int(path.stem.removeprefix("format-")): path
    for path in sorted((Path(__file__).parent / "snapshots").glob("format-*.jsonl"))
}
"""Records that the code of each format wrote: 90 seconds of ``tests.pipeline.events.market``."""


class Record(NamedTuple):
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def written(its_format: int) -> list[Record]:
    rows = map(json.loads, WRITTEN[its_format].read_text().splitlines())
    decode = base64.b64decode
    return [
        Record(
            decode(row["key"]),
            decode(row["value"]),
            [(name, decode(text)) for name, text in row["headers"]],
        )
        for row in rows
    ]


def test_there_is_a_snapshot_of_every_format():
    assert list(WRITTEN) == list(range(1, FORMAT + 1)), (
        "keep a snapshot that the new format's code wrote in tests/pipeline/snapshots"
    )


def test_a_snapshot_of_this_format_is_read_whatever_was_added_since():
    settings = Settings()
    restored = snapshots.restore(written(FORMAT), settings_hash(settings))
    assert restored.problems == {}
    assert [snapshot.symbol for snapshot in restored.snapshots] == ["AAA", "BBB"]
    streams = ("orders", "cancels", "trades")
    task = partition_task(settings, streams, Tally())
    task.resume(restored.snapshots[0].position.streams, restored.snapshots, PublishedUntil())
    bars = task.monitors["AAA"].scorers[0].bars
    later = [e for e in market(3, 99, ("AAA", "BBB"), 4) if e.ts_event >= BEGIN + 90 * SECOND]
    for stream, events in by_stream(later).items():
        first = task.aligner.read(stream)
        task.feed(stream, events, first_offset=first, next_offset=first + len(events))
        task.aligner.set_idle(stream)
    signals = task.advance().signals
    assert {signal.symbol for signal in signals} == {"AAA", "BBB"}
    assert task.monitors["AAA"].scorers[0].bars > bars, "it goes on from what it had learned"


@pytest.mark.parametrize("its_format", [number for number in WRITTEN if number < FORMAT])
def test_a_snapshot_of_an_older_format_is_left_out_and_both_formats_are_named(its_format: int):
    restored = snapshots.restore(written(its_format), settings_hash(Settings()))
    assert restored.snapshots == []
    assert restored.problems == {"older_format": 2}
    (why,) = snapshots.describe_problems(restored)
    assert f"format {its_format} (of version 0.1.0)" in why
    assert f"this version reads format {FORMAT}" in why


def test_a_version_that_was_rolled_back_says_that_the_format_is_newer(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(snapshots, "FORMAT", FORMAT - 1)
    restored = snapshots.restore(written(FORMAT), settings_hash(Settings()))
    assert restored.snapshots == []
    assert restored.problems == {"newer_format": 2}
    (why,) = snapshots.describe_problems(restored)
    assert why.startswith(f"2 of a newer format: format {FORMAT} (of version 0.1.0)")
