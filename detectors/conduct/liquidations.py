"""Follows liquidations by the venue's records of them, and states each once it is over.

The other detectors of liquidations take from here what ended in a second, so that a liquidation is
put together in one place.
"""

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from detectors.conduct.detector import Scene
from detectors.conduct.followed import Followed, add_slice, begun
from detectors.conduct.incident import Verdict
from detectors.conduct.liquidation_record import SIZE_CLASSES, SizeClass
from detectors.conduct.liquidation_report import (
    EXPECTED_CLAMP,
    Along,
    along,
    liquidation_record,
)
from detectors.conduct.price_paths import SECOND_NS, PricePaths
from detectors.fairness.episodes import APART_NS
from detectors.fairness.mark_windows import HORIZONS_SECONDS
from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Margin, Position
from detectors.market_data.risk_events import Liquidation
from detectors.risk.ladder import Side
from detectors.risk_watch.holdings import Holdings
from detectors.risk_watch.monitor import RiskInput
from detectors.risk_watch.output import Statement

MOST_FOLLOWED = 20_000
"""How many liquidations are followed at once. Above it the oldest is stated as it is."""

CLASSES_NS = 600_000_000_000
"""How long the quarters of a symbol's open positions are used before they are computed anew."""

SILENT_NS = 300_000_000_000
"""A liquidation whose venue states starts, and so ends, is over without an end after this time: a
step that finds no counterparty leaves no record."""

SERVED_NS = 120_000_000_000
MOST_SERVED = 1_024
"""How long, and how many of a symbol, it is remembered when liquidations were triggered and begun.
"""

COUNTERPARTY = "counterparty"
"""The reason of records of the other side of a deleveraging."""

_HORIZON_NS = round(HORIZONS_SECONDS[-1] * SECOND_NS)
_WAIT_NS = _HORIZON_NS

Key = tuple[str, str]


class Served(NamedTuple):
    """When the mark price reached the trigger of a position, and when the venue acted on it."""

    below_since_ns: int
    first_action_ns: int
    side: Side


