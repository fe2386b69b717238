"""A liquidation that is going on, put together from the venue's records of its steps."""

import math

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from detectors.conduct.liquidation_record import SizeClass
from detectors.fairness.episodes import Slice, needed
from detectors.market_data.risk_events import Liquidation
from detectors.risk.contract import Contract, profit, settlement_price
from detectors.risk.ladder import Side
from detectors.risk.liquidation import liquidation_prices
from detectors.risk.reduction import Reduction
from detectors.risk.tiers import maintenance, marginal_rates
from detectors.risk_watch.holdings import Holdings

MOST_SLICES = 2_000
"""Slices of one liquidation that are kept; later ones count in its last one."""


class Part(Struct):
    """A slice with what it needed: ``needed`` by arithmetic, ``due`` by the declared rule.

    Both are unsigned quantities; NaN if unknown.
    """

    its: Slice
    needed: float
    due: float


class Followed(Struct):
    """A liquidation of one position.

    Attributes
    ----------
    quantity
        The signed position before; NaN if unknown.
    current, current_ns
        The unsigned position as it was published last, and when; NaN without a record since the
        start.
    has_grown
        Whether the account added to it meanwhile: its orders may trade while it is liquidated.
    entry_price, margin
        Of the position before; the margin is NaN for a cross position.
    is_cross
        Whether the account's collateral backs it.
    contract
        Tiers and kind of the contract at the start; None if unknown.
    mark_price, index_price, equity, maintenance
        Of the decision to liquidate; NaN if unknown. Equity and maintenance are the account's with
        cross margin.
    trigger_price
        See `trigger_of`.
    changed_ns
        When the position last changed before it; 0 if unknown. It cannot have waited longer.
    below_since_ns
        Since when the mark price was beyond it; 0 if unknown.
    first_action_ns
        Time of the first record.
    initial_known
        Whether its first record is that of its start.
    ended_ns
        Time of the venue's record of the end; 0 without one.
    returned, insurance_delta
        As the records say; NaN if they do not.
    """

    symbol: str
    account: str
    liquidation_id: str
    first_action_ns: int
    last_ns: int
    quantity: float = math.nan
    current: float = math.nan
    current_ns: int = 0
    has_grown: bool = False
    entry_price: float = math.nan
    margin: float = math.nan
    is_cross: bool = False
    contract: Contract | None = None
    initial_known: bool = False
    mark_price: float = math.nan
    index_price: float = math.nan
    equity: float = math.nan
    maintenance: float = math.nan
    trigger_price: float = math.nan
    changed_ns: int = 0
    below_since_ns: int = 0
    ended_ns: int = 0
    returned: float = math.nan
    insurance_delta: float = math.nan
    size_class: SizeClass | None = None
    coverage_ratio: float = math.nan
    venue_rule_version: str | None = None
    methods: list[str] = []
    parts: list[Part] = []

    @property
    def side(self) -> Side:
        """Which side is closed."""
        return "long" if self.quantity > 0.0 else "short"

    @property
    def first_slice_ns(self) -> int:
        """Time of the first slice; 0 before it."""
        return self.parts[0].its.ts_event if self.parts else 0

    @property
    def size(self) -> float:
        """The unsigned position before."""
        return abs(self.quantity)

    @property
    def taken(self) -> float:
        """The quantity that was closed."""
        return math.fsum(part.its.filled for part in self.parts)

    @property
    def notional(self) -> float:
        """The position before, in the quote currency; NaN if unknown."""
        is_inverse = self.contract is not None and self.contract.inverse
        return self.size if is_inverse else self.size * self.mark_price

    @property
    def closed_notional(self) -> float:
        """What was closed, in the quote currency."""
        is_inverse = self.contract is not None and self.contract.inverse
        return self.taken if is_inverse else math.fsum(part.its.paid for part in self.parts)

    @property
    def beyond_rule(self) -> float:
        """The share of the position that was taken beyond the declared rule; NaN if unknown."""
        return self._beyond([part.due for part in self.parts])

    @property
    def excess(self) -> float:
        """The share that was taken beyond what each slice needed; NaN if unknown."""
        return self._beyond([part.needed for part in self.parts])

    def _beyond(self, limits: list[float]) -> float:
        over = math.fsum(
            max(0.0, part.its.filled - limit)
            for part, limit in zip(self.parts, limits, strict=True)
        )
        return min(1.0, over / self.size) if self.size else math.nan


def begun(record: Liquidation, holdings: Holdings) -> Followed:
    """Return a liquidation at its first record, with the position as it is known then."""
    terms = holdings.of(record.symbol)
    its = Followed(
        record.symbol, record.account, record.liquidation_id, record.ts_event, record.ts_event,
        mark_price=record.mark_price or terms.mark,
        index_price=record.index_price or terms.index,
    )  # fmt: skip
    if terms.tiers is not None:
        its.contract = Contract(terms.tiers, bool(terms.inverse))
    row = holdings.row(record.account, record.symbol)
    if row is not None:
        positions = holdings.positions
        its.quantity = float(positions.quantity[row])
        its.entry_price = float(positions.entry_price[row])
        its.is_cross = bool(positions.cross[row])
        its.changed_ns = int(positions.changed_ns[row])
        if not its.is_cross and positions.margin[row] != 0.0:
            its.margin = float(positions.margin[row])
    its.equity = _equity(its, record.equity_before)
    its.maintenance = _or_nan(record.maintenance_before)
    its.venue_rule_version = record.rule_version
    its.initial_known = record.phase == "start"
    its.trigger_price = trigger_of(its)
    return its


