"""Which row belongs to a key, in a tenth of the memory of a dict.

A dict of a million whole numbers takes more than 100 bytes an entry, more than all columns of a
position. Here most keys are in a sorted array with their rows, 12 bytes an entry. What has changed
since the array was made is in a small dict, which is merged into it from time to time.
"""

import numpy as np

from detectors.risk.names import Numbers
from detectors.table import Ints

LEAST_CHANGED = 16_384
CHANGED_SHARE = 16
"""The changes are merged when there are `LEAST_CHANGED` of them, and a sixteenth of the keys."""

_GONE = -1


class RowIndex:
    """Whole numbers from 0 on by keys, which are whole numbers of 63 bits.

    Examples
    --------
    >>> index = RowIndex()
    >>> index.put(7 << 32, 0)
    >>> index.put(9, 1)
    >>> index.get(9), index.get(8), index.pop(9), index.pop(9), len(index)
    (1, None, 1, None, 1)
    """

    __slots__ = ("_changed", "_count", "_keys", "_rows")

    def __init__(self) -> None:
        self._keys: Ints = np.zeros(0, np.int64)
        self._rows: Numbers = np.zeros(0, np.int32)
        # Keys that are not in the arrays, or not as they are there; a row of -1 is of none.
        self._changed: dict[int, int] = {}
        self._count = 0

    def __len__(self) -> int:
        """Return the number of keys."""
        return self._count

    def copy(self) -> "RowIndex":
        """Return an index that does not change with this one.

        >>> index = RowIndex()
        >>> index.put(9, 1)
        >>> before = index.copy()
        >>> index.pop(9), index.get(9), before.get(9)
        (1, None, 1)
        """
        its = RowIndex()
        its._keys, its._rows = self._keys, self._rows.copy()  # keys are never changed in place
        its._changed, its._count = self._changed.copy(), self._count
        return its

    def get(self, key: int) -> int | None:
        """Return the row of a key; None if it has none."""
        row = self._changed.get(key)
        if row is None:
            row = self._merged(key)
        return None if row == _GONE else row

    def put(self, key: int, row: int) -> None:
        """Give a key that has no row one."""
        self._changed[key] = row
        self._count += 1
        self._merge_many()

    def pop(self, key: int) -> int | None:
        """Take the row from a key and return it; None if it has none."""
        row = self.get(key)
        if row is not None:
            self._changed[key] = _GONE
            self._count -= 1
            self._merge_many()
        return row

    def _merged(self, key: int) -> int:
        keys = self._keys
        place = int(keys.searchsorted(key))
        return int(self._rows[place]) if place < len(keys) and keys[place] == key else _GONE

    def _merge_many(self) -> None:
        changed = len(self._changed)
        if changed < LEAST_CHANGED or changed * CHANGED_SHARE < len(self._keys):
            return
        keys = np.fromiter(self._changed.keys(), np.int64, changed)
        rows = np.fromiter(self._changed.values(), np.int32, changed)
        order = np.argsort(keys)
        keys, rows = keys[order], rows[order]
        place = np.searchsorted(self._keys, keys)
        inside = place < len(self._keys)
        known = np.zeros(changed, np.bool_)
        known[inside] = self._keys[place[inside]] == keys[inside]
        self._rows[place[known]] = rows[known]
        merged_keys = np.insert(self._keys, place[~known], keys[~known])
        merged_rows = np.insert(self._rows, place[~known], rows[~known])
        kept = merged_rows != _GONE
        self._keys, self._rows = merged_keys[kept], merged_rows[kept]
        self._changed = {}
