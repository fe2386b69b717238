"""Translate the quantities of a venue into what rests, what is withdrawn and what is filled.

By default an order that replaces another states what rests from then on, a cancel states what it
withdraws, and a fill is a trade only. Venues differ: an amended quantity may include what was
filled before, a cancel may state what is left, and a fill may be a trade and a cancel of the same
quantity, in either order.
"""

from typing import Literal

from msgspec import Struct

from detectors.market_data.book import Book
from detectors.market_data.events import Cancel

SAME_FILL_NS = 100_000_000
"""The longest time, in nanoseconds of event time, between the two reports of one fill."""

MAX_REPORTS = 512
"""The largest number of orders with fills whose second report is awaited; the oldest go first."""

MAX_REPORTS_OF_ORDER = 64

ROUNDING = 1e-9
"""Quantities with a smaller relative difference are equal."""


class QuantityMeaning(Struct, frozen=True, kw_only=True):
    """What ``quantity`` means in a venue's events.

    ``orders``: the quantity of an order that replaces another is what is ``remaining``, or the
    ``total`` with what was filled before. ``cancels``: the quantity is ``withdrawn``, or ``left``.
    ``fills``: a fill is one of the ``trades``, or one of the ``trades_and_cancels``.
    """

    orders: Literal["remaining", "total"] = "remaining"
    cancels: Literal["withdrawn", "left"] = "withdrawn"
    fills: Literal["trades", "trades_and_cancels"] = "trades"


class FillReport(Struct, gc=False):
    """The first report of a fill: its quantity, and whether it was a cancel."""

    quantity: float
    ts_event: int
    cancelled: bool


class QuantityState(Struct):
    """What must be remembered of earlier events; part of a snapshot.

    ``filled`` holds, by order id, how much of a resting order was filled; only where orders state
    their total. ``reports`` holds fills whose second report is awaited.
    """

    filled: dict[str, float] = {}
    reports: dict[str, list[FillReport]] = {}


class Quantities:
    """Translates the quantities of one symbol whose venue differs from the default.

    Parameters
    ----------
    meaning
        What the venue's quantities mean.
    book
        The symbol's book.
    """

    __slots__ = ("_book", "_left", "_total", "_twice", "state")

    def __init__(self, meaning: QuantityMeaning, book: Book) -> None:
        self._book = book
        self._total = meaning.orders == "total"
        self._left = meaning.cancels == "left"
        self._twice = meaning.fills == "trades_and_cancels"
        self.state = QuantityState()

    def replaced(self, order_id: str, quantity: float) -> float:
        """Return what rests of an order that replaces one with the same id; 0 or less if nothing.

        Call it before the replaced order leaves the book.
        """
        return quantity - self.state.filled.get(order_id, 0.0) if self._total else quantity

    def withdrawn(self, cancel: Cancel) -> float | None:
        """Return how much a cancel withdraws; None for the whole order, 0 if nothing.

        A negative result is a quantity left that is larger than what rests.
        """
        order = self._book.orders.get(cancel.order_id)
        quantity = cancel.quantity
        if self._left and quantity is not None:
            if order is None:
                return 0.0 if quantity == 0.0 and self._is_filled(cancel, None) else None
            withdrawn = order.quantity - quantity
            if abs(withdrawn) <= ROUNDING * order.quantity:
                return 0.0
            quantity = withdrawn if quantity > 0.0 else None
        if self._twice:
            if self._is_filled(cancel, quantity):
                return 0.0
            if order is not None:
                amount = order.quantity if quantity is None else min(quantity, order.quantity)
                self._await(cancel.order_id, FillReport(amount, cancel.ts_event, cancelled=True))
        return quantity

    def is_new_fill(self, order_id: str, quantity: float, ts_event: int) -> bool:
        """Whether a trade reduces the order: its fill was not reported by a cancel before."""
        if self._twice:
            if self._match(order_id, quantity, ts_event, cancelled=True):
                return False
            self._await(order_id, FillReport(quantity, ts_event, cancelled=False))
        return True

    def note_fill(self, order_id: str, quantity: float) -> None:
        """Remember a fill of an order that still rests, or forget the order if it ended."""
        if self._total:
            filled = self.state.filled
            if order_id in self._book.orders:
                filled[order_id] = filled.get(order_id, 0.0) + quantity
            else:
                filled.pop(order_id, None)

    def forget_ended(self) -> None:
        """Forget the fills of orders that rest no more, once they are the larger part."""
        filled, orders = self.state.filled, self._book.orders
        if len(filled) > len(orders):
            self.state.filled = {i: its for i, its in filled.items() if i in orders}

    def _is_filled(self, cancel: Cancel, quantity: float | None) -> bool:
        """Whether a cancel is the second report of a fill."""
        if quantity is None and cancel.order_id in self._book.orders:
            return False  # it withdraws what was not filled
        return self._match(cancel.order_id, quantity, cancel.ts_event, cancelled=False)

    def _match(
        self, order_id: str, quantity: float | None, ts_event: int, *, cancelled: bool
    ) -> bool:
        """Take the first report of a fill, if there is one; None stands for any quantity."""
        reports = self.state.reports.get(order_id, [])
        for i, its in enumerate(reports):
            if its.cancelled is not cancelled or abs(ts_event - its.ts_event) > SAME_FILL_NS:
                continue
            if quantity is None or abs(its.quantity - quantity) <= ROUNDING * quantity:
                del reports[i]
                if not reports:
                    del self.state.reports[order_id]
                return True
        return False

    def _await(self, order_id: str, report: FillReport) -> None:
        reports = self.state.reports
        waiting = reports.pop(order_id, [])
        if len(reports) >= MAX_REPORTS:
            del reports[next(iter(reports))]
        recent = [its for its in waiting if report.ts_event - its.ts_event <= SAME_FILL_NS]
        reports[order_id] = [*recent, report][-MAX_REPORTS_OF_ORDER:]