def trigger_of(its: Followed) -> float:
    """Return the mark price at which the position was at its maintenance margin; NaN if unknown.

    Of an isolated position it follows from its margin. Otherwise from what the record says at its
    mark price P: with a slack of S = equity - maintenance and the rate m of its tier it is
    P - S / (q - m |q|), if nothing but this price moves.

    >>> from detectors.risk.tiers import tiers_of
    >>> its = Followed("X", "a", "L", 0, 0, quantity=2.0, mark_price=90.0, equity=0.0)
    >>> its.maintenance, its.contract = 1.8, Contract(tiers_of([0.01]))
    >>> round(trigger_of(its), 3)
    90.909
    """
    if its.contract is None or math.isnan(its.quantity):
        return math.nan
    quantity = np.array([its.quantity])
    if not math.isnan(its.margin):
        prices = liquidation_prices(
            its.contract, quantity, np.array([its.entry_price]), np.array([its.margin])
        )
        return float(prices[0])
    if its.contract.inverse:
        return math.nan
    rate = float(marginal_rates(its.contract.tiers, np.abs(quantity) * its.mark_price)[0])
    slack = its.equity - its.maintenance
    return its.mark_price - slack / (its.quantity - rate * abs(its.quantity))


def add_slice(its: Followed, record: Liquidation, rule: Reduction, mid: float) -> None:
    """Add a slice, a takeover or a deleveraging.

    Parameters
    ----------
    its
        The liquidation.
    record
        With ``quantity_filled`` above 0.
    rule
        What the settings declare of the venue.
    mid
        The mid price just before; NaN if unknown.
    """
    filled, price = record.quantity_filled or 0.0, record.price or its.mark_price
    if math.isnan(its.quantity):
        its.quantity = filled if record.side == "sell" else -filled
    before = max(_before(its, filled, record.ts_event), filled)
    part = Slice(
        record.ts_event, its.symbol, its.account, record.order_id or "",
        selling=its.quantity > 0.0, requested=_or_nan(record.quantity_requested), filled=filled,
        paid=filled * price, worst_price=price, quantity=math.copysign(before, its.quantity),
        mid=mid, mark_price=record.mark_price or its.mark_price,
        index_price=record.index_price or its.index_price,
        equity=_or_nan(record.equity_before), maintenance=_or_nan(record.maintenance_before),
        fee=_or_nan(record.fee), insurance_delta=_or_nan(record.insurance_delta),
        method=record.method or "book", liquidation_id=its.liquidation_id,
    )  # fmt: skip
    if len(its.parts) >= MOST_SLICES:
        last = its.parts[-1]
        last.its.filled += filled
        last.its.paid += part.paid
        last.needed = last.due = math.nan
        return
    fee_ratio = rule.fee_ratio
    if part.fee > 0.0 and part.paid > 0.0:
        unit = filled / price if its.contract is not None and its.contract.inverse else part.paid
        fee_ratio = min(part.fee / unit, 0.5)
    least = needed_of(its, part, rule._replace(kind="sufficient", fee_ratio=fee_ratio))
    its.parts.append(Part(part, least, due(its, part, rule, least)))


def _before(its: Followed, filled: float, ts_event: int) -> float:
    """Return the unsigned position just before a slice at ``ts_event``.

    The record of a position may come before or after that of the slice which changed it. Where what
    the slices before have left does not say which, a position of the same time is that after it.
    """
    last = its.parts[-1].its if its.parts else None
    left = its.size if last is None else abs(last.quantity) - last.filled
    if math.isnan(its.current):
        return left
    slack = 1e-9 * its.size
    for known in (its.current, its.current + filled):
        if abs(known - left) <= slack:
            return left
    before = its.current + filled if its.current_ns == ts_event else its.current
    its.has_grown |= before > left + slack
    return before


def needed_of(its: Followed, part: Slice, rule: Reduction) -> float:
    """Return the least quantity that restores the position at a slice; NaN if unknown.

    A cross position has to restore its account: what the account has beyond the requirements of its
    other positions backs it.
    """
    if its.contract is None or math.isnan(part.quantity):
        return math.nan
    price = settlement_price(its.contract, np.array([part.mark_price]))
    own = float(maintenance(its.contract.tiers, np.abs(np.array([part.quantity])) * price)[0])
    backing = part.equity
    if its.is_cross and not math.isnan(part.maintenance):
        backing -= part.maintenance - own
    return needed(
        replace(part, margin=math.nan, equity=backing), its.contract.tiers, rule, float(price[0])
    )


def due(its: Followed, part: Slice, rule: Reduction, least: float) -> float:
    """Return the quantity that the declared rule takes with a slice; NaN if unknown.

    Nothing once the position is at its maintenance margin. Less than asked for is no breach, so a
    rule of steps allows what is left of a step.
    """
    held = abs(part.quantity)
    if part.equity >= part.maintenance:
        return 0.0
    if rule.kind == "full":
        return held
    if its.notional < rule.whole_below:
        return held
    return least if rule.kind == "sufficient" else min(held, rule.step_ratio * its.size)


def _equity(its: Followed, stated: float | None) -> float:
    """Return what the record states, or what follows from the margin of an isolated position."""
    if stated is not None:
        return stated
    if its.contract is None or math.isnan(its.margin) or math.isnan(its.mark_price):
        return math.nan
    gained = profit(
        its.contract, np.array([its.quantity]), np.array([its.entry_price]),
        np.array([its.mark_price]),
    )  # fmt: skip
    return its.margin + float(gained[0])


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
