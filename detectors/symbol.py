"""One symbol: its book, its bars and its detectors."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from detectors.accounts import LeveragedOrder, LeverageHabits
from detectors.bar import (
    FLEETING_NS,
    FLEETING_SHARE,
    NEAR_BPS,
    YOUNG_NS,
    Bar,
    BookState,
    DepthHabit,
    Flow,
    Spans,
    book_state,
)
from detectors.book import Book, RestingOrder
from detectors.detector import Detector
from detectors.drift_incidents import DriftIncidents
from detectors.events import Cancel, Event, Kind, Late, Margin, Order, Position, Reference, Trade
from detectors.feed_watch import FeedCounts, FeedWatch
from detectors.incidents import Alert, Incidents
from detectors.one_sided import LARGE_SHARE, LargeOrder, OneSidedAccounts, counted
from detectors.parameters import Parameters
from detectors.peers import HOUR_NS, LESSONS_KEPT, GivenLessons, Lessons
from detectors.scorer import Reading, Scorer
from detectors.suppression import budget_per_day
from detectors.suppressor import SuppressedAlarms, Suppressor

NEAR_MAXIMUM = 0.8
"""Leverage at or above this share of the venue's maximum is near it."""

LULL_NS = 60_000_000_000
"""After so long without an event, what follows is a reopening."""

SETTLING_BARS = 60
"""Bars after a lull, or after the first event, in which nothing is judged."""

SWEPT_SHARE = 0.25
"""The share of the usual depth whose sweep cost is measured."""

NO_DELAYS: Mapping[str, float] = {}

MOST_AT_ONCE = 4_096
"""So many orders of a bar are kept to be looked at when it closes; more are looked at before."""


class Signal(Struct, frozen=True):
    """What the detectors make of one bar of a symbol.

    ``stress_ratio`` is 0 for an ordinary bar and 1 for one that is an alarm: the most surprising
    reading's place between the two, in log probability; None while every detector is warming up.
    ``inputs`` is what is known against the symbol's feed.
    """

    symbol: str
    ts_event: int
    stress_ratio: float | None
    detectors: dict[str, Reading]
    inputs: list[str] = []


class Counts(Struct):
    """What the events of some symbols came to; they only grow.

    ``suppressed_alarms`` are bars with a suppressed alarm, by detector and kind of reason.
    """

    late: int = 0
    unknown_orders: int = 0
    replaced_orders: int = 0
    sequence_regressions: int = 0
    stale_orders: int = 0
    evicted_orders: int = 0
    evicted_accounts: int = 0
    bars: int = 0
    judged_bars: int = 0
    suppressed_alarms: SuppressedAlarms = {}
    feed: FeedCounts = field(default_factory=FeedCounts)


class Marks(Struct, gc=False):
    """Where a symbol's stream stands."""

    bar_index: int = -1
    hour: int = -1
    settled_bars: int = 0
    last_price: float = 0.0
    high_leverage: float = 0.0


