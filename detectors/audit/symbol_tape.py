"""One symbol's record as it is read: what the checks need of it, in bounded memory."""

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable

from detectors.audit.beside import Trips
from detectors.audit.claims import Claims
from detectors.audit.conservation import Conservation
from detectors.audit.gate import Gate
from detectors.audit.holdings import Holdings, known_margin
from detectors.audit.index_sources import SourceShifts
from detectors.audit.minutes import Minutes
from detectors.audit.numbering import Numbering
from detectors.audit.order_book import Arrival, OrderBook, Sent, mean_price
from detectors.audit.outcome import Case, Tally
from detectors.audit.parameters import Schedule
from detectors.audit.position_fields import PositionFields
from detectors.audit.records import Records
from detectors.audit.references import References
from detectors.audit.requirements import Requirements
from detectors.audit.waiting import Waiting
from detectors.fairness.episodes import Slice
from detectors.kill_switch.switch import KillSwitch
from detectors.market_data.events import Cancel, Margin, Order, Position, Reference, Status, Trade
from detectors.market_data.risk_events import Ack, Liquidation

HALTED = ("halted", "closed", "expired")
RECENT_TRADES = 4_096
"""Trade ids that are remembered, to find those that come twice."""

MAX_TAKES = 20_000
"""Trades of ordinary takers that are kept to compare prices with; every so many-th later on."""


