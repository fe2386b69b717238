"""Lines of a CSV file as JSON messages: one object a line, with the columns as its fields.

All values are texts; an empty cell is absent.
"""

import csv
from collections.abc import Sequence

import msgspec

_encode = msgspec.json.Encoder().encode


class CsvLines:
    """Turns the lines of one file into messages.

    Parameters
    ----------
    columns
        The names of the columns. None: the first line has them.

    Examples
    --------
    >>> CsvLines(None).messages([b"time,price", b"1,2.5", b"2,"])
    [b'{"time":"1","price":"2.5"}', b'{"time":"2"}']
    """

    def __init__(self, columns: Sequence[str] | None) -> None:
        self._columns = columns

    def messages(self, lines: Sequence[bytes]) -> list[bytes]:
        """Return the messages of the next lines of the file.

        A line with more cells than columns becomes a list, which is no event: it is refused.
        """
        texts = [line.decode("utf-8", "surrogateescape").rstrip("\r") for line in lines]
        rows = list(csv.reader(texts))
        if self._columns is None:
            self._columns = [name.strip() for name in rows.pop(0)]
        names, count = self._columns, len(self._columns)
        return [
            _encode({name: cell for name, cell in zip(names, row, strict=False) if cell})
            if len(row) <= count
            else _encode([_clean(cell) for cell in row])
            for row in rows
        ]


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
