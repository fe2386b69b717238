"""Liquidations put together from their slices: start, slices, end, need, price and fee.

A venue that publishes its liquidations names the steps of each. Otherwise the slices are the
trades in which the taker is liquidated, grouped by order, and slices of one position that follow
each other closely are one liquidation.
"""

import math
from collections.abc import Iterable

import numpy as np
from msgspec import Struct

from detectors.risk.contract import Contract
from detectors.risk.liquidation import liquidation_prices
from detectors.risk.reduction import Reduction, sufficient_reductions
from detectors.risk.tiers import Tiers

APART_NS = 10_000_000_000
"""Slices of one position that are further apart belong to two liquidations."""


class Slice(Struct):
    """A part of a position that the venue closed with one order.

    Attributes
    ----------
    ts_event
        Time of the first trade, in nanoseconds.
    selling
        Whether the position is reduced by sales.
    requested, filled
        Unsigned quantities in the base unit; ``requested`` is NaN if it is unknown.
    paid, worst_price
        Sum of price times quantity, in the quote currency, and the worst price of a trade.
    quantity, entry_price, margin
        The position just before the slice; NaN if unknown. ``quantity`` is signed.
    tiers
        The maintenance tiers in force; None if they are unknown.
    mid, last_price, book_price
        Just before: mid price, price of the last trade, and the mean price that the visible book
        offered for what was filled. NaN if unknown.
    mark_price, index_price, equity, maintenance, fee
        As the venue states them in its record of the slice; NaN if it does not.
    depth
        Just before: the quantity that the visible book offered within 1 % of the mid price, without
        the account's own orders; NaN if unknown.
    resting_orders
        The account's own resting orders just before.
    waited_seconds
        How long the account was certainly below maintenance before; 0 if less than the time between
        two references.
    passed_over
        Accounts that had certainly waited longer and were worse off.
    served_since_ns, served_sizes
        Time of the venue's first action on the account of those that led to this slice without a
        longer pause, and the unsigned positions at those actions; 0 and empty if unknown.
    returned, insurance_delta
        What the account kept at the end of the liquidation, and what the fund gained or lost with
        this slice, as stated; NaN if not.
    method, liquidation_id
        As stated; empty if not.
    """

    ts_event: int
    symbol: str
    account: str
    order_id: str
    selling: bool
    requested: float = math.nan
    filled: float = 0.0
    paid: float = 0.0
    worst_price: float = math.nan
    tiers: Tiers | None = None
    quantity: float = math.nan
    entry_price: float = math.nan
    margin: float = math.nan
    mid: float = math.nan
    last_price: float = math.nan
    book_price: float = math.nan
    mark_price: float = math.nan
    index_price: float = math.nan
    equity: float = math.nan
    maintenance: float = math.nan
    fee: float = math.nan
    depth: float = math.nan
    resting_orders: int = 0
    waited_seconds: float = 0.0
    passed_over: tuple[str, ...] = ()
    served_since_ns: int = 0
    served_sizes: tuple[float, ...] = ()
    returned: float = math.nan
    insurance_delta: float = math.nan
    method: str = ""
    liquidation_id: str = ""

    @property
    def price(self) -> float:
        """Mean price; NaN if nothing was filled."""
        return self.paid / self.filled if self.filled else math.nan

    @property
    def concession_bps(self) -> float:
        """How much worse than the mid price the slice was closed, in bps; NaN if unknown."""
        worse = self.mid - self.price if self.selling else self.price - self.mid
        return worse / self.mid * 1e4

    @property
    def surcharge_bps(self) -> float:
        """How much worse than the visible book, in bps of the mid price; NaN if unknown."""
        sign = 1.0 if self.selling else -1.0
        return sign * (self.book_price - self.price) / self.mid * 1e4