class SymbolMonitor:
    """Everything that is known of one symbol.

    Parameters
    ----------
    symbol
        Whose events it takes.
    parameters
        How it is watched.
    detectors
        The detectors that watch it.
    counts
        Where to count; symbols may share it.
    borrowed
        What its peers have learned, by detector.
    """

    __slots__ = (
        "_handlers", "_large", "_near_high", "_near_low", "_share", "bar", "book", "counts",
        "depth_habit", "detectors", "drifts", "feed", "flow", "habits",
        "incidents", "large", "lessons", "leveraged", "marks", "one_sided", "opened",
        "parameters", "scorers", "signal", "spans", "suppressor", "symbol",
    )  # fmt: skip

    def __init__(
        self,
        symbol: str,
        parameters: Parameters,
        detectors: tuple[Detector, ...],
        counts: Counts,
        borrowed: Lessons | None = None,
    ) -> None:
        self.symbol = symbol
        suppression = parameters.suppression
        budget = budget_per_day(suppression, symbol, parameters.false_alarms_per_day)
        self.parameters = parameters = replace(parameters, false_alarms_per_day=budget)
        self.suppressor = Suppressor(symbol, suppression, detectors, counts.suppressed_alarms)
        self.detectors = detectors
        self.book = Book(parameters.max_orders)
        self.habits = LeverageHabits(parameters.max_accounts)
        self.spans = Spans(parameters.bar_seconds)
        self.depth_habit = DepthHabit(parameters.bar_seconds)
        lessons = borrowed or {}
        sharing = sum(detector.alarms for detector in detectors)
        self.scorers = [
            Scorer(detector, parameters, sharing, lessons.get(detector.name))
            for detector in detectors
        ]
        self.lessons: GivenLessons = []
        self.incidents = Incidents(symbol, parameters.quiet_ns)
        self.drifts = DriftIncidents(symbol)
        self.feed = FeedWatch(symbol, parameters, counts.feed, counts.suppressed_alarms)
        self.counts = counts
        self.signal: Signal | None = None
        self.bar: Bar | None = None
        self.flow = Flow()
        self.leveraged: list[LeveragedOrder] = []
        self.one_sided = OneSidedAccounts(parameters.bar_seconds)
        self.large: list[LargeOrder] = []
        self._share = 0.0
        self._large = math.inf
        self.opened: BookState | None = None
        self.marks = Marks()
        self._near_low = 0.0
        self._near_high = 0.0
        # In the order of events.Kind.
        self._handlers: tuple[Callable[[Any], None], ...] = (
            self._on_order,
            self._on_cancel,
            self._on_trade,
            self._on_reference,
            self._on_margin,
            self._on_position,
            self._on_late,
        )

    def apply(self, event: Event | Late) -> None:
        """Take one event of this symbol; events come in order."""
        sequence = event.sequence
        if sequence is not None:
            numbering = self.feed.numbering
            if sequence == numbering.next:
                numbering.next = sequence + 1
            elif numbering.broken(event, sequence):
                self.counts.sequence_regressions += 1
        self._handlers[event.kind](event)

    def _on_order(self, order: Order) -> None:
        book = self.book
        order_id = order.order_id
        price = order.price
        quantity = order.quantity
        if order_id in book.orders:
            self.counts.replaced_orders += 1
            self.feed.seen[Kind.CANCEL] -= 1
            self._withdraw(order_id, None, order.account, order.ts_event)
        if price is not None and order.type != "market":
            is_buy = order.side == "buy"
            book.add(order_id, is_buy, price, quantity, order.ts_event)
            flow = self.flow
            flow.orders += 1.0
            notional = price * quantity
            if notional >= self._large and order.account is not None:
                share = counted(notional * self._share)
                self._note_large(order.account, share if is_buy else -share)
            if self._near_low <= price <= self._near_high:
                if is_buy:
                    flow.near_placed_bid += notional
                else:
                    flow.near_placed_ask += notional
        else:
            notional = (price or self.marks.last_price) * quantity
        leverage = order.leverage
        if leverage is not None and not order.reduce_only:
            self.leveraged.append((order.account, notional, leverage))
            if len(self.leveraged) >= MOST_AT_ONCE:
                self._learn_leveraged()

    def _on_cancel(self, cancel: Cancel) -> None:
        self._withdraw(cancel.order_id, cancel.quantity, cancel.account, cancel.ts_event)

    def _withdraw(
        self, order_id: str, quantity: float | None, account: str | None, ts_event: int
    ) -> None:
        taken = self.book.take(order_id, quantity)
        if taken is None:
            self.counts.unknown_orders += 1
            self.feed.seen[Kind.CANCEL] += 1
            return
        order, amount = taken
        flow = self.flow
        flow.cancels += 1.0
        price = order.price
        age_ns = ts_event - order.ts_event
        if age_ns < FLEETING_NS:
            if age_ns < YOUNG_NS:
                flow.young_cancels += 1.0
            if price * amount >= self._large:
                self._on_fleeting(order.is_buy, price * amount, account)
        if self._near_low <= price <= self._near_high:
            if order.is_buy:
                flow.near_cancelled_bid += price * amount
            else:
                flow.near_cancelled_ask += price * amount

    def _on_trade(self, trade: Trade) -> None:
        book = self.book
        flow = self.flow
        price = trade.price
        notional = price * trade.quantity
        flow.trades += 1.0
        if self._near_low <= price <= self._near_high:
            # The aggressor takes from the other side of the book.
            if trade.side == "buy":
                flow.near_traded_ask += notional
            else:
                flow.near_traded_bid += notional
        account = trade.maker_account
        maker = trade.maker_order_id
        if account is not None and maker is not None and self.one_sided.minds(account):
            self._on_fill(account, book.orders.get(maker), trade.quantity)
        self.marks.last_price = price
        if maker is not None and book.take(maker, trade.quantity) is None:
            self.counts.unknown_orders += 1
        # A taker that never rested (a market order) is not unknown: there is nothing to reduce.
        if trade.taker_order_id is not None:
            book.take(trade.taker_order_id, trade.quantity)

    def _on_fleeting(self, is_buy: bool, notional: float, account: str | None) -> None:
        """Note a large order that was withdrawn at once: it did not stay to be a layer."""
        share = notional * self._share
        if account is not None:
            self._note_large(account, -counted(share) if is_buy else counted(share))
        if share >= FLEETING_SHARE:
            if is_buy:
                self.flow.large_fleeting_bid += notional
            else:
                self.flow.large_fleeting_ask += notional

    def _on_fill(self, account: str, order: RestingOrder | None, quantity: float) -> None:
        """Take off what an account's order counts for less by: it was meant to trade."""
        if order is None:
            return
        unit = order.price * self._share
        share = counted(order.quantity * unit) - counted((order.quantity - quantity) * unit)
        if share > 0.0:
            self._note_large(account, -share if order.is_buy else share)

    def _on_reference(self, reference: Reference) -> None:
        """No detector looks at references; that their prices change is a sign of life."""
        self.feed.moved(reference)

    def _on_margin(self, margin: Margin) -> None:
        if margin.max_leverage is not None:
            self.marks.high_leverage = NEAR_MAXIMUM * margin.max_leverage

    def _on_position(self, position: Position) -> None:
        if position.leverage is not None:
            self.habits.introduce(position.account, position.leverage)

    def _on_late(self, late: Late) -> None:
        """The book learns of what came too late for its bar; the bar does not."""
        self.counts.late += 1
        kept = self.flow, self.leveraged, self.large
        self.flow, self.leveraged, self.large = Flow(), [], []
        self._handlers[late.event.kind](late.event)
        self.feed.arrived_late(self.flow)
        self.flow, self.leveraged, self.large = kept

    def _learn_leveraged(self) -> None:
        """Learn the bar's leveraged orders so far."""
        self.habits.learn(self.leveraged, self.marks.high_leverage, self.flow)
        self.leveraged = []

    def _note_large(self, account: str, share: float) -> None:
        self.large.append((account, share))
        if len(self.large) >= MOST_AT_ONCE:
            self.one_sided.learn(self.large, bars=0)  # the bar has not passed
            self.large = []

    def close_bar(
        self, ends_at: int, delays: Mapping[str, float] = NO_DELAYS
    ) -> tuple[Signal, list[Alert]]:
        """Close the bar that ends at ``ends_at`` and saw events; the detectors' word on it.

        ``delays`` is how long the partition's records were under way, see `Feed.close_bar`.
        """
        bar_ns = self.parameters.bar_ns
        index = ends_at // bar_ns
        marks = self.marks
        elapsed = index - marks.bar_index
        if elapsed * bar_ns > LULL_NS:
            # After a lull, and before the first bar of all, nothing is as it usually is.
            marks.settled_bars = 0
        marks.settled_bars += 1
        marks.bar_index = index
        self.counts.bars += 1
        self._give_lessons(ends_at // HOUR_NS)

        feed_alerts = self.feed.close_bar(ends_at, elapsed, self.book, self.flow, delays)
        inputs = self.feed.inputs(ends_at)
        self.book.uncross(ends_at - bar_ns)
        habit = self.depth_habit.state
        opened = self.opened
        last_mid = opened.mid if opened is not None else None
        closed = book_state(self.book, last_mid, SWEPT_SHARE * habit.usual)
        if closed is not None:
            self.depth_habit.learn(closed.depth[1])
        self._learn_leveraged()
        self._count_evictions()
        bar = self.bar = Bar(
            symbol=self.symbol,
            starts_at=ends_at - bar_ns,
            ends_at=ends_at,
            flow=self.flow,
            spans=self.spans.add(self.flow, elapsed),
            opened=opened,
            closed=closed,
            usual_depth=habit.usual,
            smooth_log_depth=habit.smooth,
            one_sided=self.one_sided.learn(self.large, elapsed),
        )
        settling = marks.settled_bars <= SETTLING_BARS
        readings = {
            scorer.detector.name: scorer.step(bar, settling=settling) for scorer in self.scorers
        }
        self.suppressor.mark(bar, readings)
        if any(reading.p_value is not None for reading in readings.values()):
            self.counts.judged_bars += 1
        alerts = [
            *feed_alerts,
            *self.incidents.step(ends_at, self.detectors, readings, inputs),
            *self.drifts.step(ends_at, self.detectors, readings, inputs),
        ]
        self.open_bar(closed)
        self.signal = Signal(self.symbol, ends_at, self._stress_ratio(readings), readings, inputs)
        return self.signal, alerts

    def resolve(self, ts_event: int) -> list[Alert]:
        """Resolve the incidents that have been quiet for long enough at ``ts_event``."""
        return [
            *self.feed.resolve(ts_event),
            *self.incidents.resolve(ts_event),
            *self.drifts.resolve(ts_event),
        ]

    @property
    def warming_up(self) -> bool:
        """Whether nothing is judged yet."""
        return all(s.calibration.warming_up for s in self.scorers if s.detector.alarms)

    @property
    def with_incident(self) -> bool:
        """Whether an incident is open, or something stands against the feed."""
        return self.incidents.open is not None or self.drifts.open is not None or self.feed.active

    def _give_lessons(self, hour: int) -> None:
        """At the first bar of an hour, what was learned until then."""
        if hour == self.marks.hour:
            return
        self.marks.hour = hour
        learned = {s.detector.name: lesson for s in self.scorers if (lesson := s.lesson())}
        if learned:
            self.lessons = [*self.lessons, (hour, learned)][-LESSONS_KEPT:]

    def _count_evictions(self) -> None:
        book, habits, counts = self.book, self.habits, self.counts
        counts.stale_orders += book.stale
        counts.evicted_orders += book.evicted
        counts.evicted_accounts += habits.evicted
        book.stale = book.evicted = habits.evicted = 0

    def open_bar(self, opened: BookState | None) -> None:
        """Begin a bar with the book as it is."""
        self.flow = Flow()
        self.leveraged = []
        self.large = []
        self.opened = opened
        usual = self.depth_habit.state.usual
        self._share = 1.0 / usual if usual > 0.0 else 0.0
        self._large = LARGE_SHARE * usual or math.inf
        if opened is not None:
            self.marks.last_price = opened.mid
            self._near_low = opened.mid * (1.0 - NEAR_BPS / 1e4)
            self._near_high = opened.mid * (1.0 + NEAR_BPS / 1e4)

    def _stress_ratio(self, readings: dict[str, Reading]) -> float | None:
        ratios = [
            scorer.calibration.stress_ratio(reading.p_value)
            for scorer, reading in zip(self.scorers, readings.values(), strict=True)
            if reading.p_value is not None
        ]
        return max(ratios) if ratios else None


def mean_budget_per_day(monitors: Collection[SymbolMonitor], default: float) -> float:
    """The false alarms a day that symbols are allowed on average; ``default`` without symbols."""
    if not monitors:
        return default
    return sum(m.parameters.false_alarms_per_day for m in monitors) / len(monitors)
