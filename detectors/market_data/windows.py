"""Sums of the flow over the last seconds, and what is usual over the last hour.

The sums of a bar are for all symbols that close it at once: all their bars have the same number.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from detectors.market_data.flow import places_of
from detectors.table import Floats, Ints, Rows, Writes, at, enlarged, some

NET_SECONDS = (3, 20, 60)
YOUNG_SECONDS = (2, 30)
LEVERAGE_SECONDS = (5, 45)

LONGEST_SECONDS = 60
MINUTES_KEPT = 60


class WindowBar(NamedTuple):
    """The counts of one bar. ``habitual`` counts orders of accounts with a known leverage habit."""

    number: int
    orders: float
    cancels: float
    trades: float
    young_cancels: float
    habitual: float
    excess: float
    leveraged_orders: float
    near_maximum_orders: float


class Minute(NamedTuple):
    """The events of one minute, see `WindowBar`. ``squares`` are those of ``excess``."""

    number: int
    orders: float
    trades: float
    habitual: float
    excess: float
    squares: float
    leveraged_orders: float
    near_maximum_orders: float


class Usual(NamedTuple):
    """What is usual over the last hour, without the current minute.

    ``excess`` and ``variance`` are the mean and the variance of the log leverage of orders over
    the habits of their accounts. ``near_maximum`` is the share of leveraged orders near the
    venue's maximum, ``orders_per_trade`` the median number of orders per trade in a minute.
    """

    excess: float = 0.0
    variance: float = 0.0
    near_maximum: float = 0.0
    orders_per_trade: float = 0.0


class Recent(NamedTuple):
    """The sums over the last seconds.

    ``net`` holds the orders and the cancels over each of `NET_SECONDS`. ``young_cancels`` holds
    the cancels of young orders over each of `YOUNG_SECONDS`, ``traded`` the orders and the trades
    over the last of them. ``habitual`` holds the
    orders of accounts with a leverage habit and their log leverage over it, over each of
    `LEVERAGE_SECONDS`. ``leveraged`` holds the leveraged orders and those near the venue's maximum
    over the last of them.
    """

    net: tuple[tuple[float, float], ...]
    young_cancels: tuple[float, ...]
    traded: tuple[float, float]
    habitual: tuple[tuple[float, float], ...]
    leveraged: tuple[float, float]
    usual: Usual


class WindowsState(Struct):
    """The learned state of the windows of one symbol; part of a snapshot."""

    bars: list[WindowBar] = []
    minutes: list[Minute] = []
    usual: Usual = Usual()


_OF_BAR: Rows = np.array(
    places_of(
        "orders",
        "cancels",
        "trades",
        "young_cancels",
        "habitual_orders",
        "leverage_excess",
        "leveraged_orders",
        "near_maximum_orders",
    )
)
_OF_MINUTE: Rows = np.array(
    places_of(
        "orders",
        "trades",
        "habitual_orders",
        "leverage_excess",
        "leverage_excess_squares",
        "leveraged_orders",
        "near_maximum_orders",
    )
)
"""The places of the numbers of a bar and of a minute among the amounts of a flow."""

_ORDERS, _CANCELS, _TRADES, _YOUNG, _HABITUAL, _EXCESS, _LEVERAGED, _NEAR = range(len(_OF_BAR))

_SUMS = (
    *((amount, seconds) for seconds in NET_SECONDS for amount in (_ORDERS, _CANCELS)),
    *((_YOUNG, seconds) for seconds in YOUNG_SECONDS),
    (_ORDERS, YOUNG_SECONDS[-1]),
    (_TRADES, YOUNG_SECONDS[-1]),
    *((amount, seconds) for seconds in LEVERAGE_SECONDS for amount in (_HABITUAL, _EXCESS)),
    (_LEVERAGED, LEVERAGE_SECONDS[-1]),
    (_NEAR, LEVERAGE_SECONDS[-1]),
)
"""What is summed up, and over how many seconds."""


class Windows:
    """The recent bars, and the last hour by minute, a row for each symbol.

    Parameters
    ----------
    bar_seconds
        The length of a bar.

    Attributes
    ----------
    usual
        What is usual, in the order of the fields of `Usual`.
    """

    __slots__ = (
        "_amounts", "_bars", "_length", "_minute", "_minutes", "_minutes_kept", "_newest",
        "_newest_first", "_oldest_minute", "_per_second", "_places", "_rounded", "_steps",
        "_widths", "usual",
    )  # fmt: skip

    def __init__(self, bar_seconds: float) -> None:
        self._per_second = 1.0 / bar_seconds
        self._length = self._width(LONGEST_SECONDS)
        self._amounts = [amount for amount, _ in _SUMS]
        self._widths = [self._width(seconds) for _, seconds in _SUMS]
        # Each width and the next shorter one differ by a step.
        widths = sorted({*self._widths})
        self._steps: Rows = np.array([0, *widths[:-1]])
        # The places of the sums among those of all amounts over all widths.
        self._places: Rows = np.array(
            [
                amount * len(widths) + widths.index(width)
                for amount, width in zip(self._amounts, self._widths, strict=True)
            ]
        )
        # For each place of the newest bar, the places of all, the newest first.
        ages = np.arange(self._length)
        self._newest_first: Rows = (ages[:, None] - ages) % self._length
        self._rounded = [
            (column, width)
            for column, (amount, width) in enumerate(zip(self._amounts, self._widths, strict=True))
            if amount == _EXCESS
        ]
        # The ring of the last bars: bar number n is in place n modulo their number.
        self._bars: Floats = np.zeros((0, len(_OF_BAR), self._length))
        self._newest: Ints = np.zeros(0, dtype=np.int64)
        # The ring of the last minutes with events: the numbers, and the place of the oldest.
        self._minutes: Floats = np.zeros((0, MINUTES_KEPT, len(_OF_MINUTE)))
        self._minute: Ints = np.zeros((0, MINUTES_KEPT), dtype=np.int64)
        self._minutes_kept: Ints = np.zeros(0, dtype=np.int64)
        self._oldest_minute: Ints = np.zeros(0, dtype=np.int64)
        self.usual: Floats = np.zeros((0, len(Usual._fields)))

    def _width(self, seconds: float) -> int:
        return max(1, round(seconds * self._per_second))

    def resize(self, rows: int) -> None:
        """Make room for so many rows."""
        self._bars = enlarged(self._bars, (rows, len(_OF_BAR), self._length))
        self._newest = enlarged(self._newest, (rows,))
        self._minutes = enlarged(self._minutes, (rows, MINUTES_KEPT, len(_OF_MINUTE)))
        self._minute = enlarged(self._minute, (rows, MINUTES_KEPT))
        self._minutes_kept = enlarged(self._minutes_kept, (rows,))
        self._oldest_minute = enlarged(self._oldest_minute, (rows,))
        self.usual = enlarged(self.usual, (rows, len(Usual._fields)))

    def clear(self, row: int) -> None:
        """Forget all of a row."""
        self._bars[row] = self.usual[row] = 0.0
        self._newest[row] = self._minutes_kept[row] = self._oldest_minute[row] = 0

    def pause(self, rows: Rows, writes: Writes) -> None:
        """Forget the recent bars of rows: the market paused."""
        writes.put(self._bars, rows, 0.0)

    def add_many(
        self, rows: Rows, number: int, flows: Floats, writes: Writes
    ) -> tuple[Floats, Floats]:
        """Add the bar with this number to each row, and return the sums over the last seconds.

        Parameters
        ----------
        rows
            The rows; the number is above that of their last bar.
        number
            The number of the bar.
        flows
            The amounts of the bar, in the order of the fields of `Flow`.
        writes
            Takes what is learned.

        Returns
        -------
        tuple
            The sums, and what is usual, a row for each of ``rows``; see `recent`.
        """
        place = at(rows)
        order = self._newest_first[number % self._length]
        newest_first = self._bars[place].take(order, axis=2)
        passed = number - self._newest[place]
        if some(passed > 1):
            # The bars without events since the last one: what is in their place is older.
            newest_first *= (np.arange(self._length) >= passed[:, None])[:, None, :]
            writes.put(self._bars, (rows[:, None], slice(None), order), newest_first.swapaxes(1, 2))
        bar = flows.take(_OF_BAR, axis=1)
        newest_first[:, :, 0] = bar
        writes.put(self._bars, (place, slice(None), order[0]), bar)
        writes.put(self._newest, place, number)
        usual = self._add_to_minute(rows, number, flows.take(_OF_MINUTE, axis=1), writes)
        steps = np.add.reduceat(newest_first, self._steps, axis=2)
        sums: Floats = steps.cumsum(axis=2).reshape(len(rows), -1).take(self._places, axis=1)
        for column, width in self._rounded:
            # No count: it is rounded, and the order of addition matters. The oldest first.
            excess = newest_first[:, _EXCESS, width - 1 :: -1]
            sums[:, column] = excess.cumsum(axis=1)[:, -1]
        return sums, usual

    def _add_to_minute(self, rows: Rows, number: int, added: Floats, writes: Writes) -> Floats:
        """Add the bar to its minute, and return what is usual."""
        usual = self.usual[rows]
        minute = int(number / (60.0 * self._per_second))
        kept, oldest = self._minutes_kept[rows], self._oldest_minute[rows]
        last = (oldest + kept - 1) % MINUTES_KEPT
        goes_on = (kept > 0) & (self._minute[rows, last] == minute)
        if np.count_nonzero(goes_on) == len(rows):
            writes.put(self._minutes, (rows, last), self._minutes[rows, last] + added)
            return usual
        on = (rows[goes_on], last[goes_on])
        writes.put(self._minutes, on, self._minutes[on] + added[goes_on])
        begins = np.flatnonzero(~goes_on)
        rows, kept, oldest = rows[begins], kept[begins], oldest[begins]
        for i, row in zip(begins.tolist(), rows.tolist(), strict=True):
            usual[i] = self._estimate(row)  # without the minute that begins
        writes.put(self.usual, rows, usual[begins])
        place = (oldest + kept) % MINUTES_KEPT
        writes.put(self._minutes, (rows, place), added[begins])
        writes.put(self._minute, (rows, place), minute)
        full = kept == MINUTES_KEPT
        writes.put(self._minutes_kept, rows, kept + ~full)
        oldest = np.where(full, (oldest + 1) % MINUTES_KEPT, oldest)
        writes.put(self._oldest_minute, rows, oldest)
        return usual

    def _estimate(self, row: int) -> Usual:
        minutes = self._minutes[row, : self._minutes_kept[row]]
        orders, trades, habitual, excess, squares, leveraged, near_maximum = minutes.T
        n, all_leveraged = float(habitual.sum()), float(leveraged.sum())
        mean = math.fsum(excess.tolist()) / n if n else 0.0
        square = math.fsum(squares.tolist()) / n if n else 0.0
        ratios = np.sort(orders / (trades + 1.0))
        return Usual(
            mean,
            max(0.0, square - mean * mean),
            float(near_maximum.sum()) / all_leveraged if all_leveraged else 0.0,
            float(ratios[len(ratios) // 2]) if len(ratios) else 0.0,
        )

    def state(self, row: int) -> WindowsState:
        """Return the learned state of a row, for a snapshot."""
        newest = int(self._newest[row])
        numbers = range(newest - self._length + 1, newest + 1) if newest else ()
        bars = (
            WindowBar(number, *self._bars[row, :, number % self._length].tolist())
            for number in numbers
        )
        places = (self._oldest_minute[row] + np.arange(self._minutes_kept[row])) % MINUTES_KEPT
        minutes = (
            Minute(int(self._minute[row, place]), *self._minutes[row, place].tolist())
            for place in places
        )
        # The newest bar stays, though empty: it says how far the others are.
        kept = [bar for bar in bars if bar.number == newest or any(bar[1:])]
        return WindowsState(kept, list(minutes), Usual(*self.usual[row].tolist()))

    def restore(self, row: int, state: WindowsState) -> None:
        """Let a row continue from the state of a snapshot.

        Raises
        ------
        ValueError
            There are too many minutes.
        """
        count = len(state.minutes)
        if count > MINUTES_KEPT:
            raise ValueError(f"there are {count} minutes, above {MINUTES_KEPT}")
        self.clear(row)
        for bar in state.bars[-self._length :]:
            self._bars[row, :, bar.number % self._length] = bar[1:]
            self._newest[row] = bar.number
        for place, minute in enumerate(state.minutes):
            self._minutes[row, place], self._minute[row, place] = minute[1:], minute.number
        self._minutes_kept[row] = count
        self.usual[row] = state.usual


def recent(sums: Sequence[float], usual: Sequence[float]) -> Recent:
    """Return the sums of one symbol, see `Windows.add_many`, by name."""
    o3, c3, o20, c20, o60, c60, burst, loop, orders, trades, h5, e5, h45, e45, leveraged, near = (
        sums
    )
    return Recent(
        ((o3, c3), (o20, c20), (o60, c60)),
        (burst, loop),
        (orders, trades),
        ((h5, e5), (h45, e45)),
        (leveraged, near),
        Usual(*usual),
    )