class Episode(Struct):
    """The liquidation of one position: its slices in the order of time."""

    symbol: str
    account: str
    slices: list[Slice]

    @property
    def ts_event(self) -> int:
        """Time of the first slice."""
        return self.slices[0].ts_event

    @property
    def first_quantity(self) -> float:
        """The unsigned position before the first slice; NaN if unknown."""
        return abs(self.slices[0].quantity)

    @property
    def filled(self) -> float:
        """The quantity that was closed."""
        return math.fsum(part.filled for part in self.slices)

    @property
    def notional(self) -> float:
        """What was closed, in the quote currency."""
        return math.fsum(part.paid for part in self.slices)

    @property
    def taken_ratio(self) -> float:
        """The share of the position that was closed; NaN if the position is unknown."""
        return self.filled / self.first_quantity


def assembled(slices: Iterable[Slice]) -> list[Episode]:
    """Put slices together into liquidations, in the order of their first slices.

    Parameters
    ----------
    slices
        In the order of time. Slices with the same ``liquidation_id`` belong together; without one,
        those of one position that are at most `APART_NS` apart, or that the venue's attempts
        connect.

    Examples
    --------
    >>> second = 1_000_000_000
    >>> times = [0, 3 * second, 20 * second]
    >>> parts = [Slice(at, "BTC-PERP", "a", str(at), selling=True, filled=1.0) for at in times]
    >>> [len(episode.slices) for episode in assembled(parts)]
    [2, 1]
    """
    found: list[Episode] = []
    latest: dict[tuple[str, str, str], Episode] = {}
    for part in slices:
        key = (part.symbol, part.account, part.liquidation_id)
        known = latest.get(key)
        if known is not None and (part.liquidation_id or _continues(known.slices[-1], part)):
            known.slices.append(part)
            continue
        latest[key] = Episode(part.symbol, part.account, [part])
        found.append(latest[key])
    return found


def _continues(before: Slice, part: Slice) -> bool:
    """Return whether a slice belongs to the liquidation of the one before it."""
    if part.served_since_ns and part.served_since_ns == before.served_since_ns:
        return True
    return part.ts_event - before.ts_event <= APART_NS


def needed(part: Slice, tiers: Tiers, rule: Reduction, mark: float) -> float:
    """Return the least quantity whose closing restores the position, at a mark; NaN if unknown.

    Equity is what the venue states, or margin plus the profit at the mark.

    Examples
    --------
    4 bought at 100 with a margin of 30, marked at 100, 10 % maintenance: 40 are required. Closing
    1 frees 10 without a fee:

    >>> from detectors.risk.tiers import tiers_of
    >>> part = Slice(0, "X", "a", "1", selling=True, quantity=4.0, entry_price=100.0, margin=30.0)
    >>> needed(part, tiers_of([0.1]), Reduction("sufficient"), 100.0)
    1.0
    """
    equity = equity_at(part, mark)
    if math.isnan(equity) or math.isnan(part.quantity):
        return math.nan
    return float(
        sufficient_reductions(
            tiers, rule, np.array([part.quantity]), np.array([mark]), np.array([equity])
        )[0]
    )


def equity_at(part: Slice, mark: float) -> float:
    """Return the equity of the position before a slice; NaN if it is unknown.

    It follows from the margin. A published margin of exactly 0 may stand for a negative one; then,
    and without a margin, equity is what the venue states.
    """
    if part.margin == 0.0 or math.isnan(part.margin):
        return part.equity
    return part.margin + part.quantity * (mark - part.entry_price)


def trigger_price(part: Slice) -> float:
    """Return the price at which the position fell below maintenance; NaN if unknown."""
    if part.tiers is None or math.isnan(part.margin) or math.isnan(part.quantity):
        return math.nan
    if part.margin == 0.0:
        return math.nan
    return float(
        liquidation_prices(
            Contract(part.tiers),
            np.array([part.quantity]),
            np.array([part.entry_price]),
            np.array([part.margin]),
        )[0]
    )


def left_after(part: Slice) -> float:
    """Return what is left of the margin after a slice, its loss and its fee; NaN if unknown."""
    fee = 0.0 if math.isnan(part.fee) else part.fee
    realised = math.copysign(part.filled, part.quantity) * (part.price - part.entry_price)
    return part.margin + realised - fee
