"""The order book of one symbol, order by order.

The book stores orders by id, and the total quantity of each price level. The prices of each side
are in a sorted list: the touch is the last entry, and depth is computed by a walk from there. The
book accepts events in any state: an event for an unknown order changes nothing, and the result
reports it.
"""

from bisect import bisect_left
from collections.abc import Container
from dataclasses import dataclass
from itertools import islice, pairwise

from msgspec import Struct

BANDS_SPREADS = (2.0, 5.0, 10.0)
"""The distances from the mid price within which depth is measured, in typical spreads."""

UNKNOWN_SPREAD_BPS = 5.0
"""Counts as the typical spread until it is known. In a book in ticks it counts in ticks."""

Bands = tuple[float, float, float]
"""Ascending distances from the mid price in bps, or in ticks."""


def bands_of(spread_bps: float) -> Bands:
    """Return the bands of a typical spread; 0 if it is not known.

    >>> bands_of(2.0)
    (4.0, 10.0, 20.0)
    """
    unit = spread_bps if spread_bps > 0.0 else UNKNOWN_SPREAD_BPS
    a, b, c = BANDS_SPREADS
    return (a * unit, b * unit, c * unit)


TICK_LEVELS = 16
"""The number of best price levels of a side from which the tick is learned."""

ALMOST_TICKS = 1.0 + 1e-6
"""Widens a band in ticks, so that a price at its limit is within it despite rounding."""

ROUNDING = 1e-12
"""Less than this share of an order is rounding: ten thousand fills do not add up to it."""


class RestingOrder(Struct, gc=False, omit_defaults=True):
    """The remaining part of an order in the book.

    ``first_quantity`` is the quantity with which it was added; 0 while all of it rests.
    """

    is_buy: bool
    price: float
    quantity: float
    ts_event: int
    first_quantity: float = 0.0


@dataclass(slots=True)  # written with every event, which costs a Struct twice as much
class Level:
    """The total of the orders that rest at one price."""

    quantity: float = 0.0
    orders: int = 0


class BookSide:
    """The price levels of one side; ``sign`` is +1 for bids and -1 for asks.

    ``prices`` holds sign * price in ascending order: the best price of either side is the last.
    ``ordered`` holds their levels in the same order.
    """

    __slots__ = ("levels", "ordered", "prices", "sign")

    def __init__(self, sign: float) -> None:
        self.sign = sign
        self.restore({})

    def restore(self, levels: dict[float, Level]) -> None:
        """Continue with these price levels."""
        self.levels = levels
        self.prices = sorted(self.sign * price for price in levels)
        self.ordered = [levels[self.sign * signed] for signed in self.prices]

    def open(self, price: float, quantity: float) -> None:
        """Add a price level with its first order."""
        level = self.levels[price] = Level(quantity, 1)
        signed = self.sign * price
        place = bisect_left(self.prices, signed)
        self.prices.insert(place, signed)
        self.ordered.insert(place, level)

    def close(self, price: float) -> None:
        """Remove a price level without orders."""
        del self.levels[price]
        place = bisect_left(self.prices, self.sign * price)
        del self.prices[place], self.ordered[place]

    @property
    def best(self) -> float | None:
        """The best price; None if the side is empty."""
        return self.sign * self.prices[-1] if self.prices else None

    def depth(
        self,
        mid: float,
        bands_bps: tuple[float, ...],
        *,
        tick: float | None = None,
    ) -> list[float]:
        """Return the cumulative notional within each band (ascending, in bps) of the mid price.

        With a ``tick`` the bands are in ticks, and the result is in quantity.
        """
        if tick is None:
            limits = [self.sign * mid * (1.0 - self.sign * band / 1e4) for band in bands_bps]
        else:
            limits = [self.sign * mid - band * tick * ALMOST_TICKS for band in bands_bps]
        # A walk from the touch: few levels are within the bands.
        sign = self.sign
        depths: list[float] = []
        wanted = iter(limits)
        limit, total = next(wanted), 0.0
        for signed, level in zip(reversed(self.prices), reversed(self.ordered), strict=True):
            while signed < limit:
                depths.append(total)
                if len(depths) == len(limits):
                    return depths
                limit = next(wanted)
            quantity = level.quantity
            total += quantity if tick is not None else sign * signed * quantity
        depths += [total] * (len(limits) - len(depths))
        return depths