class Symbol:
    """What the record says of one symbol.

    Attributes
    ----------
    book, holdings, waiting, conservation, schedule, references, numbering
        See their classes.
    fields, minutes, requirements, gate, sources
        See their classes.
    slices
        Every order with which a position was closed by the venue.
    client_reduce_only
        Fills of reduce-only orders of clients; a breach enlarges or flips a position.
    surcharges
        Of ordinary market orders: how much worse than the visible book they traded, in bps.
    states
        Time and state of each status.
    crossed
        References; a breach is one at which the book was crossed while trading continuously.
    repeated_trades
        Trades; a breach is a trade id that came before.
    records
        The venue's own records of liquidations.
    """

    def __init__(self, symbol: str, claims: Claims, switches: Iterable[KillSwitch] = ()) -> None:
        self.symbol = symbol
        self.claims = claims
        max_open = claims.liquidation.max_open_seconds
        self.book = OrderBook(symbol)
        self.holdings = Holdings(symbol)
        self.waiting = Waiting(symbol, math.inf if max_open is None else max_open)
        self.conservation = Conservation(symbol)
        self.schedule = Schedule(symbol, claims.margin.tiers)
        self.references = References()
        self.numbering = Numbering(symbol)
        self.minutes = Minutes()
        self.requirements = Requirements(symbol, self.schedule)
        self.gate = Gate(symbol, Trips(symbol, switches), claims.access.reaction_seconds)
        self.sources = SourceShifts(symbol, claims.mark.source_shift_bps)
        self.slices: list[Slice] = []
        self.client_reduce_only = Tally()
        self.surcharges: deque[float] = deque(maxlen=MAX_TAKES)
        self.states: list[tuple[int, str, int]] = []
        self.crossed = Tally()
        self.repeated_trades = Tally()
        self.records = Records(claims)
        self.fields = PositionFields(symbol)
        self.last_price = math.nan
        self._open_slices: dict[str, tuple[Slice, list[tuple[float, float]]]] = {}
        self._trade_ids: OrderedDict[str, None] = OrderedDict()
        self.least_quantity = math.inf
        self.trades_by_minute: Counter[int] = Counter()
        self._arrival = Arrival("", selling=False)
        self._mid_ns = 0
        self._mid_area = 0.0
        self._mid_seconds = 0.0
        self._mid_low, self._mid_high = math.inf, -math.inf

    def on_order(self, order: Order) -> None:
        """Enter an order; note what the book offers it if it is to trade at once."""
        self._pass_time(order.ts_event)
        selling = order.side == "sell"
        self._judge_arrival()
        is_market = order.price is None or order.type == "market"
        if is_market:
            self._arrival = Arrival(order.order_id, selling=selling)
            self._arrival.mid = self.book.mid
            self._arrival.offered = self.book.offered(
                order.quantity, order.account, selling=selling
            )
        self.book.on_order(order)
        self.gate.on_order(order, self.state(order.ts_event) if self.states else "open")
        if is_market and order.reduce_only and order.account is not None:
            held = self.holdings.held.get(order.account)
            if held is not None and (held.quantity > 0.0) == selling:
                self.records.on_attempt(order.account, order.ts_event)
                self.waiting.acted(order.account, order.ts_event, held.quantity)

    def on_cancel(self, cancel: Cancel) -> None:
        """Withdraw an order."""
        self._pass_time(cancel.ts_event)
        self.book.on_cancel(cancel)
        self.gate.on_cancel(cancel.ts_event, self.state(cancel.ts_event) if self.states else "open")

    def on_trade(self, trade: Trade) -> None:
        """Book a trade."""
        self._pass_time(trade.ts_event)
        self._count_repeats(trade)
        self.trades_by_minute[trade.ts_event // 60_000_000_000] += 1
        sent = self.book.sent(trade.taker_order_id)
        if trade.liquidation and trade.taker_account is not None:
            self._on_slice(trade, sent)
            self.minutes.on_slice()
            self.requirements.on_forced(trade.taker_account, trade.ts_event)
        elif trade.taker_order_id == self._arrival.order_id:
            self._arrival.paid += trade.price * trade.quantity
            self._arrival.filled += trade.quantity
            self._arrival.trades += 1
            self.requirements.on_taker(trade.taker_account or "", trade.ts_event)
        self.gate.on_trade(trade)
        sign = 1.0 if trade.side == "buy" else -1.0
        if sent is not None and sent.reduce_only and not trade.liquidation:
            self._check_reduce_only(trade, sign)
        self.book.on_trade(trade, is_auction=self.state(trade.ts_event) == "auction")
        if trade.taker_account is not None:
            self.holdings.on_fill(trade.taker_account, sign * trade.quantity, trade.price)
            self.requirements.on_fill(trade.taker_account, trade.quantity, trade.price)
        if trade.maker_account is not None:
            self.holdings.on_fill(trade.maker_account, -sign * trade.quantity, trade.price)
            self.requirements.on_fill(trade.maker_account, trade.quantity, trade.price)
        self.last_price = trade.price
        self.least_quantity = min(self.least_quantity, trade.quantity)

    def on_position(self, position: Position) -> None:
        """Take over a position record."""
        self._pass_time(position.ts_event)
        mark = self.references.mark[-1] if len(self.references) else math.nan
        self.requirements.on_position(
            position, self.holdings.held.get(position.account), [mark, self.book.mid]
        )
        self.holdings.on_position(position)
        self.fields.on_position(
            position, self.holdings.held.get(position.account), self.schedule.in_force
        )
        if position.margin is None or position.margin_mode in ("cross", "portfolio"):
            return
        published = position.liquidation_price
        self.waiting.put(
            position.account,
            position.quantity,
            position.entry_price,
            position.margin,
            math.nan if published is None else published,
            position.ts_event,
        )

    def on_margin(self, margin: Margin) -> None:
        """Take over margin parameters."""
        self.schedule.on_margin(margin)
        self._advance(margin.ts_event)

    def on_reference(self, reference: Reference) -> None:
        """Take over prices, and check what can be checked once a reference."""
        self._pass_time(reference.ts_event)
        self._judge_arrival()
        its = self.references
        its.ts_event.append(reference.ts_event)
        its.stale.append(bool(reference.stale))
        self.sources.on_reference(reference)
        if self.book.spread_bps is not None and not self.book.crossed:
            self.minutes.on_spread(self.book.spread_bps)
        for column, value in (
            (its.mark, reference.mark_price),
            (its.index, reference.index_price),
            (its.open_interest, reference.open_interest),
            (its.funding, reference.funding_rate),
        ):
            # A reference may carry a part of the prices: the others stay.
            column.append(value if value is not None else column[-1] if column else math.nan)
        its.mid.append(self.book.mid)
        its.last.append(reference.last_price or self.last_price)
        mean = self._mid_area / self._mid_seconds if self._mid_seconds else self.book.mid
        its.mid_mean.append(mean)
        its.mid_low.append(min(self._mid_low, self.book.mid))
        its.mid_high.append(max(self._mid_high, self.book.mid))
        self._mid_area = self._mid_seconds = 0.0
        self._mid_low, self._mid_high = self.book.mid, self.book.mid
        mark = its.mark[-1]
        is_open = self.state(reference.ts_event) == "open"
        if math.isfinite(mark):
            self.waiting.on_reference(
                reference.ts_event, mark, self.schedule.contract, is_open=is_open
            )
        known = not self.records.taken_over or self.claims.insurance.account is not None
        self.conservation.on_reference(reference, self.holdings, mark, all_known=known)
        if is_open and self.book.two_sided:
            if self.book.crossed:
                story = "the best bid is at or above the best ask"
                self.crossed.breach(Case(reference.ts_event, self.symbol, "", 1.0, 0.0, story))
            else:
                self.crossed.held()

    def on_status(self, status: Status) -> None:
        """Take over a trading state."""
        if status.state == "book_cleared":
            self.book.clear(status.ts_event)
            return
        if status.state != self.state(status.ts_event):
            self.waiting.interrupt()
        self.states.append((status.ts_event, status.state, status.until or 2**63 - 1))

    def on_liquidation(self, record: Liquidation) -> None:
        """Take over the venue's record of a step; `close` joins slices of the book with trades."""
        self._pass_time(record.ts_event)
        if record.quantity_filled:
            self.requirements.on_forced(record.account, record.ts_event)
        if not self.records.is_victim(record):
            self.records.on_counterparty(record, self.holdings)
            return
        held = self.holdings.held.get(record.account)
        quantity = math.nan if held is None else held.quantity
        if record.phase != "end":
            self.waiting.acted(record.account, record.ts_event, quantity)
        if record.phase in ("start", "end"):
            self.waiting.serve(record.account, is_open=record.phase == "start")
        part = self.records.on_step(record, self.holdings, self.schedule.contract)
        if part is not None:
            self._place(part)
            self.slices.append(part)

    def on_ack(self, ack: Ack, account: str) -> None:
        """Take over the venue's answer to an account."""
        self._pass_time(ack.ts_event)
        held = self.holdings.held.get(account)
        self.gate.on_ack(
            ack, self.book.sent(ack.order_id), math.nan if held is None else held.quantity,
            self.state(ack.ts_event),
        )  # fmt: skip
        answered = ack.accepted_at or ack.rejected_at
        is_order = ack.request != "cancel" and ack.trigger_price is None
        if is_order and answered is not None and ack.received_at is not None:
            self.minutes.on_answer(answered - ack.received_at)

    def state(self, ts_event: int) -> str:
        """Return the trading state at a time, of the statuses so far."""
        if not self.states:
            return "open"
        _, state, until = self.states[-1]
        return state if ts_event < until else "open"

    def close(self) -> None:
        """Finish after the last event."""
        self._judge_arrival()
        self.holdings.settle(2**63)
        self.records.settle(2**63)
        self.records.join(self.slices)
        self.slices.sort(key=lambda part: part.ts_event)
        self.numbering.close()
        self.minutes.close()
        self.requirements.close(self.references)
        self.gate.close()

    def _pass_time(self, ts_event: int) -> None:
        """Settle what belongs to earlier times, and add the mid price since then to its mean."""
        self.minutes.pass_time(ts_event)
        self.holdings.settle(ts_event)
        self.records.settle(ts_event)
        self._advance(ts_event)
        mid = self.book.mid
        for value in (mid, self.book.crossed_mid):
            if math.isfinite(value):
                self._mid_low = min(self._mid_low, value)
                self._mid_high = max(self._mid_high, value)
        if self._mid_ns and ts_event > self._mid_ns and math.isfinite(mid):
            seconds = (ts_event - self._mid_ns) / 1e9
            self._mid_area += mid * seconds
            self._mid_seconds += seconds
        self._mid_ns = max(self._mid_ns, ts_event)

    def _advance(self, now_ns: int) -> None:
        if not self.schedule.is_due(now_ns):
            return
        self.waiting.flush(self.schedule.contract)  # by the margins of their time
        if self.schedule.advance(now_ns) and self.schedule.contract is not None:
            self.waiting.reprice(self.schedule.contract)

    def _judge_arrival(self) -> None:
        """Compare the prices of the last orders with what the book offered."""
        its = self._arrival
        if its.filled:
            offered = mean_price(its.offered, its.filled)
            price = its.paid / its.filled
            worse = offered - price if its.selling else price - offered
            if math.isfinite(worse):
                self.surcharges.append(worse / offered * 1e4)
            cost = its.mid - price if its.selling else price - its.mid
            if math.isfinite(cost):
                self.minutes.on_taker(cost / its.mid * 1e4, its.paid, its.trades)
        self._arrival = Arrival("", selling=False)
        for part, levels in self._open_slices.values():
            part.book_price = mean_price(levels, part.filled)
        self._open_slices.clear()

    def _on_slice(self, trade: Trade, sent: Sent | None) -> None:
        account = trade.taker_account
        assert account is not None
        order_id = trade.taker_order_id or f"{account}@{trade.ts_event}"
        if order_id in self._open_slices:
            part = self._open_slices[order_id][0]
            worse = min if part.selling else max
            part.worst_price = worse(part.worst_price, trade.price)
        else:
            part = self._first_fill(trade, account, order_id, sent)
        part.filled += trade.quantity
        part.paid += trade.quantity * trade.price

    def _first_fill(self, trade: Trade, account: str, order_id: str, sent: Sent | None) -> Slice:
        part = Slice(
            trade.ts_event, self.symbol, account, order_id, selling=trade.side == "sell",
            worst_price=trade.price,
        )  # fmt: skip
        self.slices.append(part)
        levels = self._arrival.offered
        if order_id != self._arrival.order_id:
            wanted = sent.quantity if sent is not None else trade.quantity
            levels = self.book.offered(wanted, account, selling=part.selling)
        self._open_slices[order_id] = (part, levels)
        part.depth = self.book.depth(account, selling=part.selling)
        held = self.holdings.held.get(account)
        if held is not None and held.is_published:
            part.quantity, part.entry_price = held.quantity, held.entry_price
            part.margin = known_margin(held)
        if sent is not None:
            part.requested = sent.quantity
        contract = self.schedule.contract
        part.tiers = contract.tiers if contract is not None else None
        passed = self.waiting.passed_over(account, trade.ts_event, contract)
        part.passed_over = tuple(passed)
        self.waiting.acted(account, trade.ts_event, part.quantity)
        self._place(part)
        return part

    def _place(self, part: Slice) -> None:
        """Note what surrounds a slice."""
        part.mid, part.last_price = self.book.mid, self.last_price
        part.resting_orders = self.book.resting_of(part.account)
        since, part.waited_seconds, part.served_sizes = self.waiting.served(part.account)
        part.served_since_ns = since

    def _check_reduce_only(self, trade: Trade, sign: float) -> None:
        held = self.holdings.held.get(trade.taker_account or "")
        if held is None or not held.is_published:
            return
        left = held.quantity + sign * trade.quantity
        reduces = held.quantity * sign < 0.0 and left * held.quantity >= -1e-9 * trade.quantity
        if reduces or abs(left) <= 1e-9 * trade.quantity:
            self.client_reduce_only.held()
            return
        story = f"a reduce-only order took a position of {held.quantity:g} to {left:g}"
        money = trade.quantity * trade.price
        self.client_reduce_only.breach(
            Case(trade.ts_event, self.symbol, trade.taker_account or "", money, money, story)
        )

    def _count_repeats(self, trade: Trade) -> None:
        if trade.trade_id in self._trade_ids:
            story = f"trade {trade.trade_id} came again"
            self.repeated_trades.breach(Case(trade.ts_event, self.symbol, "", 1.0, 0.0, story))
            return
        self.repeated_trades.held()
        self._trade_ids[trade.trade_id] = None
        if len(self._trade_ids) > RECENT_TRADES:
            self._trade_ids.popitem(last=False)
