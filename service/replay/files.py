"""Recorded streams in a directory: one NDJSON file per stream, plain, gzip or Zstandard."""

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
from detectors.market_data.risk_events import AuditEvent, RiskEvent
from service.pipeline.wire import ALL_STREAMS
from service.replay.dbn import DbnLines, is_dbn

STREAM_NAMES: dict[Kind, str] = {event.kind: name for name, event in ALL_STREAMS.items()}
"""The stream name of each kind of event; the file is ``NAME.ndjson``, optionally compressed."""

COMPRESSIONS = ("none", "gz", "zst")
"""Suffixes after ``.ndjson`` in a file name; "none" is a plain file."""

MAX_LINE_BYTES = 1 << 20
"""The longest line that is an event."""

_CHUNK_BYTES = 1 << 20
_WRITE_BATCH = 4096
_NULL_FIELD = re.compile(rb',"[a-z_]+":null')


def without_nulls(encoded: bytes) -> bytes:
    """Remove the null fields from events in JSON; an absent field means the same.

    >>> without_nulls(b'{"ts_event":1,"account":null}')
    b'{"ts_event":1}'
    """
    # Quotes inside JSON strings are escaped, so the pattern matches only whole fields.
    return _NULL_FIELD.sub(b"", encoded)


FORMATS = ("ndjson", "csv", "dbn")
"""The formats of the files of topics of the mappings, before a suffix of a compression."""


def topic_name(path: Path) -> str | None:
    """Return the topic whose messages a file holds, by its name; None for other files.

    >>> topic_name(Path("day/venue.full.ndjson.gz")), topic_name(Path("day/README.md"))
    ('venue.full', None)
    """
    name = path.name
    for compression in COMPRESSIONS[1:]:
        name = name.removesuffix(f".{compression}")
    topic, _, form = name.rpartition(".")
    return topic if topic and form in FORMATS else None


def is_csv(path: Path) -> bool:
    """Return whether a file is CSV, compressed or not."""
    return ".csv" in path.suffixes[-2:]


def stream_path(directory: Path, stream: str) -> Path | None:
    """Find a stream's file: ``STREAM.ndjson``, ``.ndjson.gz`` or ``.ndjson.zst``; None if absent.

    Raises
    ------
    ValueError
        If several of these files exist.
    """
    names = [f"{stream}.ndjson" + _suffix(compression) for compression in COMPRESSIONS]
    found = [path for path in (directory / name for name in names) if path.is_file()]
    if len(found) > 1:
        listed = ", ".join(path.name for path in found)
        raise ValueError(f"{directory} holds {listed}, the same stream; keep one of them")
    return found[0] if found else None


