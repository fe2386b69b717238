"""Recorded streams in a directory: one NDJSON file a stream, plain, gzip or Zstandard."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import IO, Self, cast

import msgspec

from detectors.market_data.events import Event, Kind
from service.pipeline.wire import STREAMS

STREAM_NAMES: dict[Kind, str] = {event.kind: name for name, event in STREAMS.items()}
"""The name of each kind's stream: its file is ``NAME.ndjson``, perhaps compressed."""

COMPRESSIONS = ("none", "gz", "zst")
"""What may follow ``.ndjson`` in a file's name; "none" is a plain file."""

_CHUNK_BYTES = 1 << 20
_WRITE_BATCH = 4096
_NULL_FIELD = re.compile(rb',"[a-z_]+":null')


def without_nulls(encoded: bytes) -> bytes:
    """Events encoded as JSON, without the fields that are null: absent ones mean the same.

    >>> without_nulls(b'{"ts_event":1,"account":null}')
    b'{"ts_event":1}'
    """
    # A quote inside a JSON string is escaped, so the pattern only ever meets whole fields.
    return _NULL_FIELD.sub(b"", encoded)


def stream_path(directory: Path, stream: str) -> Path | None:
    """Find a stream's file: ``STREAM.ndjson``, ``.ndjson.gz`` or ``.ndjson.zst``; None if absent.

    Raises
    ------
    ValueError
        If several of them exist: it would be a guess which one is meant.
    """
    names = [f"{stream}.ndjson" + _suffix(compression) for compression in COMPRESSIONS]
    found = [path for path in (directory / name for name in names) if path.is_file()]
    if len(found) > 1:
        listed = ", ".join(path.name for path in found)
        raise ValueError(f"{directory} holds {listed}: keep one of them, they are the same stream")
    return found[0] if found else None


