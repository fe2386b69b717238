"""Sums of the flow over the last seconds, and what is usual for orders and for the spread."""

import math
from collections import deque
from typing import NamedTuple

from msgspec import Struct, field

from detectors.market_data.flow import Flow

NET_SECONDS = (3, 20, 60)
YOUNG_SECONDS = (2, 30)
LEVERAGE_SECONDS = (5, 45)

LONGEST_SECONDS = 60
MINUTES_KEPT = 60

SAMPLES_KEPT = 360
SAMPLES_BETWEEN = 30
"""The samples of a running median, one a bar, and their number between two estimates."""


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


class MedianState(Struct):
    """The learned state of a RunningMedian; part of a snapshot."""

    samples: list[float] = []
    sampled: int = 0
    value: float = 0.0


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


class RunningMedian:
    """The median of the last samples, estimated anew after every thirtieth.

    >>> median = RunningMedian()
    >>> for size in (1.0, 5.0, 3.0):
    ...     median.learn(size)
    >>> median.value
    3.0
    """

    __slots__ = ("sampled", "samples", "value")

    def __init__(self) -> None:
        self.restore(MedianState())

    def learn(self, sample: float) -> None:
        """Add a sample."""
        samples = self.samples
        samples.append(sample)
        self.sampled += 1
        if len(samples) > SAMPLES_KEPT:
            samples.popleft()
        if self.sampled <= SAMPLES_BETWEEN or self.sampled % SAMPLES_BETWEEN == 0:
            self.value = sorted(samples)[len(samples) // 2]

    def state(self) -> MedianState:
        """Return the learned state, for a snapshot."""
        return MedianState(list(self.samples), self.sampled, self.value)

    def restore(self, state: MedianState) -> None:
        """Continue from the state of a snapshot."""
        self.samples = deque(state.samples)
        self.sampled, self.value = state.sampled, state.value


class WindowsState(Struct):
    """The learned state of Windows; part of a snapshot."""

    bars: list[WindowBar] = []
    minutes: list[Minute] = []
    size: MedianState = field(default_factory=MedianState)
    spread: MedianState = field(default_factory=MedianState)
    usual: Usual = Usual()


class Windows:
    """The recent bars, the last hour of leverage by minute, and the median order size.

    Parameters
    ----------
    bar_seconds
        The length of a bar.
    """

    __slots__ = ("_bars", "_minutes", "_per_second", "_size", "_spread", "usual")

    def __init__(self, bar_seconds: float) -> None:
        self._per_second = 1.0 / bar_seconds
        self._size = RunningMedian()
        self._spread = RunningMedian()
        self.restore(WindowsState())

    def clear(self) -> None:
        """Forget the recent bars: the market paused."""
        self._bars.clear()

    @property
    def median_size(self) -> float:
        """The median quantity of orders; 0 while unknown."""
        return self._size.value

    @property
    def median_spread(self) -> float:
        """The median spread in bps, or in ticks; 0 while unknown."""
        return self._spread.value

    def add(self, index: int, flow: Flow, size: float, spread: float) -> Recent:
        """Add a closed bar, and return the sums over the last seconds.

        ``size`` is the quantity of one of its orders, ``spread`` that at its end; 0 without one.
        """
        bars = self._bars
        bars.append(
            WindowBar(
                index,
                flow.orders,
                flow.cancels,
                flow.trades,
                flow.young_cancels,
                flow.habitual_orders,
                flow.leverage_excess,
                flow.leveraged_orders,
                flow.near_maximum_orders,
            )
        )
        oldest = index - round(LONGEST_SECONDS * self._per_second)
        while bars[0].number <= oldest:
            bars.popleft()
        self._add_to_minute(index, flow)
        if size > 0.0:
            self._size.learn(size)
        if spread > 0.0:
            self._spread.learn(spread)
        by_young = [self._recent(seconds) for seconds in YOUNG_SECONDS]
        by_leverage = [self._recent(seconds) for seconds in LEVERAGE_SECONDS]
        return Recent(
            tuple(_net(self._recent(seconds)) for seconds in NET_SECONDS),
            tuple(sum(bar.young_cancels for bar in recent) for recent in by_young),
            (
                sum(bar.orders for bar in by_young[-1]),
                sum(bar.trades for bar in by_young[-1]),
            ),
            tuple(_habitual(recent) for recent in by_leverage),
            (
                sum(bar.leveraged_orders for bar in by_leverage[-1]),
                sum(bar.near_maximum_orders for bar in by_leverage[-1]),
            ),
            self.usual,
        )

    def _recent(self, seconds: float) -> list[WindowBar]:
        """Return the bars of the last ``seconds``, at least the last one."""
        bars = self._bars
        oldest = bars[-1].number - max(1, round(seconds * self._per_second))
        return [bar for bar in bars if bar.number > oldest]

    def _add_to_minute(self, index: int, flow: Flow) -> None:
        minutes = self._minutes
        number = int(index / (60.0 * self._per_second))
        added = (
            flow.orders,
            flow.trades,
            flow.habitual_orders,
            flow.leverage_excess,
            flow.leverage_excess_squares,
            flow.leveraged_orders,
            flow.near_maximum_orders,
        )
        if minutes and minutes[-1].number == number:
            before = minutes[-1][1:]
            minutes[-1] = Minute(number, *(a + b for a, b in zip(before, added, strict=True)))
            return
        self._estimate()  # without the minute that begins
        minutes.append(Minute(number, *added))
        if len(minutes) > MINUTES_KEPT:
            minutes.popleft()

    def _estimate(self) -> None:
        minutes = self._minutes
        habitual = sum(its.habitual for its in minutes)
        mean = math.fsum(its.excess for its in minutes) / habitual if habitual else 0.0
        square = math.fsum(its.squares for its in minutes) / habitual if habitual else 0.0
        leveraged = sum(its.leveraged_orders for its in minutes)
        near_maximum = sum(its.near_maximum_orders for its in minutes)
        ratios = sorted(its.orders / (its.trades + 1.0) for its in minutes)
        self.usual = Usual(
            mean,
            max(0.0, square - mean * mean),
            near_maximum / leveraged if leveraged else 0.0,
            ratios[len(ratios) // 2] if ratios else 0.0,
        )

    def state(self) -> WindowsState:
        """Return the learned state, for a snapshot."""
        return WindowsState(
            list(self._bars),
            list(self._minutes),
            self._size.state(),
            self._spread.state(),
            self.usual,
        )

    def restore(self, state: WindowsState) -> None:
        """Continue from the state of a snapshot."""
        self._bars = deque(state.bars)
        self._size.restore(state.size)
        self._spread.restore(state.spread)
        self._minutes = deque(state.minutes)
        self.usual = state.usual


def _net(bars: list[WindowBar]) -> tuple[float, float]:
    return sum(bar.orders for bar in bars), sum(bar.cancels for bar in bars)


def _habitual(bars: list[WindowBar]) -> tuple[float, float]:
    return sum(bar.habitual for bar in bars), sum(bar.excess for bar in bars)
