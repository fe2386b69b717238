"""The detector ``adl``: accounts are deleveraged for the losses of others, or soon will be.

It states facts and has no budget of false alarms. Where both sides are published it says who paid
and whether it was their turn by the usual queue: profit times leverage, the highest first.
"""

import math
from collections import OrderedDict, deque

import numpy as np
from msgspec import Struct

from detectors.conduct.detector import Scene
from detectors.conduct.incident import Verdict
from detectors.conduct.liquidations import COUNTERPARTY
from detectors.fairness.queue import Candidate, Deleveraging, out_of_turn
from detectors.incidents.alerts import Evidence
from detectors.incidents.kind import ADL
from detectors.incidents.market_wide import MARKET
from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Position
from detectors.market_data.risk_events import Insurance, Liquidation
from detectors.risk_watch.cascade import money
from detectors.risk_watch.holdings import WHOLE_VENUE, Holdings
from detectors.risk_watch.monitor import RiskInput
from detectors.risk_watch.output import Statement

QUEUE = "pnl_ratio_leverage"
"""The order that large venues state: Binance's and Bybit's ranking."""

HAPPENED_NS = 300_000_000_000
"""A deleveraging counts as going on for so long after the last one."""

LOSSES_NS = 600_000_000_000
"""A fund is near its end if it holds less than it paid in this time, and what is open now."""

MOST_QUEUES = 60
"""Deleveragings of a symbol a minute whose queue is read: that takes a pass over its positions."""

MOST_BEFORE = 1_024
MOST_LOSSES = 4_096
MOST_TARGETS = 10_000

_MINUTE_NS = 60_000_000_000


class Paid(Struct):
    """What deleveraging has taken in a symbol since it began.

    Attributes
    ----------
    last_ns
        Time of the last one.
    count, notional
        How many, and how much left bankrupt positions.
    cost
        How much worse than the mark price the other side was closed.
    targets
        The accounts of the other side.
    judged, late
        Notional whose queue is known, and its part of accounts whose turn it was not.
    """

    last_ns: int = 0
    count: int = 0
    notional: float = 0.0
    cost: float = 0.0
    targets: set[str] = set()
    judged: float = 0.0
    late: float = 0.0


