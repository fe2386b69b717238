"""All positions of a venue, the accounts behind them, and the venue's terms for each symbol."""

import math

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from detectors.market_data.events import Margin, Position, Reference
from detectors.market_data.risk_events import Account, Insurance
from detectors.risk.contract import Contract
from detectors.risk.marks import MarkRule
from detectors.risk.positions import Positions
from detectors.risk.reduction import Reduction, checked
from detectors.risk.tiers import Tiers, tiers_of
from detectors.risk.venue_margins import Market
from detectors.risk_watch.settlement import account_key, owner_of

WHOLE_VENUE = "*"
"""The symbol of an insurance fund that stands behind all symbols."""

MAINTENANCE_OF_INITIAL = 0.5
"""The maintenance rate as a share of the initial rate, where the venue states only that one."""

_EVICTED_SHARE = 64


class Terms(Struct):
    """What the venue says of a symbol; NaN and None stand for what it has not said.

    Attributes
    ----------
    mark, index
        Mark and index price in the quote currency.
    open_interest
        In the unit of the quantities.
    tiers
        Maintenance tiers.
    initial_rate
        Least initial margin, as a ratio to notional.
    mark_rule
        How the mark price follows.
    mark_method, mark_clamp
        The method of the mark price as the venue names it, and its largest distance from the index,
        as a ratio.
    rule_version
        The venue's name for these margins.
    pending
        Announced margins that are not in force yet.
    inverse
        Whether the contract settles in the base currency; None while the venue has not said.
    settlement_currency
        In which the contract settles.
    """

    mark: float = math.nan
    index: float = math.nan
    open_interest: float = math.nan
    tiers: Tiers | None = None
    initial_rate: float = math.nan
    mark_rule: MarkRule | None = None
    mark_method: str | None = None
    mark_clamp: float = math.nan
    rule_version: str | None = None
    pending: list[Margin] = []
    inverse: bool | None = None
    settlement_currency: str | None = None

    @property
    def market(self) -> Market | None:
        """What the arithmetic needs; None while the mark price or the margins are unknown."""
        if self.tiers is None or math.isnan(self.mark):
            return None
        return Market(Contract(self.tiers, bool(self.inverse)), self.mark, self.initial_rate)


_UNKNOWN_TIERS = tiers_of([0.01])
"""Stand for the tiers of a symbol that has none yet; nothing is published of it."""