class Book:
    """The resting orders of one symbol.

    Parameters
    ----------
    max_orders
        The largest number of resting orders. Above this limit the oldest orders are evicted, one
        sixty-fourth of the limit at once.
    in_ticks
        Whether prices may be zero or negative. Distances are then in ticks instead of bps of the
        mid price, and amounts in quantity instead of notional.

    Attributes
    ----------
    bands
        The distances from the mid price within which depth is measured.
    tick
        The tick of a book in ticks: the smallest distance of two price levels so far; 0 while
        unknown.

    Examples
    --------
    >>> book = Book(max_orders=1000)
    >>> book.add("a", is_buy=True, price=99.0, quantity=2.0, ts_event=0)
    >>> book.add("b", is_buy=False, price=101.0, quantity=1.0, ts_event=0)
    >>> book.mid, book.spread_bps
    (100.0, 200.0)
    >>> order, taken = book.take("a", 0.5)
    >>> taken, order.quantity
    (0.5, 1.5)
    """

    __slots__ = (
        "asks",
        "bands",
        "bids",
        "evicted",
        "in_ticks",
        "max_orders",
        "orders",
        "stale",
        "tick",
    )

    def __init__(self, max_orders: int, *, in_ticks: bool = False) -> None:
        self.max_orders = max_orders
        self.in_ticks = in_ticks
        self.tick = 0.0
        self.bands = bands_of(0.0)
        self.orders: dict[str, RestingOrder] = {}
        self.bids = BookSide(1.0)
        self.asks = BookSide(-1.0)
        self.evicted = 0
        self.stale = 0

    def add(
        self, order_id: str, is_buy: bool, price: float, quantity: float, ts_event: int
    ) -> None:
        """Add a resting order. Its id must not rest already: ``take`` that order first."""
        orders = self.orders
        assert order_id not in orders, order_id
        if len(orders) >= self.max_orders:
            # Several at once: after the deletion of its first entry, a dict is slow to find the
            # next one.
            self.evict(max(1, self.max_orders // 64))
        orders[order_id] = RestingOrder(is_buy, price, quantity, ts_event)
        side = self.bids if is_buy else self.asks
        level = side.levels.get(price)
        if level is None:
            side.open(price, quantity)
        else:
            level.quantity += quantity
            level.orders += 1

    def take(self, order_id: str, quantity: float | None) -> tuple[RestingOrder, float] | None:
        """Take ``quantity`` from an order, or the whole remaining quantity if None.

        Returns the order and the quantity taken, which is less than ``quantity`` if less rests;
        None if no order with this id rests. A difference of less than `ROUNDING` is none.
        """
        order = self.orders.get(order_id)
        if order is None:
            return None
        left = order.quantity
        side = self.bids if order.is_buy else self.asks
        level = side.levels[order.price]
        taken = left
        if quantity is not None and quantity != left:
            rest = left - quantity
            # Against the first quantity: the rounding of its fills does not shrink with what rests.
            rounding = (order.first_quantity or left) * ROUNDING
            if rest > rounding:
                order.first_quantity = order.first_quantity or left
                order.quantity = rest
                level.quantity -= quantity
                if level.quantity < 0.0:  # noqa: PLR1730 - a call to max costs more than this
                    level.quantity = 0.0
                return order, quantity
            if rest >= -rounding:
                taken = quantity
        del self.orders[order_id]
        level.quantity -= left
        # Next to a huge order, rounding loses the quantity of a small order: the level may become
        # negative.
        if level.quantity < 0.0:  # noqa: PLR1730 - as above
            level.quantity = 0.0
        level.orders -= 1
        # The count decides whether the level is empty: a sum of floats may not return to zero.
        if level.orders == 0:
            side.close(order.price)
        return order, taken

    def evict(self, count: int) -> None:
        """Drop the ``count`` oldest orders."""
        for order_id in list(islice(self.orders, count)):
            self.take(order_id, None)
            self.evicted += 1

    def clear(self, before_ns: int) -> None:
        """Remove the orders placed before ``before_ns``: the venue has removed them all."""
        for order_id in [i for i, order in self.orders.items() if order.ts_event < before_ns]:
            self.take(order_id, None)

    @property
    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        bids, asks = self.bids.prices, self.asks.prices
        return bool(bids and asks and bids[-1] >= -asks[-1])

    @property
    def crossed_by_both_sides(self) -> bool:
        """Whether the book is crossed and no single side can be stale.

        A stale side is older than all orders that it crosses: a venue that matches would not let
        them rest. If each side has a crossing order that is newer than one of the other side, the
        orders have not been matched.
        """
        if not self.crossed:
            return False
        bid, ask = self.bids.prices[-1], -self.asks.prices[-1]
        orders = self.orders.values()
        buying = [order.ts_event for order in orders if order.is_buy and order.price >= ask]
        selling = [order.ts_event for order in orders if not order.is_buy and order.price <= bid]
        return max(buying) > min(selling) and max(selling) > min(buying)

    def uncross(self, before_ns: int, doubtful: Container[str] = ()) -> None:
        """Drop crossing orders until the book is no longer crossed.

        A venue that matches continuously cannot have a crossed book at rest: the feed lost the end
        of an order. An order whose end was published before it is ``doubtful``: of those the newest
        is dropped first. Otherwise the oldest crossing orders are the stale ones. Only orders
        placed before ``before_ns`` are dropped, because the trades of a newer order may still be in
        transit.
        """
        bids, asks = self.bids.prices, self.asks.prices
        if not bids or not asks or bids[-1] < -asks[-1]:
            return
        bid, ask = bids[-1], -asks[-1]
        crossing = sorted(
            (True, order.ts_event, order_id)
            if order_id not in doubtful
            else (False, -order.ts_event, order_id)
            for order_id, order in self.orders.items()
            if order.ts_event < before_ns
            and (order.price >= ask if order.is_buy else order.price <= bid)
        )
        for *_, order_id in crossing:
            if not bids or not asks or bids[-1] < -asks[-1]:
                return
            self.take(order_id, None)
            self.stale += 1

    @property
    def mid(self) -> float | None:
        """The mid price; None if a side is empty."""
        if not self.bids.prices or not self.asks.prices:
            return None
        return (self.bids.prices[-1] - self.asks.prices[-1]) / 2.0

    @property
    def spread_bps(self) -> float | None:
        """The spread in bps of the mid (or in ticks), at least zero; None if a side is empty."""
        mid = self.mid
        if mid is None:
            return None
        spread = max(0.0, -self.asks.prices[-1] - self.bids.prices[-1])
        if self.in_ticks:
            return spread / self.tick if self.tick else None
        return spread / mid * 1e4

    def depths(self, mid: float) -> tuple[list[float], list[float]]:
        """Return the depth of bids and asks, see `BookSide.depth`."""
        tick = self.tick if self.in_ticks else None
        bands = self.bands
        return self.bids.depth(mid, bands, tick=tick), self.asks.depth(mid, bands, tick=tick)

    def learn_tick(self) -> None:
        """Learn the tick of a book in ticks from the distances of its best price levels."""
        for side in (self.bids, self.asks):
            best = side.prices[-TICK_LEVELS:]
            for below, above in pairwise(best):
                # Nine digits: the difference of two decimal fractions is not exact.
                tick = float(f"{above - below:.9g}")
                if tick > 0.0 and (not self.tick or tick < self.tick):
                    self.tick = tick