class Adl:
    """Deleveraging in each symbol, and how near it is."""

    name, version = ADL, 1
    quiet_ns = 60_000_000_000
    over = "nobody is deleveraged any more, and the insurance fund bears what is open"
    needs: tuple[str, ...] = ("liquidations", "insurance", "positions")

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self._paid: dict[str, Paid] = {}
        self._open: Deleveraging | None = None
        self._queues: dict[str, tuple[int, int]] = {}
        self._before: OrderedDict[tuple[str, str], tuple[int, Candidate]] = OrderedDict()
        self._active: dict[str, int] = {}
        self._losses: dict[str, deque[tuple[int, float]]] = {}
        self._short: dict[tuple[str, str], tuple[int, float]] = {}

    def take(self, event: RiskInput, scene: Scene) -> None:
        """Take a liquidation, a balance of a fund, or a position while some are liquidated."""
        if isinstance(event, Liquidation):
            self._active[event.symbol] = event.ts_event
            if event.method == "adl":
                self._deleverage(event, scene.holdings)
            else:
                self._note_shortfall(event)
        elif isinstance(event, Insurance):
            if event.cause == "loss" and event.delta is not None:
                paid = self._losses.setdefault(event.symbol, deque(maxlen=MOST_LOSSES))
                paid.append((event.ts_event, -event.delta))
        elif isinstance(event, Position) and event.symbol in self._active:
            self._remember(event, scene.holdings)

    def summarise(self, symbol: str, ends_at: int, summary: BookSummary) -> None:
        """Do nothing with it."""

    def judge(self, ts_event: int, scene: Scene) -> dict[str, Verdict]:
        """Return where accounts are deleveraged, or would be by the next bankruptcies."""
        self._close()
        for symbol in [its for its, at in self._active.items() if ts_event - at > LOSSES_NS]:
            del self._active[symbol]
        self._paid = {
            symbol: its for symbol, its in self._paid.items() if ts_event - its.last_ns <= LOSSES_NS
        }
        for key in [its for its, (at, _) in self._short.items() if ts_event - at > LOSSES_NS]:
            del self._short[key]
        found = {
            symbol: _happened(symbol, its, scene.holdings)
            for symbol, its in self._paid.items()
            if ts_event - its.last_ns <= HAPPENED_NS
        }
        for fund in scene.holdings.funds:
            verdict = self._near(fund, ts_event, scene.holdings)
            symbol = MARKET if fund == WHOLE_VENUE else fund
            if verdict is not None and symbol not in found:
                found[symbol] = verdict
        return found

    def _deleverage(self, record: Liquidation, holdings: Holdings) -> None:
        filled = record.quantity_filled or 0.0
        its = self._open
        if its is None or (its.ts_event, its.liquidation_id) != (
            record.ts_event, record.liquidation_id,
        ):  # fmt: skip
            self._close()
            mark = record.mark_price or holdings.of(record.symbol).mark
            its = self._open = Deleveraging(
                record.ts_event, record.symbol, record.liquidation_id, record.price or mark, mark
            )
        if record.reason != COUNTERPARTY:
            its.needed += filled
            if not its.candidates and self._may_read_queue(record):
                before = self._just_before(record)
                held = holdings.quantity(record.account, record.symbol)
                held = held if before is None else before.quantity
                its.candidates = _queue(record.symbol, record.account, held, its.mark, holdings)
            return
        its.closed[record.account] = its.closed.get(record.account, 0.0) + filled
        before = self._just_before(record)
        if before is not None:
            equity = before.equity + before.quantity * its.mark
            others = [one for one in its.candidates if one.account != record.account]
            its.candidates = [
                *others,
                Candidate(record.account, before.quantity, before.entry_price, equity),
            ]

    def _just_before(self, record: Liquidation) -> Candidate | None:
        """Return a position as it was, if its change at this time was published before."""
        at, before = self._before.get((record.symbol, record.account), (0, None))
        return before if at == record.ts_event else None

    def _may_read_queue(self, record: Liquidation) -> bool:
        minute = record.ts_event // _MINUTE_NS
        at, count = self._queues.get(record.symbol, (minute, 0))
        count = count + 1 if at == minute else 1
        self._queues[record.symbol] = (minute, count)
        return count <= MOST_QUEUES

    def _remember(self, position: Position, holdings: Holdings) -> None:
        """Remember a position as it was before a change; its equity is that at a mark of 0."""
        row = holdings.row(position.account, position.symbol)
        if row is None:
            return
        columns = holdings.positions
        quantity, entry = float(columns.quantity[row]), float(columns.entry_price[row])
        key = (position.symbol, position.account)
        at, _ = self._before.get(key, (0, None))
        if at == position.ts_event:
            return  # of several changes at one time the state before the first counts
        margin = math.nan if columns.cross[row] else float(columns.margin[row])
        self._before[key] = (
            position.ts_event,
            Candidate(position.account, quantity, entry, margin - quantity * entry),
        )
        self._before.move_to_end(key)
        if len(self._before) > MOST_BEFORE:
            self._before.popitem(last=False)

    def _note_shortfall(self, record: Liquidation) -> None:
        """Note what an open liquidation lacks."""
        key = (record.symbol, record.liquidation_id)
        equity = record.equity_before
        if record.phase == "end" or (equity is not None and equity >= 0.0):
            self._short.pop(key, None)
        elif equity is not None:
            self._short[key] = (record.ts_event, -equity)
            if len(self._short) > MOST_LOSSES:
                del self._short[next(iter(self._short))]

    def _close(self) -> None:
        """Count the deleveraging that is complete."""
        its, self._open = self._open, None
        if its is None or not (its.needed or its.closed):
            return
        paid = self._paid.setdefault(its.symbol, Paid())
        quantity = max(its.needed, math.fsum(its.closed.values()))
        paid.last_ns = its.ts_event
        paid.count += 1
        paid.notional += quantity * its.mark
        paid.cost += quantity * abs(its.mark - its.price)
        if len(paid.targets) < MOST_TARGETS:
            paid.targets.update(its.closed)
        known = {one.account for one in its.candidates if not math.isnan(one.equity)}
        if its.closed and known >= its.closed.keys():
            paid.judged += math.fsum(its.closed.values()) * its.mark
            paid.late += out_of_turn(its, QUEUE) * its.mark

    def _near(self, fund: str, ts_event: int, holdings: Holdings) -> Verdict | None:
        paid = self._losses.get(fund, deque())
        while paid and ts_event - paid[0][0] > LOSSES_NS:
            paid.popleft()
        if not paid and not self._short:
            return None
        lost = math.fsum(amount for _, amount in paid)
        short = math.fsum(
            amount
            for (symbol, _), (_, amount) in self._short.items()
            if fund in (WHOLE_VENUE, symbol)
        )
        balance = holdings.funds[fund]
        if balance > lost + short or lost + short <= 0.0:
            return None
        lack = f", and open liquidations lack {money(short)} more" if short else ""
        return Verdict(
            "warning", max(1.0, lost + short - balance), None,
            [
                Evidence(self.name, "fund_balance", balance, lost + short, 1.0),
                Evidence(self.name, "losses_10m", lost, 0.0, lost / (lost + short)),
                Evidence(self.name, "open_shortfall", short, 0.0, short / (lost + short)),
            ],
            f"the insurance fund holds {money(balance)}; it paid {money(lost)} in ten minutes"
            f"{lack}: the next losses may be deleveraged",
        )  # fmt: skip


