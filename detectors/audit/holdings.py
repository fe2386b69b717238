"""The positions of a symbol as the venue publishes them, and as the trades explain them."""

import math
from collections.abc import Collection

from msgspec import Struct

from detectors.audit.outcome import Case, Tally
from detectors.fairness.queue import Candidate
from detectors.market_data.events import Position

QUANTITY_TOLERANCE = 1e-9
"""Of a position relative to the sizes that led to it: the rounding of sums."""

ENTRY_TOLERANCE = 1e-6
"""Of an entry price, as a ratio: venues round it to six digits or more."""


class Held(Struct):
    """A position.

    ``quantity`` and ``entry_price`` follow each fill. ``margin`` (NaN if unknown) and the others
    are those of the last record. ``is_published`` says whether there was a record; without one the
    quantity is the sum of the account's fills. ``recorded`` is the quantity of the record, and
    ``traded`` what was filled since.
    """

    quantity: float = 0.0
    entry_price: float = math.nan
    margin: float = math.nan
    is_cross: bool = False
    is_published: bool = False
    traded: float = 0.0
    recorded: float = 0.0


def fill(held: Held, quantity: float, price: float) -> None:
    """Book a fill of a signed quantity: more of a side at the mean price, less at the old one.

    >>> held = Held(quantity=2.0, entry_price=100.0)
    >>> fill(held, 2.0, 110.0)
    >>> held.quantity, held.entry_price
    (4.0, 105.0)
    >>> fill(held, -5.0, 120.0)
    >>> held.quantity, held.entry_price
    (-1.0, 120.0)
    """
    before = held.quantity
    after = before + quantity
    if abs(after) <= QUANTITY_TOLERANCE * abs(quantity):
        after = 0.0
    if before * quantity >= 0.0:
        cost = before * held.entry_price if before else 0.0
        held.entry_price = (cost + quantity * price) / after if after else price
    elif after * before < 0.0:
        held.entry_price = price
    held.quantity = after
    held.traded += abs(quantity)


def known_margin(held: Held) -> float:
    """Return the margin that backs a position now; NaN with cross margin, or if it is outdated.

    A fill changes the margin. The record of it may have the same time, and is not read yet.
    """
    return math.nan if held.is_cross or held.traded else held.margin


class Holdings:
    """All positions of one symbol.

    Attributes
    ----------
    held
        By account.
    explained
        Position records; a breach is one that the record before and the fills since do not explain.
    longs, shorts
        Sums of the positions on each side, unsigned: of accounts with position records, and of the
        fills of the others.
    """

    __slots__ = ("_latest", "_latest_ns", "_symbol", "explained", "held")

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._latest: dict[str, Position] = {}
        self._latest_ns = 0
        self.held: dict[str, Held] = {}
        self.explained = Tally()

    def on_fill(self, account: str, quantity: float, price: float) -> None:
        """Book a fill of a signed quantity."""
        held = self.held.get(account)
        if held is None:
            held = self.held[account] = Held()
        fill(held, quantity, price)

    def on_transfer(self, account: str, quantity: float, price: float) -> None:
        """Book what left a position without a trade; ``quantity`` is unsigned."""
        held = self.held.get(account)
        if held is not None and held.quantity:
            self.on_fill(account, -math.copysign(quantity, held.quantity), price)

    def on_position(self, position: Position) -> None:
        """Note a position record; `settle` compares the last one of a time with the fills."""
        self.settle(position.ts_event)
        self._latest[position.account] = position
        self._latest_ns = position.ts_event

    def settle(self, now_ns: int) -> None:
        """Compare the position records of earlier times with the fills, and take them over."""
        if self._latest and now_ns > self._latest_ns:
            for position in self._latest.values():
                self._settle(position)
            self._latest.clear()

    def _settle(self, position: Position) -> None:
        held = self.held.get(position.account)
        if held is None:
            held = self.held[position.account] = Held()
        if held.is_published:
            self._compare(held, position)
        held.quantity = position.quantity
        held.entry_price = position.entry_price
        held.margin = math.nan if position.margin is None else position.margin
        held.is_cross = position.margin_mode in ("cross", "portfolio")
        held.is_published = True
        held.traded = 0.0
        held.recorded = position.quantity

    def sides(self) -> tuple[float, float]:
        """Return the sums of the longs and of the shorts, unsigned."""
        longs = math.fsum(its.quantity for its in self.held.values() if its.quantity > 0.0)
        shorts = -math.fsum(its.quantity for its in self.held.values() if its.quantity < 0.0)
        return longs, shorts

    def _compare(self, held: Held, position: Position) -> None:
        size = abs(held.quantity) + held.traded + abs(position.quantity)
        difference = position.quantity - held.quantity
        if abs(difference) > QUANTITY_TOLERANCE * max(size, 1e-300):
            money = abs(difference) * position.entry_price
            story = (
                f"position {position.quantity:g}; the record before and fills of {held.traded:g} "
                f"give {held.quantity:g}: {difference:+g} is unexplained"
            )
        elif position.quantity and not math.isclose(
            position.entry_price, held.entry_price, rel_tol=ENTRY_TOLERANCE
        ):
            money = abs((position.entry_price - held.entry_price) * position.quantity)
            story = (
                f"entry price {position.entry_price:g} of {position.quantity:g}; the record before "
                f"and the fills give {held.entry_price:g}"
            )
        else:
            self.explained.held()
            return
        case = Case(position.ts_event, self._symbol, position.account, money, money, story)
        self.explained.breach(case)


def candidates(
    held: dict[str, Held], bankrupt_quantity: float, mark: float, liquidated: Collection[str] = ()
) -> list[Candidate]:
    """Return the open positions on the other side of a bankrupt one, ordered by account.

    ``liquidated`` are the accounts that are in liquidation.
    """
    found = []
    for account, its in sorted(held.items()):
        if its.is_published and its.quantity * bankrupt_quantity < 0.0:
            equity = its.margin + its.quantity * (mark - its.entry_price)
            is_last = account in liquidated
            found.append(Candidate(account, its.quantity, its.entry_price, equity, is_last))
    return found