class Liquidations:
    """The liquidations of a venue. It raises no alarm: it states a record of each.

    Attributes
    ----------
    ended
        Those that ended in the last second: at the venue's record of the end, or 10 s after the
        last slice of a venue that states no start.
    paths
        The prices of each symbol.
    served
        The last that were begun, by symbol, where it is known when their mark price reached them.
    """

    name, version = "liquidations", 1
    quiet_ns = 0
    over = ""
    needs: tuple[str, ...] = ("liquidations", "positions", "margins", "references")

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.ended: list[Followed] = []
        self.paths = PricePaths()
        self._open: dict[Key, Followed] = {}
        self._by_account: dict[Key, Followed] = {}
        self._waiting: dict[tuple[Key, int], Followed] = {}
        self.served: dict[str, deque[Served]] = {}
        self._along: dict[str, Along | None] = {}  # of this second
        self._clamps: dict[str, float] = {}
        self._classes: dict[str, tuple[int, tuple[float, ...], dict[str, float]]] = {}

    def take(self, event: RiskInput, scene: Scene) -> None:
        """Take a record of a liquidation, margins, or the position of an account in liquidation."""
        if isinstance(event, Position):
            its = self._by_account.get((event.symbol, event.account))
            if its is not None:
                its.current, its.current_ns = abs(event.quantity), event.ts_event
        elif isinstance(event, Margin):
            if event.mark_clamp is not None:
                self._clamps[event.symbol] = event.mark_clamp
        elif isinstance(event, Liquidation) and event.reason != COUNTERPARTY:
            self._take(event, scene.holdings)

    def summarise(self, symbol: str, _ends_at: int, summary: BookSummary) -> None:
        """Take the price of the last trade."""
        if summary.last_price > 0.0:
            self.paths.traded(symbol, summary.last_price)

    def judge(self, ts_event: int, scene: Scene) -> dict[str, Verdict]:
        """End what has ended, and state what is known in full; nothing holds."""
        for symbol, terms in scene.holdings.terms.items():
            book = scene.books.get(symbol)
            mid = math.nan if book is None else book.mid
            self.paths.note(ts_event, symbol, mid, terms.index, terms.mark)
        self.ended = []
        self._along.clear()
        if not self._open and not self._waiting:
            return {}
        for key, its in list(self._open.items()):
            if its.ended_ns or ts_event - its.last_ns >= _silent_ns(its):
                self._forget(key)
                if its.parts:
                    self.ended.append(its)
                    self._waiting[key, its.first_action_ns] = its
        due = [name for name, its in self._waiting.items() if ts_event >= _due_ns(its)]
        for name in due:
            self._state(self._waiting.pop(name), ts_event, scene.holdings)
        return {}

    def _take(self, record: Liquidation, holdings: Holdings) -> None:
        key = (record.symbol, record.liquidation_id)
        its = self._open.get(key)
        if its is None:
            if record.phase == "end":
                return
            its = self._open[key] = begun(record, holdings)
            self._by_account[its.symbol, its.account] = its
            self._place(its, holdings)
            if len(self._open) + len(self._waiting) > MOST_FOLLOWED:
                self._drop(record.ts_event, holdings)
        if record.account != its.account:
            return
        its.last_ns = max(its.last_ns, record.ts_event)
        if record.method is not None and record.method not in its.methods:
            its.methods.append(record.method)
        if record.phase == "end":
            its.ended_ns = record.ts_event
            if record.collateral_returned is not None:
                its.returned = record.collateral_returned
        elif record.phase != "start" and record.quantity_filled:
            mid = self.paths.mid(record.symbol, record.ts_event)
            add_slice(its, record, holdings.rule, mid)
        if record.insurance_delta is not None:
            before = 0.0 if math.isnan(its.insurance_delta) else its.insurance_delta
            its.insurance_delta = before + record.insurance_delta

    def _place(self, its: Followed, holdings: Holdings) -> None:
        """Find its size among the open positions, and since when it was below maintenance."""
        known = self._classes.get(its.symbol)
        if known is None or its.first_action_ns - known[0] > CLASSES_NS:
            known = (its.first_action_ns, *_positions(its.symbol, holdings))
            self._classes[its.symbol] = known
        _, bounds, coverage = known
        if bounds and not math.isnan(its.quantity):
            its.size_class = size_class(its.size, bounds)
            its.coverage_ratio = coverage.get(its.side, math.nan)
        if its.is_cross:
            return
        its.below_since_ns = self._below_since(its)
        if its.below_since_ns:
            served = self.served.setdefault(its.symbol, deque(maxlen=MOST_SERVED))
            while served and its.first_action_ns - served[0].first_action_ns > SERVED_NS:
                served.popleft()
            served.append(Served(its.below_since_ns, its.first_action_ns, its.side))

    def _below_since(self, its: Followed) -> int:
        """Return since when the mark price was beyond the trigger; 0 if unknown."""
        if math.isnan(its.trigger_price):
            return 0
        path = self.paths.path(its.symbol, its.first_action_ns - _WAIT_NS, its.first_action_ns)
        if path is None:
            return 0
        sign = 1.0 if its.quantity > 0.0 else -1.0
        with np.errstate(invalid="ignore"):
            safe = np.flatnonzero(sign * (path.mark - its.trigger_price) > 0.0)
        if not len(safe):
            return its.changed_ns if its.changed_ns >= path.times[0] * SECOND_NS else 0
        if safe[-1] + 1 == len(path.times):
            return its.first_action_ns
        return max(its.changed_ns, round(float(path.times[safe[-1] + 1]) * SECOND_NS))

    def _drop(self, ts_event: int, holdings: Holdings) -> None:
        """State the oldest liquidation with what is known of it, before all is."""
        if self._waiting:
            oldest = next(iter(self._waiting))
            self._state(self._waiting.pop(oldest), ts_event, holdings)
        else:
            key, its = next(iter(self._open.items()))
            self._forget(key)
            if its.parts:
                self._state(its, ts_event, holdings)

    def _forget(self, key: Key) -> None:
        its = self._open.pop(key)
        account = (its.symbol, its.account)
        if self._by_account.get(account) is its:
            del self._by_account[account]

    def _state(self, its: Followed, ts_event: int, holdings: Holdings) -> None:
        if its.symbol not in self._along:
            path = self.paths.path(its.symbol, 0, ts_event)
            own, clamp = holdings.of(its.symbol).mark_rule, self._clamps.get(its.symbol)
            self._along[its.symbol] = (
                None
                if path is None
                else along(path, EXPECTED_CLAMP if clamp is None else clamp, own)
            )
        record = liquidation_record(its, ts_event, self._along[its.symbol], holdings.rule)
        self.statements.append(
            Statement("liquidation_records", its.symbol, ts_event, its.liquidation_id, record)
        )


def size_class(size: float, bounds: tuple[float, ...]) -> SizeClass:
    """Return the quarter of a size; ``bounds`` are the three quartiles.

    >>> size_class(5.0, (1.0, 5.0, 9.0)), size_class(10.0, (1.0, 5.0, 9.0))
    ('second', 'largest')
    """
    return SIZE_CLASSES[sum(size > bound for bound in bounds)]


def _positions(symbol: str, holdings: Holdings) -> tuple[tuple[float, ...], dict[str, float]]:
    """Return the quartiles of the open positions of a symbol, and how much of each side is known.

    None of both without a position.
    """
    quantity = holdings.positions.quantity[holdings.positions.rows_of(symbol)]
    if not len(quantity):
        return (), {}
    lowest, middle, highest = np.quantile(np.abs(quantity), (0.25, 0.5, 0.75)).tolist()
    interest = holdings.of(symbol).open_interest
    if not interest > 0.0:
        return (lowest, middle, highest), {}
    longs, shorts = quantity[quantity > 0.0].sum(), -quantity[quantity < 0.0].sum()
    return (lowest, middle, highest), {
        "long": float(longs) / interest,
        "short": float(shorts) / interest,
    }


def _silent_ns(its: Followed) -> int:
    return SILENT_NS if its.initial_known else APART_NS


def _due_ns(its: Followed) -> int:
    """Return when all of a liquidation is known."""
    return its.first_slice_ns + _HORIZON_NS
