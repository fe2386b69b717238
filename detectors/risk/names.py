"""Small whole numbers in place of names, so that a column can hold them."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int32]
"""A column of numbers of names."""


class Names:
    """Gives each name a free number; a released number is given again.

    Examples
    --------
    >>> names = Names()
    >>> names.number("a"), names.number("b"), names.number("a")
    (0, 1, 0)
    >>> names.release("a")
    >>> names.number("c"), names.name(0), names.find("a")
    (0, 'c', None)
    """

    __slots__ = ("_free", "_names", "_numbers")

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names: list[str | None] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        """Return the number of names in use."""
        return len(self._numbers)

    def number(self, name: str) -> int:
        """Return the number of a name; a new name gets one."""
        number = self._numbers.get(name)
        if number is None:
            if self._free:
                number = self._free.pop()
                self._names[number] = name
            else:
                number = len(self._names)
                self._names.append(name)
            self._numbers[name] = number
        return number

    def copy(self) -> "Names":
        """Return names that do not change with these."""
        its = Names()
        its._numbers, its._names = self._numbers.copy(), self._names.copy()
        its._free = self._free.copy()
        return its

    def find(self, name: str) -> int | None:
        """Return the number of a name, or None if it has none."""
        return self._numbers.get(name)

    def name(self, number: int) -> str:
        """Return the name with this number.

        Raises
        ------
        KeyError
            If no name has this number.
        """
        name = self._names[number] if 0 <= number < len(self._names) else None
        if name is None:
            raise KeyError(number)
        return name

    def release(self, name: str) -> None:
        """Take the number from a name.

        Raises
        ------
        KeyError
            If the name has no number.
        """
        number = self._numbers.pop(name)
        self._names[number] = None
        self._free.append(number)
