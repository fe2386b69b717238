"""What one symbol's venue lets through: in halts, after trips, of reductions, and of stops."""

import math
from array import array
from collections import OrderedDict

from detectors.audit.beside import Trips
from detectors.audit.order_book import Sent
from detectors.audit.outcome import Case, Tally
from detectors.market_data.events import Order, Trade
from detectors.market_data.risk_events import Ack

MAX_STOPS = 10_000
"""Stops that are followed at a time; the oldest gives way."""

_SECOND = 1_000_000_000


class _Stop:
    """A stop that was triggered, with its fills."""

    __slots__ = ("account", "filled", "paid", "pieces", "selling", "trigger", "ts_event")

    def __init__(self, ack: Ack, trigger: float, account: str) -> None:
        self.ts_event = ack.accepted_at or ack.ts_event
        self.trigger = trigger
        self.account = account
        self.selling = False
        self.filled = self.paid = 0.0
        self.pieces = 0


class Gate:
    """Follows the orders and their acknowledgements of one symbol.

    Attributes
    ----------
    accepted
        Orders in a halt, or later after a trip than a reaction takes; each is a breach, for the
        stream of orders has what was accepted. Reduce-only orders do not count.
    cancels
        Requests to cancel in a halt or after a trip; a breach is refused.
    reductions
        Requests that reduce a position; a breach is refused for want of margin.
    stop_ns, stop_bps, stop_pieces
        Of each filled stop: when it was triggered, how much worse than its trigger price it was
        filled, and in how many trades.
    stop_cases
        The same stops as cases, the worst kept.
    """

    __slots__ = (
        "_children", "_reaction_ns", "_stops", "_symbol", "_trips", "accepted", "cancels",
        "reductions", "stop_bps", "stop_cases", "stop_ns", "stop_pieces",
    )  # fmt: skip

    def __init__(self, symbol: str, trips: Trips, reaction_seconds: float) -> None:
        self._symbol = symbol
        self._trips = trips
        self._reaction_ns = round(reaction_seconds * _SECOND)
        self._stops: OrderedDict[str, _Stop] = OrderedDict()
        self._children: OrderedDict[str, str] = OrderedDict()
        self.accepted = Tally()
        self.cancels = Tally()
        self.reductions = Tally()
        self.stop_ns = array("q")
        self.stop_bps = array("d")
        self.stop_pieces = array("q")
        self.stop_cases = Tally()

    def closed_since(self, ts_event: int, state: str) -> tuple[str, int] | None:
        """Return why nothing may be accepted at a time and since when; None if it may."""
        if state == "halted":
            return "in a halt", ts_event
        since = self._trips.since(ts_event) if self._trips else None
        if since is not None and ts_event - since > self._reaction_ns:
            return "after a trip", since
        return None

    def on_order(self, order: Order, state: str) -> None:
        """Take an order that was accepted."""
        if order.reduce_only or (state != "halted" and not self._trips):
            return
        closed = self.closed_since(order.ts_event, state)
        if closed is None:
            return
        why, since = closed
        after = f" {(order.ts_event - since) / 1e9:.1f} s" if since != order.ts_event else ""
        story = f"order {order.order_id} of {order.quantity:g} was accepted{after} {why}"
        money = order.quantity * (order.price or 0.0)
        size = money or order.quantity
        self.accepted.breach(
            Case(order.ts_event, self._symbol, order.account or "", size, money, story)
        )

    def on_cancel(self, ts_event: int, state: str) -> None:
        """Take a cancel that was carried out."""
        if (state == "halted" or self._trips) and self.closed_since(ts_event, state) is not None:
            self.cancels.held()

    def on_ack(self, ack: Ack, sent: Sent | None, quantity: float, state: str) -> None:
        """Take an answer; ``quantity`` is the account's signed position, NaN if unknown."""
        account = ack.account or (sent.account if sent is not None else None) or ""
        if ack.request == "cancel":
            self._on_cancel_answer(ack, account, state)
            return
        if ack.parent_id is not None:
            self._children[ack.order_id] = ack.parent_id
            if len(self._children) > MAX_STOPS:
                self._children.popitem(last=False)
        if ack.trigger_price is not None and ack.rejected_at is None:
            known = self._stops.get(ack.order_id)
            if known is None:
                self._stops[ack.order_id] = _Stop(ack, ack.trigger_price, account)
                if len(self._stops) > MAX_STOPS:
                    self._finish(self._stops.popitem(last=False)[1])
            else:
                known.ts_event = ack.accepted_at or known.ts_event
        if _reduces(ack, sent, quantity):
            self._on_reduction(ack, account, quantity)

    def on_trade(self, trade: Trade) -> None:
        """Book a fill of a stop."""
        if not self._stops or trade.taker_order_id is None:
            return
        stop = self._stops.get(trade.taker_order_id)
        if stop is None:
            stop = self._stops.get(self._children.get(trade.taker_order_id, ""))
        if stop is not None:
            stop.selling = trade.side == "sell"
            stop.filled += trade.quantity
            stop.paid += trade.quantity * trade.price
            stop.pieces += 1

    def close(self) -> None:
        """Finish the stops after the last event."""
        for stop in self._stops.values():
            self._finish(stop)
        self._stops.clear()

    def _finish(self, stop: _Stop) -> None:
        if not stop.filled:
            return
        price = stop.paid / stop.filled
        worse = stop.trigger - price if stop.selling else price - stop.trigger
        bps = worse / stop.trigger * 1e4
        self.stop_ns.append(stop.ts_event)
        self.stop_bps.append(bps)
        self.stop_pieces.append(stop.pieces)
        story = (
            f"stop at {stop.trigger:g} filled at {price:g}, {bps:.1f} bps worse, in "
            f"{stop.pieces} trades"
        )
        money = max(0.0, worse * stop.filled)
        self.stop_cases.breach(Case(stop.ts_event, self._symbol, stop.account, bps, money, story))

    def _on_cancel_answer(self, ack: Ack, account: str, state: str) -> None:
        closed = self.closed_since(ack.ts_event, state)
        if closed is None or ack.rejected_at is None:
            return
        if ack.reason == "unknown_order":  # the order was filled before: nothing to cancel
            return
        story = f"the cancel of order {ack.order_id} was refused {closed[0]}: {ack.reason}"
        self.cancels.breach(Case(ack.ts_event, self._symbol, account, 1.0, 0.0, story))

    def _on_reduction(self, ack: Ack, account: str, quantity: float) -> None:
        if ack.rejected_at is None or ack.reason != "margin":
            self.reductions.held()
            return
        story = (
            f"order {ack.order_id}, which reduces a position of {quantity:g}, was refused for want "
            "of margin"
        )
        size = abs(quantity) if math.isfinite(quantity) else 0.0
        self.reductions.breach(Case(ack.ts_event, self._symbol, account, size, 0.0, story))


def _reduces(ack: Ack, sent: Sent | None, quantity: float) -> bool:
    """Return whether a request surely reduces a position."""
    if sent is not None:
        is_buy, size, only = sent.is_buy, sent.quantity, sent.reduce_only
    elif ack.side is not None:
        size = ack.quantity if ack.quantity is not None else math.inf
        is_buy, only = ack.side == "buy", bool(ack.reduce_only)
    else:
        return bool(ack.reduce_only)
    opposite = quantity < 0.0 if is_buy else quantity > 0.0
    return opposite and (only or size <= abs(quantity) * (1 + 1e-9))
