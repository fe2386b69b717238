"""Files of Databento's binary encoding, as lines of the JSON that Databento publishes.

Their own library writes the JSON. A mapping of that JSON so reads both, see
``deploy/venues/databento-mbo.toml``.
"""

import io
from pathlib import Path
from types import ModuleType
from typing import IO


class DbnLines(io.RawIOBase):
    """Reads a file of Databento's binary encoding as JSON, one record per line.

    Symbols are those of the file's metadata. Prices are integers of 1e-9, and times are
    nanoseconds.

    Parameters
    ----------
    stream
        The bytes of the file, decompressed.

    Raises
    ------
    RuntimeError
        If the optional dependency for it is not installed.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        dbn = _databento_dbn()
        self._stream = stream
        self._error = dbn.DBNError
        self._json = io.BytesIO()
        self._transcoder = dbn.Transcoder(
            self._json,
            dbn.Encoding.JSON,
            dbn.Compression.NONE,
            pretty_px=False,
            pretty_ts=False,
            map_symbols=True,
        )

    def read(self, size: int = -1, /) -> bytes:
        """Return the lines of the next ``size`` bytes of the file; empty at its end.

        Raises
        ------
        EOFError
            If the file is damaged or ends within a record.
        """
        while not self._json.tell():
            chunk = self._stream.read(size)
            try:
                self._transcoder.write(chunk)
                self._transcoder.flush()
            except self._error as error:
                raise EOFError(str(error)) from error
            if not chunk:
                if self._transcoder.buffer():
                    raise EOFError("it ends within a record")
                break
        lines = self._json.getvalue()
        self._json.seek(0)
        self._json.truncate()
        return lines

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        super().close()


def is_dbn(path: Path) -> bool:
    """Return whether a file has Databento's binary encoding, compressed or not."""
    return ".dbn" in path.suffixes[-2:]


def _databento_dbn() -> ModuleType:
    try:
        import databento_dbn  # noqa: PLC0415  an optional extra
    except ImportError as error:
        raise RuntimeError(
            "reading .dbn files needs the databento-dbn package: pip install 'foreshock[dbn]'"
        ) from error
    return databento_dbn