class BatchReader:
    """Reads a stream's file in batches of raw lines, and knows how far it has come.

    Lines come without their newline; blank ones are dropped. ``size`` is the file's length and
    ``position`` how much of it has been consumed, both in bytes as stored (compressed), for a
    progress bar.

    Parameters
    ----------
    path
        A plain, ``.gz`` or ``.zst`` file.
    lines_per_batch
        How many lines a batch holds at most.
    max_line_bytes
        Of a longer line only the first ``max_line_bytes`` + 1 bytes are kept: enough to see that
        it is too long.

    Raises
    ------
    OSError
        If the file cannot be read, or is damaged: what could be read of it has been yielded.
    RuntimeError
        If it is a ``.zst`` file and the extra that reads those is not installed.
    """

    def __init__(
        self, path: Path, lines_per_batch: int = 8192, *, max_line_bytes: int = 1 << 20
    ) -> None:
        self._path = path
        self._kept_bytes = max_line_bytes + 1
        self._raw = path.open("rb")
        self._lines_per_batch = lines_per_batch
        self.size = path.stat().st_size
        try:
            self._stream = _decompressed(self._raw, path.suffix)
        except BaseException:
            self._raw.close()
            raise

    @property
    def position(self) -> int:
        """Stored bytes consumed so far; the whole size once the file has been read."""
        return self.size if self._raw.closed else self._raw.tell()

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield the batches in the file's order, and close the file at its end."""
        per_batch = self._lines_per_batch
        pending: list[bytes] = []
        try:
            for lines in self._chunks():
                pending += lines
                start = 0
                while len(pending) - start >= per_batch:
                    yield pending[start : start + per_batch]
                    start += per_batch
                del pending[:start]
            if pending:
                yield pending
        finally:
            self.close()

    def close(self) -> None:
        """Close the file; reading to its end has done so already."""
        self._stream.close()
        self._raw.close()

    def _chunks(self) -> Iterator[list[bytes]]:
        kept = self._kept_bytes
        unfinished = b""
        while chunk := self._read():
            lines = (unfinished + chunk).split(b"\n")
            unfinished = lines.pop()[:kept]
            yield [line[:kept] for line in lines if not self._is_blank(line)]
        if not self._is_blank(unfinished):
            yield [unfinished]

    def _is_blank(self, line: bytes) -> bool:
        # Of one that was cut nobody knows any more.
        return len(line) < self._kept_bytes and (not line or line.isspace())

    def _read(self) -> bytes:
        """The next bytes of the file, no more than a chunk whatever it was compressed from."""
        try:
            return self._stream.read(_CHUNK_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            why = str(error)
        except Exception as error:
            if type(error).__name__ != "ZstdError":  # its package is optional
                raise
            why = str(error)
        raise OSError(f"{self._path} is damaged near byte {self._raw.tell()} of {self.size}: {why}")


def read_batches(path: Path, lines_per_batch: int = 8192) -> Iterator[list[bytes]]:
    """Yield a file's raw lines in batches; see `BatchReader`, which also tells the progress."""
    return iter(BatchReader(path, lines_per_batch))


class EventWriter:
    """Writes events to their streams' files in a directory, as NDJSON without absent fields.

    The files of all six streams are made, empty ones too, so that a directory that was written is
    told apart from one that was not. To be used as a context manager.

    Parameters
    ----------
    directory
        Where to write; made if it does not exist.
    compression
        "none", "gz" or "zst".

    Raises
    ------
    FileExistsError
        If the directory already holds one of the streams.
    ValueError
        If the compression is not one of `COMPRESSIONS`.
    RuntimeError
        If it is "zst" and the extra that writes those is not installed.
    """

    def __init__(self, directory: Path, compression: str = "none") -> None:
        if compression not in COMPRESSIONS:
            raise ValueError(
                f"compression {compression!r} is unknown; it is one of {', '.join(COMPRESSIONS)}"
            )
        for stream in STREAM_NAMES.values():
            present = stream_path(directory, stream)
            if present is not None:
                raise FileExistsError(f"{present} exists already; name an empty directory")
        if compression == "zst":
            _zstandard()
        directory.mkdir(parents=True, exist_ok=True)
        self.counts: dict[str, int] = dict.fromkeys(STREAM_NAMES.values(), 0)
        self._encoder = msgspec.json.Encoder()
        self._buffers: dict[Kind, list[Event]] = {kind: [] for kind in STREAM_NAMES}
        self._files = {
            kind: _compressed((directory / f"{name}.ndjson{_suffix(compression)}"), compression)
            for kind, name in STREAM_NAMES.items()
        }

    def write(self, event: Event) -> None:
        """Append an event to its stream."""
        buffer = self._buffers[event.kind]
        buffer.append(event)
        if len(buffer) >= _WRITE_BATCH:
            self._flush(event.kind)

    def close(self) -> None:
        """Write what is buffered and close the files."""
        for kind, file in self._files.items():
            self._flush(kind)
            file.close()

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files, whatever happened."""
        self.close()

    def _flush(self, kind: Kind) -> None:
        buffer = self._buffers[kind]
        self._files[kind].write(without_nulls(self._encoder.encode_lines(buffer)))
        self.counts[STREAM_NAMES[kind]] += len(buffer)
        buffer.clear()


def _suffix(compression: str) -> str:
    return "" if compression == "none" else f".{compression}"


def _decompressed(raw: IO[bytes], suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw, mode="rb"))
    if suffix == ".zst":
        reader = _zstandard().ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return cast(IO[bytes], io.BufferedReader(reader, _CHUNK_BYTES))
    return raw


def _compressed(path: Path, compression: str) -> IO[bytes]:
    if compression == "gz":
        # Neither name nor time in the header: the same events give the same bytes.
        return cast(IO[bytes], _GzipFile(path))
    if compression == "zst":
        return cast(IO[bytes], _zstandard().ZstdCompressor().stream_writer(path.open("wb")))
    return path.open("wb")


class _GzipFile(gzip.GzipFile):
    """A gzip file without name and time in its header, which closes the file below it."""

    def __init__(self, path: Path) -> None:
        self._below = path.open("wb")
        super().__init__(filename="", mode="wb", compresslevel=6, fileobj=self._below, mtime=0)

    def close(self) -> None:
        super().close()
        self._below.close()


def _zstandard() -> ModuleType:
    try:
        import zstandard  # noqa: PLC0415  an optional extra
    except ImportError as error:
        raise RuntimeError(
            "reading and writing .zst files needs the zstandard package: "
            "pip install 'foreshock[zstd]'"
        ) from error
    return zstandard
