"""What the venue publishes of one symbol: events with the symbol's sequence numbers."""

from math import isinf

from detectors.market_data.events import (
    Cancel,
    Event,
    IndexSource,
    Margin,
    Order,
    Position,
    Reference,
    Side,
    Status,
    Trade,
)
from detectors.market_data.risk_events import AuditEvent, FeeSchedule, RiskEvent
from service.exchange.controls import State
from service.exchange.rules import KEPT, PublicationRules
from service.exchange.venue.contracts import Contract
from service.exchange.venue.ledger import Holding
from service.exchange.venue.margins import MarginSchedule
from service.exchange.venue.matching import BUY, SELL, Fill, RestingOrder

BACKDATED_NS = 1_000_000
"""By how much the time of a cancel is too early at a venue whose clock goes back."""

MESSAGE_GAP_NS = 1_000
"""Time between two messages of the venue. An order and its trades share one time."""

_SIDE: dict[int, Side] = {BUY: "buy", SELL: "sell"}


class Clock:
    """The venue's time, and the published events that are not yielded yet.

    Parameters
    ----------
    now
        The time in nanoseconds since the epoch.
    with_risk
        Whether accounts, liquidations and insurance are published as well.
    """

    __slots__ = ("now", "published", "risk_sequence", "with_risk")

    def __init__(self, now: int, *, with_risk: bool = False) -> None:
        self.now = now
        self.published: list[Event | RiskEvent | AuditEvent] = []
        self.with_risk = with_risk
        self.risk_sequence = 0

    def next_risk_sequence(self) -> int:
        """The next number of the events of accounts, liquidations and insurance together."""
        self.risk_sequence += 1
        return self.risk_sequence