class BatchReader:
    """Reads the file of a stream in batches of raw lines.

    Lines have no newline; blank lines are dropped. For a progress bar, ``size`` is the length of
    the file and ``position`` the part read so far, both in stored (compressed) bytes.

    Parameters
    ----------
    path
        A plain, ``.gz`` or ``.zst`` file. The records of a ``.dbn`` file become lines of JSON.
    lines_per_batch
        Highest number of lines in a batch.
    max_line_bytes
        Only the first ``max_line_bytes`` + 1 bytes of a longer line are kept: enough to detect that
        it is too long.

    Raises
    ------
    OSError
        If the file cannot be read or is damaged. The lines before the damage are yielded.
    RuntimeError
        If it is a ``.zst`` or ``.dbn`` file and the optional dependency for it is not installed.
    """

    def __init__(
        self, path: Path, lines_per_batch: int = 8192, *, max_line_bytes: int = MAX_LINE_BYTES
    ) -> None:
        self._path = path
        self._max_kept_bytes = max_line_bytes + 1
        self._raw = path.open("rb")
        self._lines_per_batch = lines_per_batch
        self.size = path.stat().st_size
        try:
            stream = _decompressed(self._raw, path.suffix)
            self._stream = cast(IO[bytes], DbnLines(stream)) if is_dbn(path) else stream
        except BaseException:
            self._raw.close()
            raise

    @property
    def position(self) -> int:
        """Stored bytes read so far; the whole size after the end of the file."""
        return self.size if self._raw.closed else self._raw.tell()

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield the batches in file order, and close the file at its end."""
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
        """Close the file; reading to its end closes it too."""
        self._stream.close()
        self._raw.close()

    def _chunks(self) -> Iterator[list[bytes]]:
        max_kept = self._max_kept_bytes
        unfinished = b""
        while chunk := self._read():
            lines = (unfinished + chunk).split(b"\n")
            unfinished = lines.pop()[:max_kept]
            yield [line[:max_kept] for line in lines if not self._is_blank(line)]
        if not self._is_blank(unfinished):
            yield [unfinished]

    def _is_blank(self, line: bytes) -> bool:
        # A line that was cut may continue with other characters.
        return len(line) < self._max_kept_bytes and (not line or line.isspace())

    def _read(self) -> bytes:
        """Return the next decompressed bytes of the file, at most one chunk."""
        try:
            return self._stream.read(_CHUNK_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            reason = str(error)
        except Exception as error:
            if type(error).__name__ != "ZstdError":  # its package is optional
                raise
            reason = str(error)
        raise OSError(
            f"{self._path} is damaged near byte {self._raw.tell()} of {self.size}: {reason}"
        )


def read_batches(path: Path, lines_per_batch: int = 8192) -> Iterator[list[bytes]]:
    """Yield the raw lines of a file in batches; see `BatchReader`, which also has the progress."""
    return iter(BatchReader(path, lines_per_batch))


class EventWriter:
    """Writes events to the files of their streams in a directory, as NDJSON without null fields.

    It creates the files of all streams, even without events, so that a written directory can
    be recognised. Use it as a context manager.

    Parameters
    ----------
    directory
        Output directory; created if it does not exist.
    compression
        "none", "gz" or "zst".

    Raises
    ------
    FileExistsError
        If the directory already has a file of a stream.
    ValueError
        If the compression is not in `COMPRESSIONS`.
    RuntimeError
        If it is "zst" and the optional dependency for it is not installed.
    """

    def __init__(self, directory: Path, compression: str = "none") -> None:
        if compression not in COMPRESSIONS:
            raise ValueError(
                f"unknown compression {compression!r}; choose from {', '.join(COMPRESSIONS)}"
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
        self._buffers: dict[Kind, list[Event | RiskEvent | AuditEvent]] = {
            kind: [] for kind in STREAM_NAMES
        }
        self._files = {
            kind: _compressed((directory / f"{name}.ndjson{_suffix(compression)}"), compression)
            for kind, name in STREAM_NAMES.items()
        }

    def write(self, event: Event | RiskEvent | AuditEvent) -> None:
        """Append an event to the file of its stream."""
        buffer = self._buffers[event.kind]
        buffer.append(event)
        if len(buffer) >= _WRITE_BATCH:
            self._flush(event.kind)

    def close(self) -> None:
        """Write the buffered events and close the files."""
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
        """Close the files, also after an error."""
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
        # Without name and time in the header, the same events give the same bytes.
        return cast(IO[bytes], _GzipFile(path))
    if compression == "zst":
        return cast(IO[bytes], _zstandard().ZstdCompressor().stream_writer(path.open("wb")))
    return path.open("wb")


class _GzipFile(gzip.GzipFile):
    """A gzip file without name and time in its header, which also closes the underlying file."""

    def __init__(self, path: Path) -> None:
        self._underlying = path.open("wb")
        super().__init__(filename="", mode="wb", compresslevel=6, fileobj=self._underlying, mtime=0)

    def close(self) -> None:
        super().close()
        self._underlying.close()


def _zstandard() -> ModuleType:
    try:
        import zstandard  # noqa: PLC0415  an optional extra
    except ImportError as error:
        raise RuntimeError(
            "reading and writing .zst files needs the zstandard package: "
            "pip install 'foreshock[zstd]'"
        ) from error
    return zstandard
