"""A handler of log records that never makes its caller wait for whoever reads the log.

A pipe that nobody reads, or a disk that does not answer, blocks a write. So a thread writes, and
the lines wait in a queue of bounded size. Lines that do not fit are dropped, and counted. The
first line that can be written after that says how many they were.
"""

import io
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import IO

MAX_WAITING_BYTES = 4 * 1_048_576
"""The most bytes of lines that wait to be written."""

MAX_LINE_BYTES = 65_536
"""A longer line is cut."""

DroppedLine = Callable[[int], str]
"""The line to write after this many lines were dropped."""


class LogWriter(logging.Handler):
    """Writes to a stream from a thread of its own.

    Parameters
    ----------
    stream
        Where to. Written to by its file descriptor, if it has one: so no lock of the stream is held
        by a thread that waits when the process ends.
    dropped_line
        Gives the line that reports dropped lines.
    max_waiting_bytes
        The most bytes that may wait.

    Attributes
    ----------
    dropped
        How many lines were dropped since the start.
    """

    def __init__(
        self,
        stream: IO[str],
        dropped_line: DroppedLine,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        super().__init__()
        self.dropped = 0
        self._stream = stream
        self._dropped_line = dropped_line
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._unreported = 0
        self._writing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_forever, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record's line; never waits, never raises."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace")[:MAX_LINE_BYTES] + b"\n"
        except Exception:  # noqa: BLE001 - a log line must not end what it is about
            line = b""
        with self._changed:
            if not line or self._waiting_bytes + len(line) > self._max_waiting_bytes:
                self._drop(1)
                return
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Wait until everything is written, at most so long; whether it is."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._waiting or self._writing:
                if (left := until - time.monotonic()) <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        self._unreported += lines

    def _write_forever(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                line = self._waiting.popleft()
                self._waiting_bytes -= len(line)
                self._writing = True
                unreported, self._unreported = self._unreported, 0
            if unreported:
                line = (self._dropped_line(unreported) + "\n").encode() + line
            try:
                _write(self._stream, line)
            except (OSError, ValueError):  # nobody reads any more, a full disk, a closed stream
                with self._changed:
                    self.dropped += 1
                    self._unreported += unreported + 1
            with self._changed:
                self._writing = False
                self._changed.notify_all()


def _write(stream: IO[str], data: bytes) -> None:
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:
        stream.write(data.decode())
        stream.flush()
        return
    while data:
        data = data[os.write(descriptor, data) :]
