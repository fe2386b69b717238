"""What position records say of margin requirements: enough when they grow, freed when they shrink.

Cases that look broken at the prices of the moment are kept, and judged after the last event with
every mark that may have held.
"""

import math
from typing import NamedTuple

import numpy as np

from detectors.audit.holdings import Held
from detectors.audit.outcome import Case, Tally
from detectors.audit.parameters import Schedule
from detectors.audit.references import References
from detectors.market_data.events import Margin, Position
from detectors.risk.contract import Contract
from detectors.risk.liquidation import liquidation_prices
from detectors.table import Floats

MAX_SUSPECTS = 100_000
PRICE_TOLERANCE = 1e-4
"""A liquidation price is nearer if it is by a basis point of the entry price."""

MONEY_TOLERANCE = 1e-6
"""Of a requirement, or of a notional, relative: the rounding of amounts."""

_BATCH = 4096


class _Grown(NamedTuple):
    position: Position
    margin: Margin


class _Reduced(NamedTuple):
    """A position before and after its owner reduced it.

    ``most_margin`` is the margin before, less what was lost with the trades: it is left if the
    venue releases nothing. NaN without trades.
    """

    ts_event: int
    account: str
    quantity: float
    entry_price: float
    margin: float
    left: float
    left_entry_price: float
    left_margin: float
    most_margin: float


class Requirements:
    """Follows the isolated positions of one symbol.

    Attributes
    ----------
    initial
        Records of positions that grew by an order that traded at once: one that rests was accepted
        before. A breach has less equity than the initial margin at every mark that may have held,
        and at the entry price.
    reduced
        Records of positions that their owner reduced; a breach has a nearer liquidation price, and
        less margin than the trades alone leave.
    """

    __slots__ = (
        "_fills", "_grown", "_rows", "_schedule", "_symbol", "_takers", "_touched", "initial",
        "reduced",
    )  # fmt: skip

    def __init__(self, symbol: str, schedule: Schedule) -> None:
        self._symbol = symbol
        self._schedule = schedule
        self._touched: set[str] = set()
        self._takers: dict[str, int] = {}
        self._fills: dict[str, tuple[float, float]] = {}
        self._grown: list[_Grown] = []
        self._rows: list[_Reduced] = []
        self.initial = Tally()
        self.reduced = Tally()

    def on_forced(self, account: str, ts_event: int) -> None:
        """Note that the record of an account at this time, or its next, shows what the venue did.

        The stream of liquidations comes after that of the positions where times are equal.
        """
        place = len(self._rows) - 1
        while place >= 0 and self._rows[place].ts_event == ts_event:
            if self._rows[place].account == account:
                del self._rows[place]
            place -= 1
        self._touched.add(account)

    def on_fill(self, account: str, quantity: float, price: float) -> None:
        """Take a fill of an account since its last record; ``quantity`` is unsigned."""
        filled, paid = self._fills.get(account, (0.0, 0.0))
        self._fills[account] = (filled + quantity, paid + quantity * price)

    def on_taker(self, account: str, ts_event: int) -> None:
        """Note that an order of an account traded in the instant in which it was accepted."""
        self._takers[account] = ts_event

    def on_position(self, position: Position, held: Held | None, prices: list[float]) -> None:
        """Take a record; ``held`` is the position before it, ``prices`` the marks of the moment."""
        forced = position.account in self._touched
        self._touched.discard(position.account)
        filled, paid = self._fills.pop(position.account, (0.0, 0.0))
        accepted_now = self._takers.pop(position.account, 0) == position.ts_event
        margin = position.margin
        if forced or not margin or position.margin_mode in ("cross", "portfolio"):
            return
        before = 0.0 if held is None else held.recorded
        same_side = before * position.quantity >= 0.0
        if same_side and abs(position.quantity) > abs(before) * (1 + 1e-9):
            if accepted_now:
                self._on_growth(position, margin, prices)
        elif (
            held is not None and same_side and position.quantity and held.is_published
            and not held.is_cross and math.isfinite(held.margin) and held.margin > 0.0
            and abs(position.quantity) < abs(before) * (1 - 1e-9)
        ):  # fmt: skip
            profit = math.copysign(1.0, before) * (paid - filled * held.entry_price)
            self._rows.append(
                _Reduced(position.ts_event, position.account, before, held.entry_price,
                         held.margin, position.quantity, position.entry_price, margin,
                         held.margin + min(0.0, profit) if filled else math.nan)
            )  # fmt: skip
            if len(self._rows) >= _BATCH:
                self._compare()

    def close(self, references: References) -> None:
        """Judge what is left after the last event."""
        self._compare()
        for position, margin in self._grown:
            self._judge(position, margin, references)
        self._grown.clear()

    def _on_growth(self, position: Position, margin: float, prices: list[float]) -> None:
        parameters = self._schedule.in_force
        if parameters is None or initial_requirement(parameters, 1.0) is None:
            return
        if any(
            _lacking(position, margin, parameters, price) <= 0.0
            for price in (position.entry_price, *prices)
            if math.isfinite(price)
        ):
            self.initial.held()
        elif len(self._grown) < MAX_SUSPECTS:
            self._grown.append(_Grown(position, parameters))

    def _judge(self, position: Position, parameters: Margin, references: References) -> None:
        around = references.around("mark", position.ts_event)
        margin = position.margin or 0.0
        # Equity less the requirement is linear in the mark within a tier: the ends decide.
        wide = (around.low, around.high) if around is not None else ()
        near = (around.near_low, around.near_high) if around is not None else ()
        if any(_lacking(position, margin, parameters, mark) <= 0.0 for mark in near):
            self.initial.held()
            return
        if any(_lacking(position, margin, parameters, mark) <= 0.0 for mark in wide):
            self.initial.edge()
            return
        lacking = min(
            _lacking(position, margin, parameters, mark) for mark in (position.entry_price, *wide)
        )
        story = (
            f"a position of {position.quantity:g} grew with {lacking:.2f} less than its initial "
            "margin at every mark price"
        )
        self.initial.breach(
            Case(position.ts_event, self._symbol, position.account, lacking, lacking, story)
        )

    def _compare(self) -> None:
        contract = self._schedule.contract
        rows, self._rows = self._rows, []
        if contract is None or not rows:
            return
        before = _prices(contract, rows, "quantity", "entry_price", "margin")
        after = _prices(contract, rows, "left", "left_entry_price", "left_margin")
        for its, first, then in zip(rows, before.tolist(), after.tolist(), strict=True):
            nearer = math.copysign(1.0, its.quantity) * (then - first) / its.entry_price
            if not nearer > PRICE_TOLERANCE:
                self.reduced.held()
                continue
            rounding = MONEY_TOLERANCE * abs(its.left) * its.entry_price
            if not its.left_margin < its.most_margin - rounding:
                self.reduced.edge()  # all of the margin stayed: the price of the trade did it
                continue
            story = (
                f"reduced from {its.quantity:g} to {its.left:g}: the liquidation price went from "
                f"{first:.8g} to {then:.8g}, nearer by {nearer * 1e4:.1f} bps"
            )
            money = abs(its.left) * nearer * its.entry_price
            self.reduced.breach(Case(its.ts_event, self._symbol, its.account, nearer, money, story))


