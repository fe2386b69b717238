"""Trades and cancels that are published just before the order that they belong to.

A venue may publish a trade some milliseconds before its order. The trade finds no order, and the
order then rests in the book although it has ended. Foreshock remembers such trades and cancels for
a short time, and applies them when the order comes.

A resting order (the maker of a trade) was there before the trade, so its order states the whole
quantity, and the trade reduces it. A taker's order is ambiguous: some venues publish the whole
order, others only what is left after the trades. Fills that exceed a published quantity show that
it is what was left. Until the meaning is known, and for cancels (a venue may amend by a cancel and
a new order with the same id), the order rests, but it is the first that is dropped if it crosses.
"""

from msgspec import Struct

EARLY_NS = 100_000_000
"""The longest time, in nanoseconds of event time, by which a trade may precede its order."""

MAX_EARLY = 512
"""The largest number of trades and cancels that wait for their order; the oldest are dropped."""

LEARNED_TAKERS = 5
"""The number of takers' orders with earlier fills from which the meaning of a quantity is known."""

ROUNDING = 1.0 + 1e-9
"""Two quantities whose ratio is below this are equal."""


class EarlyEnd(Struct, gc=False):
    """What ended of an order before it was published.

    ``made`` and ``taken`` are the quantities of trades in which it was the maker and the taker,
    ``ts_event`` is the time of the last one.
    """

    made: float = 0.0
    taken: float = 0.0
    cancelled: bool = False
    ts_event: int = 0


class EarlyEnds(Struct):
    """The early trades and cancels of one symbol; part of a snapshot.

    ``waiting`` holds them by order id, the oldest first. ``doubtful`` holds the ids of resting
    orders that have probably ended. ``whole_takers`` and ``left_takers`` count takers' orders with
    earlier fills: of at most the published quantity, and of more.
    """

    waiting: dict[str, EarlyEnd] = {}
    doubtful: dict[str, None] = {}
    whole_takers: int = 0
    left_takers: int = 0

    @property
    def takers_are_whole(self) -> bool:
        """Whether takers' orders state the whole quantity, before their trades."""
        return self.whole_takers >= LEARNED_TAKERS and not self.left_takers

    def note(
        self,
        order_id: str,
        ts_event: int,
        *,
        made: float = 0.0,
        taken: float = 0.0,
        cancelled: bool = False,
    ) -> None:
        """Remember a trade or a cancel of an unknown order."""
        waiting = self.waiting
        end = waiting.get(order_id)
        if end is None:
            if len(waiting) >= MAX_EARLY:
                self._forget(ts_event)
            end = waiting[order_id] = EarlyEnd()
        end.made += made
        end.taken += taken
        end.cancelled = end.cancelled or cancelled
        end.ts_event = ts_event

    def ended(self, order_id: str, quantity: float, ts_event: int) -> tuple[bool, float]:
        """Return whether an order of ``quantity`` has early ends, and how much of it they take.

        The order becomes doubtful if it has probably ended, but this is not certain.
        """
        end = self.waiting.pop(order_id, None)
        if end is None or abs(ts_event - end.ts_event) > EARLY_NS:
            return False, 0.0
        ended = end.made
        doubtful = end.cancelled
        if end.taken > quantity * ROUNDING:
            self.left_takers += 1
        elif end.taken > 0.0:
            self.whole_takers += 1
            if self.takers_are_whole:
                ended += end.taken
            elif end.taken * ROUNDING >= quantity:
                doubtful = True
        if doubtful and ended < quantity:
            if len(self.doubtful) >= MAX_EARLY:
                del self.doubtful[next(iter(self.doubtful))]
            self.doubtful[order_id] = None
        return True, ended

    def _forget(self, ts_event: int) -> None:
        """Drop what is too old, and a quarter at least."""
        waiting = self.waiting
        for i, order_id in enumerate(list(waiting)):
            if i >= MAX_EARLY // 4 and waiting[order_id].ts_event >= ts_event - EARLY_NS:
                return
            del waiting[order_id]
