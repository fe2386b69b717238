"""Which rules a message takes: by the values of some of its fields."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from service.mapping.rules import Scalar, text_of

_MAX_KNOWN = 10_000
"""The largest number of combinations of values whose result is kept."""


class Route:
    """Selects, by the values at some paths, which of several sets of conditions a message meets.

    Parameters
    ----------
    conditions
        For each candidate: paths, and the value or the values that each may have. ``*`` in a text
        stands for any characters; a text that begins with ``!`` is a value that it must not have.
        All conditions of a candidate must hold.

    Examples
    --------
    >>> route = Route([{"type": "match"}, {"type": ("open", "done*")}])
    >>> route.paths, route.of(("open",)), route.of(("heartbeat",))
    (('type',), (1,), ())
    """

    def __init__(self, conditions: Sequence[Mapping[str, Scalar | Sequence[Scalar]]]) -> None:
        self.paths = tuple(dict.fromkeys(path for its in conditions for path in its))
        self._all = tuple(range(len(conditions)))
        self._conditions = [
            {path: _texts(wanted) for path, wanted in its.items()} for its in conditions
        ]
        self._known: dict[tuple[Any, ...], tuple[int, ...]] = {}

    def of(self, values: tuple[Any, ...]) -> tuple[int, ...]:
        """Return the numbers of the candidates for the values at ``paths``."""
        # True and 1 are one key of a dictionary: their types tell them apart.
        key = (*values, *map(type, values)) if bool in map(type, values) else values
        found = self._known.get(key)
        if found is None:
            given = dict(zip(self.paths, values, strict=True))
            found = tuple(n for n, its in enumerate(self._conditions) if _holds(its, given))
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[key] = found
        return found

    def split(self, columns: Sequence[Sequence[Any]], count: int) -> dict[int, Sequence[int]]:
        """Return the indices of the messages of each candidate, of ``count`` messages."""
        if not self.paths:
            return dict.fromkeys(self._all, range(count))
        if all(len(set(column)) == 1 and type(column[0]) is not bool for column in columns):
            return dict.fromkeys(self.of(tuple(column[0] for column in columns)), range(count))
        groups: dict[int, list[int]] = {}
        for index, numbers in enumerate(map(self.of, zip(*columns, strict=True))):
            for number in numbers:
                groups.setdefault(number, []).append(index)
        return dict(groups)


def _texts(wanted: Any) -> tuple[str, ...]:
    return tuple(map(text_of, wanted if isinstance(wanted, tuple | list) else (wanted,)))


def _holds(conditions: Mapping[str, Sequence[str]], given: Mapping[str, Any]) -> bool:
    return all(_matches(given[path], wanted) for path, wanted in conditions.items())


def _matches(value: Any, wanted: Sequence[str]) -> bool:
    """Return whether a value is one of those wanted.

    >>> _matches("new", ("new", "open*")), _matches(None, ("!new",)), _matches("new", ("!new",))
    (True, True, False)
    """
    refused = [its[1:] for its in wanted if its.startswith("!")]
    allowed = [its for its in wanted if not its.startswith("!")]
    if value is None or isinstance(value, dict | list):
        return not allowed
    text = text_of(value)
    return (not allowed or _is_one_of(text, allowed)) and not _is_one_of(text, refused)


def _is_one_of(text: str, names: Sequence[str]) -> bool:
    return any(text == its or ("*" in its and fnmatchcase(text, its)) for its in names)
