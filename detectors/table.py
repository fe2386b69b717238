"""Arrays with a row for each symbol and a column for each statistic.

What happens a bar happens for all rows at once. A row that is given up is used again.
"""

from collections.abc import Sequence
from typing import Any, Self, TypeVar

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
    # Zeros take no memory before they are written.
    larger = np.zeros(tuple(shape), array.dtype)
    if fill:
        larger[...] = fill
    larger[tuple(slice(length) for length in array.shape)] = array
    return larger


def some(flags: Flags) -> bool:
    """Whether any flag is set: a fraction of the cost of ``any`` for a few flags."""
    return bool(np.count_nonzero(flags))


def at(rows: Rows) -> Rows | slice:
    """Return an index of rows. Of one row it is a slice, and what it gives is not a copy.

    So change what it gives only by assignment to another array.
    """
    if len(rows) != 1:
        return rows
    first = int(rows[0])
    return slice(first, first + 1)


class Writes:
    """The assignments of a step, made at the end of its block: none of them if the step fails.

    Examples
    --------
    >>> counts = np.zeros(3)
    >>> with Writes() as writes:
    ...     writes.put(counts, 1, 5.0)
    ...     print(counts[1])
    0.0
    >>> print(counts[1])
    5.0
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[tuple[NDArray[Any], Any, Any]] = []

    def put(self, array: NDArray[_Any], place: Any, value: Any) -> None:
        """Assign ``value`` to a place of an array at the end of the step.

        Until then the array must not be replaced by an `enlarged` one.
        """
        self._waiting.append((array, place, value))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Make the assignments in the order in which they were put, unless the step has failed."""
        if kind is None:
            for array, place, value in self._waiting:
                array[place] = value


class RowNumbers:
    """Hands out the numbers of rows; the one given back last first.

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


class Powers:
    """Powers of some factors, as Python's own: the same on every machine.

    Parameters
    ----------
    factors
        The factors.

    Examples
    --------
    >>> powers = Powers([0.5, 0.1])
    >>> powers.of(np.array([1, 2]))
    array([[0.5 , 0.1 ],
           [0.25, 0.01]])
    """

    __slots__ = ("_factors", "_known")

    def __init__(self, factors: Sequence[float]) -> None:
        self._factors = factors
        self._known: Floats = np.array([[f**n for f in factors] for n in range(KNOWN_POWERS)])

    def of(self, exponents: Ints) -> Floats:
        """Return the powers: the shape of ``exponents``, and then one of each factor."""
        if not exponents.size or exponents.max() < KNOWN_POWERS:
            return self._known[exponents]
        powers: Floats = self._known[np.minimum(exponents, KNOWN_POWERS - 1)]
        for place in zip(*np.nonzero(exponents >= KNOWN_POWERS), strict=True):
            exponent = int(exponents[place])
            powers[place] = [factor**exponent for factor in self._factors]
        return powers


KNOWN_POWERS = 256
"""Powers below this are computed once."""
