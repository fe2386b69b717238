"""What the venue liquidates in one symbol, from its own records or from the flags of its trades.

The records of liquidations say more than the flag of a trade: how many, what no trade shows (taken
over, deleveraged), and the mark price that decided. But not every venue publishes them. So they
count where they are there, the flags elsewhere, and never both for one second: from a symbol's
first record on its flags do not count, until it has had no record for `REPORTED_NS`.
"""

import math
from collections import deque
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from detectors.market_data.book_summary import BookSummary
from detectors.market_data.risk_events import Liquidation
from detectors.risk.ladder import Side
from detectors.risk_watch.flow_history import SPANS

REPORTED_NS = 1_800_000_000_000
"""A symbol without a record of a liquidation for so long is judged by the flags of its trades."""

MOST_IDS = 4_096
"""How many liquidations of a symbol are remembered; above it the oldest is forgotten."""

Source = Literal["liquidations", "trades"]

_COUNTERPARTY = "counterparty"


class Forced(Struct):
    """What was liquidated of each side: notional in the quote currency, and a count.

    Flags of trades do not say how many liquidations they belong to: they count 0.
    """

    longs: float = 0.0
    shorts: float = 0.0
    longs_count: int = 0
    shorts_count: int = 0

    def of(self, side: Side) -> tuple[float, int]:
        """Return the notional and the count of a side."""
        return (
            (self.longs, self.longs_count) if side == "long" else (self.shorts, self.shorts_count)
        )

    def add(self, side: Side, notional: float, count: int) -> None:
        """Add to a side."""
        if side == "long":
            self.longs += notional
            self.longs_count += count
        else:
            self.shorts += notional
            self.shorts_count += count

    def join(self, other: "Forced") -> None:
        """Add what another one has."""
        self.add("long", *other.of("long"))
        self.add("short", *other.of("short"))


class LiquidationFlow:
    """The liquidations of one symbol.

    Attributes
    ----------
    reported_ns
        The time of the last record of a liquidation; 0 without one.
    second
        What was liquidated in the second that is not closed yet, by the records.
    """

    __slots__ = (
        "_book", "_flagged_until", "_sides", "_span", "_spans", "reported_ns", "second",
    )  # fmt: skip

    def __init__(self) -> None:
        self.reported_ns = 0
        self.second = Forced()
        self._book = Forced()
        self._flagged_until = 0
        self._sides: dict[tuple[str, str], Side] = {}
        self._spans: deque[Forced] = deque(maxlen=SPANS)
        self._span = Forced()

    def source(self, ts_event: int) -> Source:
        """Return what counts at a time."""
        reported = self.reported_ns and ts_event - self.reported_ns <= REPORTED_NS
        return "liquidations" if reported else "trades"

    def put(self, its: Liquidation, position: float, *, inverse: bool) -> None:
        """Take a record.

        The amounts of one whose second is closed count now, unless flags have counted since.

        Parameters
        ----------
        its
            The record.
        position
            The known signed quantity of the account; 0 if none is known.
        inverse
            Whether quantities are face values.
        """
        self.reported_ns = max(self.reported_ns, its.ts_event)
        if its.reason == _COUNTERPARTY:
            return
        key = its.liquidation_id, its.account
        side = self._sides.get(key)
        begins = side is None
        side = side or _side_of(its, position)
        if side is None:
            return
        if begins:
            self._sides[key] = side
            if len(self._sides) > MOST_IDS:
                del self._sides[next(iter(self._sides))]
        price = its.price or its.mark_price or 0.0
        notional = (its.quantity_filled or 0.0) * (1.0 if inverse else price)
        if its.phase not in ("slice", "takeover") or its.ts_event < self._flagged_until:
            notional = 0.0
        self.second.add(side, notional, int(begins))
        if its.phase == "slice" and its.method in (None, "book"):
            self._book.add(side, notional, 0)

    def close_second(self, ts_event: int, summary: BookSummary | None) -> BookSummary | None:
        """Close a second; return its summary with the forced flow that counts.

        `second` then is what was liquidated in it. What the records say of a second without a
        summary counts with the next summary.
        """
        reported = self.source(ts_event) == "liquidations"
        if not reported:
            self._flagged_until = ts_event
        if summary is not None and not reported:
            self.second.add("long", summary.forced_sold, 0)
            self.second.add("short", summary.forced_bought, 0)
        elif summary is not None:
            book, self._book = self._book, Forced()
            summary = replace(summary, forced_sold=book.longs, forced_bought=book.shorts)
        self._span.join(self.second)
        return summary

    def next_second(self) -> Forced:
        """Begin the next second; return what was liquidated in the one that was closed."""
        closed, self.second = self.second, Forced()
        return closed

    def close_span(self) -> None:
        """Close a span of ten seconds."""
        self._spans.append(self._span)
        self._span = Forced()

    def recent(self, side: Side) -> tuple[float, int]:
        """Return what was liquidated of a side in the last quarter of an hour."""
        spans = [its.of(side) for its in (*self._spans, self._span)]
        return math.fsum(notional for notional, _ in spans), sum(count for _, count in spans)


def _side_of(its: Liquidation, position: float) -> Side | None:
    """Return the side of the position that is liquidated; None if nothing says it.

    Equity is q (P - bankruptcy price), also of an inverse contract but for its size.
    """
    if its.side is not None:
        return "long" if its.side == "sell" else "short"
    if its.equity_before and its.mark_price is not None and its.bankruptcy_price is not None:
        sign = its.equity_before * (its.mark_price - its.bankruptcy_price)
        if sign:
            return "long" if sign > 0.0 else "short"
    if position:
        return "long" if position > 0.0 else "short"
    return None