class Holdings:
    """Positions, accounts and terms of a venue.

    Parameters
    ----------
    max_positions
        The largest number of open positions. Above it the smallest notionals are dropped, one
        sixty-fourth of the limit at once. Accounts without a position are bounded likewise.

    rule
        How the venue closes positions.

    Attributes
    ----------
    positions
        The open positions.
    terms
        The terms of each symbol.
    has_cross
        Whether there has ever been a position in cross margin.
    funds
        The balance of each insurance fund, in the currency in which its symbol settles.
    evicted_positions, refused_accounts, refused_margins
        How many positions were dropped, accounts not taken in above the limit, and margins left out
        because they contradict themselves.
    """

    __slots__ = (
        "evicted_positions", "funds", "has_cross", "max_positions", "positions", "refused_accounts",
        "refused_margins", "rule", "terms",
    )  # fmt: skip

    def __init__(self, max_positions: int, rule: Reduction) -> None:
        self.max_positions = max_positions
        self.rule = checked(rule)
        self.positions = Positions()
        self.terms: dict[str, Terms] = {}
        self.has_cross = False
        self.funds: dict[str, float] = {}
        self.evicted_positions = self.refused_accounts = self.refused_margins = 0

    def copy(self) -> "Holdings":
        """Return holdings that do not change with these."""
        its = Holdings(self.max_positions, self.rule)
        its.positions = self.positions.copy()
        its.terms = {
            symbol: replace(terms, pending=[*terms.pending]) for symbol, terms in self.terms.items()
        }
        its.has_cross, its.funds = self.has_cross, self.funds.copy()
        its.evicted_positions = self.evicted_positions
        its.refused_accounts, its.refused_margins = self.refused_accounts, self.refused_margins
        return its

    def of(self, symbol: str) -> Terms:
        """Return the terms of a symbol; new ones if it has none."""
        terms = self.terms.get(symbol)
        if terms is None:
            terms = self.terms[symbol] = Terms()
        return terms

    def fund(self, symbol: str) -> float | None:
        """Return what the insurance fund of a symbol, or of the venue, holds; None if unknown.

        In the quote currency, at the mark price.
        """
        own, terms = self.funds.get(symbol), self.terms.get(symbol)
        if own is None:
            return self.funds.get(WHOLE_VENUE)
        if terms is None or not terms.inverse:
            return own
        return None if math.isnan(terms.mark) else own * terms.mark

    def all_funds(self) -> float | None:
        """Return what all insurance funds hold, in the quote currency; None if none is known."""
        return sum(self.fund(symbol) or 0.0 for symbol in self.funds) if self.funds else None

    def owner(self, number: int) -> str:
        """Return the name of the account with this number."""
        return owner_of(self.positions.accounts.name(number))

    def put_position(self, position: Position) -> None:
        """Take the state of a position after a change."""
        self.positions.put(
            account_key(position.account, _currency(position.symbol, self.of(position.symbol))),
            position.symbol,
            quantity=position.quantity,
            entry_price=position.entry_price,
            margin=math.nan if position.margin is None else position.margin,
            leverage=math.nan if position.leverage is None else position.leverage,
            cross=is_cross(position),
            changed_ns=position.ts_event,
        )
        self.has_cross |= is_cross(position)
        if len(self.positions) > self.max_positions:
            self._evict()

    def quantity(self, account: str, symbol: str) -> float:
        """Return the signed quantity that an account holds; 0 without a known position."""
        row = self.row(account, symbol)
        return 0.0 if row is None else float(self.positions.quantity[row])

    def row(self, account: str, symbol: str) -> int | None:
        """Return the row of the position of an account in a symbol; None without a known one."""
        key = account_key(account, _currency(symbol, self.of(symbol)))
        return self.positions.row_of(key, symbol)

    def put_account(self, account: Account) -> None:
        """Take the state of an account after a change."""
        if account.collateral_value is None:
            return
        accounts = self.positions.accounts
        key = account_key(account.account, account.settlement_currency)
        if accounts.find(key) is None and len(accounts) >= self.max_positions:
            self.refused_accounts += 1
            return
        haircut = account.haircut_value or 0.0
        self.positions.set_collateral(key, account.collateral_value - haircut)

    def put_reference(self, reference: Reference) -> None:
        """Take the prices that the venue has computed."""
        terms = self.of(reference.symbol)
        self.put_prices(reference.symbol, reference.mark_price, reference.index_price)
        if reference.open_interest is not None:
            terms.open_interest = reference.open_interest

    def put_prices(self, symbol: str, mark: float | None, index: float | None) -> None:
        """Take the mark and the index price of a symbol where they are given."""
        terms = self.of(symbol)
        if mark is not None:
            terms.mark = mark
        if index is not None:
            terms.index = index

    def put_fund(self, insurance: Insurance) -> None:
        """Take the balance of an insurance fund."""
        self.funds[insurance.symbol] = insurance.balance

    def put_margin(self, margin: Margin) -> None:
        """Take margin parameters; those that are announced wait until they are in force."""
        terms = self.of(margin.symbol)
        if margin.effective_at is not None and margin.effective_at > margin.ts_event:
            terms.pending = sorted([*terms.pending, margin], key=_effective_at)[-_EVICTED_SHARE:]
        else:
            self._apply(terms, margin)

    def come_into_force(self, ts_event: int) -> list[str]:
        """Apply announced margins that are in force by then; return the symbols."""
        changed = []
        for symbol, terms in self.terms.items():
            while terms.pending and _effective_at(terms.pending[0]) <= ts_event:
                self._apply(terms, terms.pending.pop(0))
                changed.append(symbol)
        return changed

    def markets(self) -> list[Market]:
        """Return the market of each symbol number of the positions.

        A symbol without a mark price stands at its positions' median entry price: a cross account
        neither gains nor loses by it.
        """
        names = map(self.positions.symbols.name, _numbers(self.positions))
        return [self.terms[name].market or self._unknown(name) for name in names]

    def _unknown(self, symbol: str) -> Market:
        rows = self.positions.rows_of(symbol)
        mark = self.terms[symbol].mark
        if math.isnan(mark):
            mark = float(np.median(self.positions.entry_price[rows])) if len(rows) else 1.0
        terms = self.terms[symbol]
        return Market(Contract(terms.tiers or _UNKNOWN_TIERS, bool(terms.inverse)), mark, 1.0)

    def _apply(self, terms: Terms, margin: Margin) -> None:
        try:
            tiers, initial = _tiers(margin)
        except ValueError:
            self.refused_margins += 1
            return
        before = _currency(margin.symbol, terms)
        if margin.contract is not None:
            terms.inverse = margin.contract == "inverse"
        terms.settlement_currency = margin.settlement_currency or terms.settlement_currency
        after = _currency(margin.symbol, terms)
        if after != before:
            self._move(margin.symbol, after)
        terms.tiers = tiers or terms.tiers
        if initial is not None:
            terms.initial_rate = min(initial, 1.0)
        elif tiers is not None and math.isnan(terms.initial_rate):
            terms.initial_rate = min(tiers.rates[0] / MAINTENANCE_OF_INITIAL, 1.0)
        if margin.mark_window_ns:
            kind = margin.mark_method
            # A mark price with a window and no method is taken as the common perpetual's.
            terms.mark_rule = MarkRule(
                kind if kind in ("sma", "ema_price") else "ema_premium", margin.mark_window_ns / 1e9
            )
        terms.mark_method = margin.mark_method or terms.mark_method
        if margin.mark_clamp is not None:
            terms.mark_clamp = margin.mark_clamp
        terms.rule_version = margin.rule_version or terms.rule_version

    def _move(self, symbol: str, currency: str | None) -> None:
        """Move the positions of a symbol to the accounts in another currency."""
        positions = self.positions
        for row in positions.rows_of(symbol).tolist():
            key = positions.accounts.name(int(positions.account[row]))
            its = (
                float(positions.quantity[row]), float(positions.entry_price[row]),
                float(positions.margin[row]), float(positions.leverage[row]),
                bool(positions.cross[row]), int(positions.changed_ns[row]),
            )  # fmt: skip
            positions.put(key, symbol, quantity=0.0, entry_price=1.0)
            positions.put(
                account_key(owner_of(key), currency), symbol,
                quantity=its[0], entry_price=its[1], margin=its[2], leverage=its[3], cross=its[4],
                changed_ns=its[5],
            )  # fmt: skip

    def _evict(self) -> None:
        positions = self.positions
        rows = positions.rows()
        terms = [self.terms[name] for name in map(positions.symbols.name, _numbers(positions))]
        marks = np.array([its.mark for its in terms])
        inverse = np.array([bool(its.inverse) for its in terms])
        price = marks[positions.symbol[rows]]
        price = np.where(np.isnan(price), positions.entry_price[rows], price)
        price[inverse[positions.symbol[rows]]] = 1.0  # a face value is a notional
        notional = np.abs(positions.quantity[rows]) * price
        count = max(1, self.max_positions // _EVICTED_SHARE)
        smallest = rows[np.argsort(notional, kind="stable")[:count]]
        for row in smallest.tolist():
            account = positions.accounts.name(int(positions.account[row]))
            symbol = positions.symbols.name(int(positions.symbol[row]))
            positions.put(account, symbol, quantity=0.0, entry_price=1.0)
        self.evicted_positions += count


def is_cross(position: Position) -> bool:
    """Whether the collateral of the account backs a position; portfolio margin counts as that."""
    return position.margin_mode in ("cross", "portfolio")


def _currency(symbol: str, terms: Terms) -> str | None:
    """Return what separates accounts: an inverse contract of unstated currency stands alone."""
    return terms.settlement_currency or (symbol if terms.inverse else None)


def _numbers(positions: Positions) -> range:
    return range(len(positions.symbols))


def _effective_at(margin: Margin) -> int:
    return margin.effective_at or margin.ts_event


def _tiers(margin: Margin) -> tuple[Tiers | None, float | None]:
    """Return the maintenance tiers and the least initial rate of a margin event."""
    initial = margin.initial_margin_rate
    if initial is None and margin.max_leverage is not None:
        initial = 1.0 / margin.max_leverage
    if initial is not None and not initial > 0.0:
        raise ValueError(f"initial_margin_rate is {initial}: it must be above 0")
    if margin.tiers:
        floors = [0.0, *(tier.up_to_notional for tier in margin.tiers[:-1])]
        if any(floor is None for floor in floors):
            raise ValueError("a tier without up_to_notional must be the last")
        rates = [tier.maintenance_rate for tier in margin.tiers]
        first = margin.tiers[0].initial_rate
        return tiers_of(rates, [floor or 0.0 for floor in floors]), first or initial
    if margin.maintenance_margin_rate is not None:
        return tiers_of([margin.maintenance_margin_rate]), initial
    if initial is not None:
        return tiers_of([min(MAINTENANCE_OF_INITIAL * initial, 0.5)]), initial
    return None, None