def initial_requirement(margin: Margin, notional: float) -> float | None:
    """Return the initial margin of a notional; None if the parameters do not give it.

    Tiers with initial rates come first, then the single rate, then the highest leverage.

    >>> of = Margin(ts_event=10**18, symbol="X", max_leverage=20.0)
    >>> initial_requirement(of, 1000.0)
    50.0
    """
    if margin.tiers is not None and all(its.initial_rate is not None for its in margin.tiers):
        total, floor = 0.0, 0.0
        for its in margin.tiers:
            top = math.inf if its.up_to_notional is None else its.up_to_notional
            total += (its.initial_rate or 0.0) * max(0.0, min(notional, top) - floor)
            floor = top
        return total
    if margin.initial_margin_rate is not None:
        return margin.initial_margin_rate * notional
    if margin.max_leverage is not None:
        return notional / margin.max_leverage
    return None


def _lacking(position: Position, margin: float, parameters: Margin, mark: float) -> float:
    """Return by how much the initial margin is more than the equity at a mark."""
    equity = margin + position.quantity * (mark - position.entry_price)
    required = initial_requirement(parameters, abs(position.quantity) * mark) or 0.0
    return required - equity - MONEY_TOLERANCE * required


def _prices(contract: Contract, rows: list[_Reduced], *names: str) -> Floats:
    """Return the liquidation prices of rows; the names are those of what decides them."""
    quantity, entry, margin = (np.array([getattr(its, name) for its in rows]) for name in names)
    return liquidation_prices(contract, quantity, entry, margin)
