"""What may lie beside a record: the alerts and the kill switches of the same time."""

from bisect import bisect_right
from collections.abc import Iterable

from msgspec import Struct

from detectors.kill_switch.switch import KillSwitch

VENUE = "*"
"""The symbol of what concerns the whole venue."""

CLOSED = ("tripped", "held")
"""States in which only cancels and reductions may be sent."""


class Warned(Struct, frozen=True):
    """An alert, as far as the audit needs it; ``ts_event`` is when it was published."""

    ts_event: int
    symbol: str
    detector: str
    severity: str
    status: str
    alert_id: str


class Beside(Struct, frozen=True):
    """The records in the order of time; None for a file that is not there."""

    alerts: tuple[Warned, ...] | None = None
    switches: tuple[KillSwitch, ...] | None = None


class Trips:
    """When the kill switch of a symbol, or that of the venue, says that nothing may be sent.

    >>> def record(at, state, symbol="X"):
    ...     return KillSwitch(symbol=symbol, state=state, ts_event=at, until=None, reason="",
    ...         alert_id="", valid_until=at, since=at, by="ann", cause="command", sequence=1,
    ...         previous="")
    >>> trips = Trips("X", [record(10, "tripped"), record(20, "armed"), record(30, "tripped", "*")])
    >>> [trips.since(at) for at in (5, 10, 15, 20, 35)]
    [None, 10, 10, None, 30]
    """

    __slots__ = ("_of",)

    def __init__(self, symbol: str, switches: Iterable[KillSwitch]) -> None:
        self._of: list[tuple[list[int], list[KillSwitch]]] = []
        records = [its for its in switches if not its.drill]
        for name in (symbol, VENUE):
            own = sorted((its for its in records if its.symbol == name), key=lambda r: r.ts_event)
            if own:
                self._of.append(([its.ts_event for its in own], own))

    def __bool__(self) -> bool:
        """Return whether there is any record."""
        return bool(self._of)

    def since(self, ts_event: int) -> int | None:
        """Return since when it is tripped at a time; None if it is not."""
        for times, records in self._of:
            place = bisect_right(times, ts_event) - 1
            if place < 0:
                continue
            its = records[place]
            if its.state in CLOSED and (its.until is None or ts_event < its.until):
                return min(its.since, its.ts_event)
        return None
