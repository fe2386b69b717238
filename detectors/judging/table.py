"""Arrays with a row for each symbol and a column for each statistic.

What happens a bar happens for all rows at once. A row that is given up is used again.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
"""The numbers of some rows."""

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_Any = TypeVar("_Any", bound=np.generic)


def enlarged(array: NDArray[_Any], shape: Sequence[int], fill: Any = 0) -> NDArray[_Any]:
    """Return a copy of an array with a larger shape; new places hold ``fill``."""
    larger = np.full(tuple(shape), fill, dtype=array.dtype)
    larger[tuple(slice(length) for length in array.shape)] = array
    return larger


class RowNumbers:
    """Hands out the numbers of rows; the lowest free one first.

    >>> numbers = RowNumbers()
    >>> [numbers.take(), numbers.take(), numbers.take()]
    [0, 1, 2]
    >>> numbers.give_back(1)
    >>> numbers.take(), numbers.capacity
    (1, 3)
    """

    __slots__ = ("_free", "capacity")

    def __init__(self) -> None:
        self._free: list[int] = []
        self.capacity = 0

    def take(self) -> int:
        """Return a free row; ``capacity`` is the number of rows that the columns need then."""
        if not self._free:
            more = max(1, self.capacity // 4) if self.capacity > 1 else 1
            self._free = list(range(self.capacity + more - 1, self.capacity - 1, -1))
            self.capacity += more
        return self._free.pop()

    def give_back(self, row: int) -> None:
        """Free a row."""
        self._free.append(row)