class Publication:
    """The published events of one symbol.

    Attributes
    ----------
    contract, clock
        The contract, and the venue's time.
    sequence
        The number of events so far; the last sequence number.
    last_order_id
        The id of the last order.
    funding_index
        The funding that a unit has paid since the listing; None: it is not published. Funding is
        settled every eight hours, which is longer than most simulations.
    """

    def __init__(
        self, contract: Contract, clock: Clock, rules: PublicationRules = KEPT.publication
    ) -> None:
        self.sequence = 0
        self.last_order_id = ""
        self.funding_index: float | None = None
        self._rules = rules
        self._hidden = rules.hidden_orders
        self._resets = rules.funding_resets
        self._repeats = rules.repeated_trades
        self._price_scale = rules.liquidation_price_scale
        self._backdated = rules.backdated_cancels
        self._orders = self._trades = self._positions = self._cancels = 0
        self._flagged_ns = 0
        self.contract = contract
        self._symbol = contract.symbol
        self.clock = clock

    def order(
        self, holding: Holding, side: int, lots: int, ticks: int | None, reduce_only: bool | None
    ) -> str:
        """Publish an order, without ``ticks`` a market order; return its id."""
        self.clock.now += MESSAGE_GAP_NS
        if self._hidden:  # kept apart: orders are many
            self._orders += 1
            if self._orders % self._hidden == 0:
                self.last_order_id = f"hidden-{self._orders}"
                return self.last_order_id
        self.sequence += 1
        order_id = self.last_order_id = str(self.sequence)
        self.clock.published.append(
            Order(
                ts_event=self.clock.now,
                sequence=self.sequence,
                symbol=self._symbol,
                order_id=order_id,
                account=holding.account,
                side=_SIDE[side],
                price=None if ticks is None else ticks / self.contract.ticks_per_unit,
                quantity=lots / self.contract.lots_per_unit,
                leverage=holding.leverage,
                type="market" if ticks is None else None,
                reduce_only=reduce_only,
            )
        )
        return order_id

    def cancel(self, order: RestingOrder) -> None:
        """Publish the cancel of the rest of an order."""
        self.clock.now += MESSAGE_GAP_NS
        self.sequence += 1
        at = self.clock.now
        if self._backdated:
            self._cancels += 1
            at -= BACKDATED_NS if self._cancels % self._backdated == 0 else 0
        self.clock.published.append(
            Cancel(
                ts_event=at,
                sequence=self.sequence,
                symbol=self._symbol,
                order_id=order.order_id,
                account=order.holding.account,
            )
        )

    def trade(
        self, taker: Holding, order_id: str, side: int, fill: Fill, *, liquidation: bool
    ) -> None:
        """Publish an execution; ``order_id`` and ``side`` are the taker's."""
        self.sequence += 1
        trade = Trade(
            ts_event=self.clock.now,
            sequence=self.sequence,
            symbol=self._symbol,
            trade_id=str(self.sequence),
            price=fill.ticks / self.contract.ticks_per_unit,
            quantity=fill.lots / self.contract.lots_per_unit,
            side=_SIDE[side],
            maker_order_id=fill.maker.order_id,
            taker_order_id=order_id,
            maker_account=fill.maker.holding.account,
            taker_account=taker.account,
            liquidation=True if liquidation and self._may_flag() else None,
        )
        self.clock.published.append(trade)
        if self._repeats:
            self._trades += 1
            if self._trades % self._repeats == 0:
                self.clock.published.append(trade)

    def _may_flag(self) -> bool:
        """Whether a trade may be marked as a liquidation now."""
        if isinf(self._rules.flags_per_second):
            return True
        is_due = self.clock.now - self._flagged_ns >= 1e9 / self._rules.flags_per_second
        if is_due:
            self._flagged_ns = self.clock.now
        return is_due

    def position(self, holding: Holding, mark: float, liquidation_price: float) -> None:
        """Publish an account's position after a change."""
        self.sequence += 1
        index = self.funding_index
        if self._resets:
            self._positions += 1
            index = 0.0 if self._positions % self._resets == 0 else index
        liquidation_price *= self._price_scale
        self.clock.published.append(
            Position(
                ts_event=self.clock.now,
                sequence=self.sequence,
                symbol=self._symbol,
                account=holding.account,
                quantity=holding.lots / self.contract.lots_per_unit,
                entry_price=round(holding.entry, 8) if holding.lots else mark,
                leverage=holding.leverage,
                margin=None if holding.pool is not None else round(holding.margin, 4),
                margin_mode="isolated" if holding.pool is None else "cross",
                liquidation_price=round(liquidation_price, 8),
                funding_index=index,
            )
        )

    def margin(
        self,
        schedule: MarginSchedule,
        mark_window_seconds: float,
        mark_clamp: float,
        *,
        effective_at: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Publish margin parameters; a change is announced now and takes effect later."""
        most = min(self.contract.max_leverage, round(1 / schedule.initial_rate, 6))
        scale = self._rules.max_leverage_scale
        self.sequence += 1
        self.clock.published.append(
            Margin(
                ts_event=self.clock.now,
                sequence=self.sequence,
                symbol=self._symbol,
                initial_margin_rate=schedule.initial_rate,
                maintenance_margin_rate=schedule.maintenance_rate,
                max_leverage=most if scale == 1.0 else most * scale,
                mark_window_ns=int(mark_window_seconds * 1e9),
                announced_at=None if effective_at is None else self.clock.now,
                effective_at=effective_at,
                tiers=schedule.published(),
                reason=reason,
                mark_method="ema_premium",
                mark_clamp=mark_clamp,
            )
        )

    def fees(self, maker: float, taker: float, liquidation: float) -> None:
        """Publish the schedule of fees, as ratios to notional."""
        if self.clock.with_risk:
            self.clock.published.append(
                FeeSchedule(
                    ts_event=self.clock.now,
                    sequence=self.sequence,
                    symbol=self._symbol,
                    maker_rate=maker,
                    taker_rate=taker,
                    liquidation_rate=liquidation,
                )
            )

    def reference(
        self,
        mark: float,
        index: float,
        funding_rate: float,
        open_lots: int,
        sources: tuple[IndexSource, ...] | None = None,
    ) -> None:
        """Publish index and its sources, mark, funding rate and open interest."""
        self.clock.now += MESSAGE_GAP_NS
        self.sequence += 1
        self.clock.published.append(
            Reference(
                ts_event=self.clock.now,
                sequence=self.sequence,
                symbol=self._symbol,
                mark_price=float(f"{mark:.8g}"),
                index_price=float(f"{index:.8g}"),
                funding_rate=round(funding_rate, 8),
                open_interest=open_lots
                / self.contract.lots_per_unit
                * self._rules.open_interest_scale,
                index_sources=sources,
            )
        )

    def status(self, state: State) -> None:
        """Publish a trading state."""
        self.clock.now += MESSAGE_GAP_NS
        self.sequence += 1
        self.clock.published.append(
            Status(
                ts_event=self.clock.now,
                sequence=self.sequence,
                symbol=self._symbol,
                state=state,
            )
        )
