"""Streams in files: written, found, read back in batches."""

import gzip
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.market_data.events import Order
from service.exchange.recording import read_truths, simulate_to_directory
from service.exchange.scenarios.catalogue import scenario
from service.replay.files import STREAM_NAMES, BatchReader, EventWriter, read_batches, stream_path


def record(path: Path, **changes: Any):
    arguments = {
        "scenario": scenario("surge", start_seconds=10, length_seconds=50),
        "seed": 3,
        "symbols": 2,
        "duration_seconds": 60,
        "events_per_second": 20.0,
    }
    return simulate_to_directory(path, **(arguments | changes))


@pytest.mark.parametrize("compression", ["none", "gz", "zst"])
def test_a_recorded_simulation_reads_back(tmp_path: Path, compression: str):
    seen = []
    out = tmp_path / "run"
    recording = record(out, compression=compression, progress=lambda *args: seen.append(args))
    assert seen[-1] == (1.0, sum(recording.counts.values()))
    for stream in STREAM_NAMES.values():
        path = stream_path(out, stream)
        assert path is not None
        reader = BatchReader(path, lines_per_batch=100)
        batches = list(reader)
        assert sum(map(len, batches)) == recording.counts[stream]
        assert all(len(batch) <= 100 for batch in batches)
        assert reader.position == reader.size == path.stat().st_size
        if stream == "orders":
            first = msgspec.json.decode(batches[0][0], type=Order)
            assert first.symbol in {"BTC-PERP", "ETH-PERP"}
            assert b"null" not in b"".join(batches[0])
    assert read_truths(out) == recording.truths
    assert [truth.kind for truth in recording.truths] == ["surge"]


def test_the_same_seed_writes_the_same_files(tmp_path: Path):
    for name in ("a", "b"):
        record(tmp_path / name, compression="gz")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_labels_are_only_in_the_truth_file(tmp_path: Path):
    record(tmp_path)
    for stream in STREAM_NAMES.values():
        assert b"surge" not in (tmp_path / f"{stream}.ndjson").read_bytes()


def test_a_directory_with_streams_is_not_written_over(tmp_path: Path):
    record(tmp_path)
    with pytest.raises(FileExistsError, match="empty directory"):
        record(tmp_path)


def test_two_files_of_one_stream_are_refused(tmp_path: Path):
    assert stream_path(tmp_path, "orders") is None
    (tmp_path / "orders.ndjson").touch()
    assert stream_path(tmp_path, "orders") == tmp_path / "orders.ndjson"
    (tmp_path / "orders.ndjson.gz").touch()
    with pytest.raises(ValueError, match="keep one"):
        stream_path(tmp_path, "orders")


def test_without_the_extra_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(RuntimeError, match=r"foreshock\[zstd\]"):
        EventWriter(tmp_path, "zst")
    (tmp_path / "orders.ndjson.zst").write_bytes(b"")
    with pytest.raises(RuntimeError, match=r"foreshock\[zstd\]"):
        BatchReader(tmp_path / "orders.ndjson.zst")
    with pytest.raises(ValueError, match="none, gz, zst"):
        EventWriter(tmp_path, "bz2")


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from([b"", b" ", b'{"a":1}', b'{"b":"' + b"x" * 50 + b'"}']), max_size=40),
    st.integers(1, 7),
    st.integers(1, 64),
    st.booleans(),
)
def test_lines_survive_any_chunking(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    per_batch: int,
    chunk: int,
    closed: bool,
):
    path = tmp_path_factory.mktemp("lines") / "orders.ndjson"
    path.write_bytes(b"\n".join(lines) + (b"\n" if closed else b""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.replay.files._CHUNK_BYTES", chunk)
        batches = list(read_batches(path, per_batch))
    assert [line for batch in batches for line in batch] == [line for line in lines if line.strip()]
    assert all(1 <= len(batch) <= per_batch for batch in batches)


def test_of_a_line_without_end_only_as_much_is_kept_as_shows_that_it_is_too_long(tmp_path: Path):
    path = tmp_path / "orders.ndjson.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'{"a":1}\n')
        for _ in range(64):
            file.write(b"x" * (1 << 20))
        file.write(b'\n{"b":2}')
    assert path.stat().st_size < 1 << 20
    (first, long, last), *more = read_batches(path)
    assert (first, last, more) == (b'{"a":1}', b'{"b":2}', [])
    assert long == b"x" * ((1 << 20) + 1)


@pytest.mark.parametrize(
    ("compression", "added"),
    [("gz", b""), ("gz", b"\x55" * 64), ("zst", b"\x55" * 64)],
    ids=["gz cut short", "gz overwritten", "zst overwritten"],
)
def test_a_damaged_file_is_named_and_told_where(tmp_path: Path, compression: str, added: bytes):
    record(tmp_path, compression=compression)
    path = tmp_path / f"orders.ndjson.{compression}"
    stored = path.read_bytes()
    half = len(stored) // 2
    path.write_bytes(stored[:half] + added + (stored[half:] if added else b""))
    with pytest.raises(OSError, match=r"orders\.ndjson\.\w+ is damaged near byte \d+ of \d+: "):
        list(read_batches(path))


def test_a_line_of_which_the_end_was_cut_is_not_taken_for_a_blank_one(tmp_path: Path):
    path = tmp_path / "orders.ndjson"
    path.write_bytes(b" " * (1 << 20) + b'  {"a":1}\n')
    assert list(read_batches(path)) == [[b" " * (1 << 20) + b" "]]
