"""The venue's own records of liquidations, joined with the trades and the positions."""

import math

from detectors.audit.claims import Claims
from detectors.audit.holdings import Holdings, candidates, known_margin
from detectors.audit.outcome import Case, Tally
from detectors.fairness.episodes import Slice
from detectors.fairness.queue import Deleveraging
from detectors.market_data.risk_events import Liquidation
from detectors.risk.contract import Contract

QUANTITY_TOLERANCE = 1e-9


class Records:
    """The records of one symbol.

    Attributes
    ----------
    steps
        Records of slices in the book, by order id.
    starts, ends
        First and last records, by liquidation.
    deleveraged
        Every deleveraging.
    methods
        The methods of each liquidation in the order of their first use, with its time.
    prints
        Slices in the book; a breach is one whose trades do not show what was closed.
    taken_over
        What the fund took over, in the base unit.
    """

    __slots__ = (
        "_current", "_fund", "_last", "_open", "_victims", "deleveraged", "ends", "methods",
        "prints", "starts", "steps", "taken_over",
    )  # fmt: skip

    def __init__(self, claims: Claims) -> None:
        self._fund = claims.insurance.account
        self._open: Deleveraging | None = None
        self._last: Slice | None = None
        self._current: dict[str, str] = {}
        self.methods: dict[str, list[tuple[int, str]]] = {}
        self._victims: dict[str, str] = {}
        self.deleveraged: list[Deleveraging] = []
        self.ends: dict[str, Liquidation] = {}
        self.prints = Tally()
        self.starts: dict[str, Liquidation] = {}
        self.steps: dict[str, Liquidation] = {}
        self.taken_over = 0.0

    def is_victim(self, record: Liquidation) -> bool:
        """Return whether a record is of the liquidated account, and not of the other side."""
        first = self._victims.setdefault(record.liquidation_id, record.account)
        return record.account == first and record.reason != "counterparty"

    def on_step(
        self, record: Liquidation, holdings: Holdings, contract: Contract | None
    ) -> Slice | None:
        """Take over a step; return a slice that no trade shows."""
        if record.method is not None:
            self._note_method(record.liquidation_id, record.ts_event, record.method)
        if record.phase == "start":
            self.starts[record.liquidation_id] = record
            self._current[record.account] = record.liquidation_id
        elif record.phase == "end":
            self.ends[record.liquidation_id] = record
            self._current.pop(record.account, None)
        elif record.phase == "slice" and record.method != "adl":
            if record.order_id is not None:
                self.steps[record.order_id] = record
        else:
            return self._transfer(record, holdings, contract)
        return None

    def on_counterparty(self, record: Liquidation, holdings: Holdings) -> None:
        """Take over what an account on the other side lost."""
        filled = record.quantity_filled or 0.0
        if self._open is not None:
            closed = self._open.closed
            closed[record.account] = closed.get(record.account, 0.0) + filled
        holdings.on_transfer(record.account, filled, record.price or math.nan)

    def settle(self, now_ns: int) -> None:
        """Close the deleveraging of earlier times."""
        if self._open is not None and now_ns > self._open.ts_event:
            self.deleveraged.append(self._open)
            self._open = None

    def join(self, slices: list[Slice]) -> None:
        """Complete the slices that trades show, and compare their quantities with the records."""
        for part in slices:
            record = self.steps.pop(part.order_id, None)
            if record is not None:
                complete(part, record)
                self._compare(part, record)
            end = self.ends.get(part.liquidation_id)
            if end is not None and end.collateral_returned is not None:
                part.returned = end.collateral_returned
        for record in self.steps.values():
            story = f"no trade shows the slice of order {record.order_id}"
            money = (record.quantity_filled or 0.0) * (record.price or 0.0)
            self.prints.breach(
                Case(record.ts_event, record.symbol, record.account, money, money, story)
            )

    def _liquidated(self) -> set[str]:
        """Return the accounts of liquidations that have begun and not ended."""
        return set(self._current)

    def on_attempt(self, account: str, ts_event: int) -> None:
        """Note a reduce-only market order: it tries the book, even if it finds nobody there."""
        name = self._current.get(account)
        if name is not None:
            self._note_method(name, ts_event, "book")

    def _note_method(self, liquidation_id: str, ts_event: int, method: str) -> None:
        steps = self.methods.setdefault(liquidation_id, [])
        if method not in [its for _, its in steps]:
            steps.append((ts_event, method))

    def _compare(self, part: Slice, record: Liquidation) -> None:
        stated = record.quantity_filled
        if stated is None:
            return
        if abs(stated - part.filled) <= QUANTITY_TOLERANCE * max(stated, part.filled):
            self.prints.held()
            return
        story = f"the record states {stated:g}, the trades of its order show {part.filled:g}"
        money = abs(stated - part.filled) * part.price
        self.prints.breach(Case(part.ts_event, part.symbol, part.account, money, money, story))

    def _transfer(
        self, record: Liquidation, holdings: Holdings, contract: Contract | None
    ) -> Slice | None:
        """Book a takeover or a deleveraging of the liquidated account."""
        filled, price = record.quantity_filled or 0.0, record.price or math.nan
        held = holdings.held.get(record.account)
        quantity = 0.0 if held is None else held.quantity
        part = Slice(
            record.ts_event, record.symbol, record.account,
            record.order_id or f"{record.liquidation_id}@{record.ts_event}",
            selling=quantity > 0.0, filled=filled, paid=filled * price, worst_price=price,
        )  # fmt: skip
        if held is not None and held.is_published:
            part.quantity, part.entry_price = held.quantity, held.entry_price
            part.margin = known_margin(held)
        part.tiers = contract.tiers if contract is not None else None
        complete(part, record)
        same = self._last
        if record.method == "adl":
            self._deleverage(record, holdings, quantity, filled)
        elif self._fund is not None:
            holdings.on_fill(self._fund, math.copysign(filled, quantity), price)
            self.taken_over += filled
        else:
            holdings.on_fill("", math.copysign(filled, quantity), price)
            self.taken_over += filled
        holdings.on_transfer(record.account, filled, price)
        if same is not None and (same.liquidation_id, same.ts_event) == (
            part.liquidation_id,
            part.ts_event,
        ):  # one step may go to the fund and to several accounts
            same.filled += part.filled
            same.paid += part.paid
            same.requested = max(same.requested, same.filled)
            same.method = part.method
            return None
        self._last = part
        return part

    def _deleverage(
        self, record: Liquidation, holdings: Holdings, quantity: float, filled: float
    ) -> None:
        if self._open is not None and self._open.liquidation_id != record.liquidation_id:
            self.deleveraged.append(self._open)
            self._open = None
        if self._open is None:
            mark = record.mark_price or math.nan
            self._open = Deleveraging(
                record.ts_event, record.symbol, record.liquidation_id, record.price or math.nan,
                mark, candidates=candidates(holdings.held, quantity, mark, self._liquidated()),
            )  # fmt: skip
        self._open.needed += filled


def complete(part: Slice, record: Liquidation) -> None:
    """Note what the venue states of a slice."""
    part.liquidation_id = record.liquidation_id
    part.method = record.method or ""
    for name, value in (
        ("requested", record.quantity_requested),
        ("mark_price", record.mark_price),
        ("index_price", record.index_price),
        ("equity", record.equity_before),
        ("maintenance", record.maintenance_before),
        ("fee", record.fee),
        ("insurance_delta", record.insurance_delta),
    ):
        if value is not None:
            setattr(part, name, value)