def _happened(symbol: str, its: Paid, holdings: Holdings) -> Verdict:
    evidence = [
        Evidence(ADL, "deleveraged_notional", its.notional, 0.0, 1.0),
        Evidence(ADL, "cost_to_the_other_side", its.cost, 0.0, 0.0),
    ]
    who = f" of {len(its.targets)} accounts" if its.targets else ""
    turn = ""
    if its.judged:
        share = its.late / its.judged
        evidence.append(Evidence(ADL, "out_of_turn_ratio", share, 0.0, 0.0))
        turn = f"; {100 * share:.0f} % of it not in the order of profit and leverage"
    steps = "1 step" if its.count == 1 else f"{its.count} steps"
    fund = holdings.fund(symbol)
    left = "" if fund is None else f"; the insurance fund holds {money(fund)}"
    return Verdict(
        "critical", max(1.0, its.notional), None, evidence,
        f"{money(its.notional)}{who} deleveraged in {steps}, at {money(its.cost)} worse"
        f" than the mark price for them{turn}{left}",
    )  # fmt: skip


def _queue(
    symbol: str, bankrupt: str, held: float, mark: float, holdings: Holdings
) -> list[Candidate]:
    """Return the known positions on the other side of a bankrupt one of a signed quantity."""
    if not held:
        return []
    columns = holdings.positions
    rows = columns.rows_of(symbol)
    quantity = columns.quantity[rows]
    rows = rows[quantity * held < 0.0]
    quantity, entry = columns.quantity[rows], columns.entry_price[rows]
    equity = np.where(columns.cross[rows], math.nan, columns.margin[rows])
    equity = equity + quantity * (mark - entry)
    names = [holdings.owner(number) for number in columns.account[rows].tolist()]
    return [
        Candidate(name, *its)
        for name, *its in zip(
            names, quantity.tolist(), entry.tolist(), equity.tolist(), strict=True
        )
        if name != bankrupt
    ]
