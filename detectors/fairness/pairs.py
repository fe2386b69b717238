"""Pairs of observations of two groups that are near in time, for tests of their difference."""

from collections import deque
from typing import NamedTuple

WITHIN_NS = 60_000_000_000
"""Two observations that are further apart are no pair: the market has changed."""

MOST_WAITING = 64


class _Waiting(NamedTuple):
    ts_event: int
    value: float
    is_member: bool


class Pairs:
    """Matches each member of a group with one observation of the others, each used once.

    Of observations that wait all are of one group: the oldest is matched first. If members and
    others are alike given what was before, the difference of a pair is 0 on average.

    Examples
    --------
    >>> pairs = Pairs()
    >>> pairs.add(0, 3.0, is_member=True), pairs.add(1, 1.0, is_member=False)
    (None, 2.0)
    >>> pairs.add(2, 5.0, is_member=False)
    >>> pairs.add(2 + WITHIN_NS + 1, 9.0, is_member=True)
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque(maxlen=MOST_WAITING)

    def add(self, ts_event: int, value: float, *, is_member: bool) -> float | None:
        """Take an observation; return member less other of the pair that it makes, if any."""
        waiting = self._waiting
        while waiting and ts_event - waiting[0].ts_event > WITHIN_NS:
            waiting.popleft()
        if waiting and waiting[0].is_member != is_member:
            other = waiting.popleft().value
            return value - other if is_member else other - value
        waiting.append(_Waiting(ts_event, value, is_member))
        return None
