"""The whole record as it is read, and what is left of it for the checks."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from detectors.audit.answers import Answers
from detectors.audit.beside import Beside
from detectors.audit.claims import Book
from detectors.audit.outcome import Tally
from detectors.audit.symbol_tape import Symbol
from detectors.fairness.episodes import Episode, Slice, assembled
from detectors.market_data.events import Cancel, Event, Kind, Order, Trade
from detectors.market_data.risk_events import (
    Account,
    Ack,
    AuditEvent,
    FeeSchedule,
    Insurance,
    Liquidation,
    RiskEvent,
)

_NUMBERED = (
    Kind.ORDER, Kind.CANCEL, Kind.TRADE, Kind.REFERENCE, Kind.MARGIN, Kind.POSITION, Kind.STATUS,
)  # fmt: skip


class Evidence:
    """What the checks judge.

    Attributes
    ----------
    claims
        The venue's claims.
    beside
        Alerts and kill switches of the same time.
    answers
        The acknowledgements by account.
    unordered
        What was said of each margin record that was left out because its tiers are not in order.
    symbols
        What was read of each symbol, in the order of their names.
    episodes
        All liquidations, in the order of time.
    accounts
        Last state of each account.
    insurance
        All records of insurance funds, in order.
    fees
        All schedules of fees, in order.
    fund_free
        For each deleveraging, by time and liquidation: the fund's equity less the claimed reserve.
    streams
        Number of events of each kind of stream.
    disorder
        For each stream its events; a breach is one that is older than the one before it.
    first_ns, last_ns
        Time of the first and of the last event; 0 for an empty record.
    """

    def __init__(self, claims: Book, beside: Beside) -> None:
        self.claims = claims
        self.beside = beside
        self.answers = Answers(claims.default.access.orders_per_second)
        self.unordered: tuple[str, ...] = ()
        self.symbols: dict[str, Symbol] = {}
        self.episodes: list[Episode] = []
        self.accounts: dict[str, Account] = {}
        self.insurance: list[Insurance] = []
        self.fees: list[FeeSchedule] = []
        self.fund_free: dict[tuple[int, str], float] = {}
        self.streams: Counter[Kind] = Counter()
        self.disorder: Mapping[str, Tally] = {}
        self.first_ns = 0
        self.last_ns = 0

    def has(self, *kinds: Kind) -> bool:
        """Return whether the record has events of all these kinds."""
        return all(self.streams[kind] for kind in kinds)


class Tape:
    """Takes all events of a record in the order of time; `close` gives the evidence."""

    def __init__(self, claims: Book, beside: Beside | None = None) -> None:
        self._evidence = Evidence(claims, beside or Beside())

    def apply(self, event: Event | RiskEvent | AuditEvent) -> None:
        """Take the next event."""
        its = self._evidence
        its.streams[event.kind] += 1
        its.first_ns = its.first_ns or event.ts_event
        its.last_ns = max(its.last_ns, event.ts_event)
        if isinstance(event, Account):
            its.accounts[event.account] = event
            return
        if isinstance(event, Insurance):
            its.insurance.append(event)
            return
        if isinstance(event, FeeSchedule):
            its.fees.append(event)
            return
        symbol = its.symbols.get(event.symbol)
        if symbol is None:
            symbol = its.symbols[event.symbol] = Symbol(
                event.symbol, its.claims.of(event.symbol), its.beside.switches or ()
            )
        if isinstance(event, Ack):
            sent = symbol.book.sent(event.order_id)
            account = event.account or (sent.account if sent is not None else None) or ""
            its.answers.on_ack(event, account)
            symbol.on_ack(event, account)
            return
        if isinstance(event, Liquidation) and event.method == "adl":
            its.fund_free.setdefault((event.ts_event, event.liquidation_id), self._free(event))
        if event.sequence is not None and event.kind in _NUMBERED:
            symbol.numbering.on_number(event.sequence, event.ts_event)
        _dispatch(symbol, event)

    def _free(self, record: Liquidation) -> float:
        """Return the fund's equity less the claimed reserve at a record; NaN if it is unknown."""
        its, claims = self._evidence, self._evidence.claims.default
        account, reserve = claims.insurance.account, claims.adl.reserve_ratio
        if not its.insurance or account is None or reserve is None:
            return math.nan
        free = its.insurance[-1].balance
        for symbol in its.symbols.values():
            held = symbol.holdings.held.get(account)
            if held is None or not held.quantity or not len(symbol.references):
                continue
            mark = symbol.references.mark[-1]
            if symbol.symbol == record.symbol and record.mark_price is not None:
                mark = record.mark_price
            free += held.quantity * (mark - held.entry_price)
            free -= reserve * abs(held.quantity) * mark
        return free

    def close(
        self, disorder: Mapping[str, Tally] | None = None, unordered: Sequence[str] = ()
    ) -> Evidence:
        """Return the evidence; ``disorder`` and ``unordered`` as in `Evidence`."""
        its = self._evidence
        its.answers.close()
        its.unordered = tuple(unordered)
        its.symbols = dict(sorted(its.symbols.items()))
        slices: list[Slice] = []
        for symbol in its.symbols.values():
            symbol.close()
            slices += symbol.slices
        slices.sort(key=lambda part: part.ts_event)
        its.episodes = assembled(slices)
        its.disorder = disorder or {}
        return its


def _dispatch(symbol: Symbol, event: Event | Liquidation) -> None:
    if isinstance(event, Order):
        symbol.on_order(event)
    elif isinstance(event, Cancel):
        symbol.on_cancel(event)
    elif isinstance(event, Trade):
        symbol.on_trade(event)
    elif isinstance(event, Liquidation):
        symbol.on_liquidation(event)
    else:
        {
            Kind.REFERENCE: symbol.on_reference,
            Kind.MARGIN: symbol.on_margin,
            Kind.POSITION: symbol.on_position,
            Kind.STATUS: symbol.on_status,
        }[event.kind](event)  # type: ignore[operator]
