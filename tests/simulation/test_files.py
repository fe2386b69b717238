"""Streams in files: written, found, read back in batches."""

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.events import Order
from service.demo.recording import read_truths, simulate_to_directory
from service.demo.scenarios import scenario
from service.files import STREAM_NAMES, BatchReader, EventWriter, read_batches, stream_path


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


@settings(max_examples=50, deadline=None)
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
        patch.setattr("service.files._CHUNK_BYTES", chunk)
        batches = list(read_batches(path, per_batch))
    assert [line for batch in batches for line in batch] == [line for line in lines if line.strip()]
    assert all(1 <= len(batch) <= per_batch for batch in batches)
