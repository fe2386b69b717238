"""A venue of one symbol whose liquidations a test writes by hand, second by second."""

import math

from detectors.conduct.detector import Scene
from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Margin, Position, Reference
from detectors.market_data.risk_events import Insurance, Liquidation
from detectors.risk_watch.holdings import Holdings
from detectors.risk_watch.monitor import WHOLE

SECOND = 1_000_000_000
BEGIN = 1_767_225_600_000_000_000
DEPTH = (1e5, 1e5, 1e5, 1e5)


class Desk:
    """Feeds detectors as the monitor does; prices stay until they are set."""

    def __init__(self, *detectors, rule=WHOLE, maintenance=0.01, **margin):
        self.detectors = detectors
        self.holdings = Holdings(10_000, rule)
        self.books = {}
        self.now = BEGIN
        self.mid = self.mark = self.index = 100.0
        self.verdicts = []
        self.statements = []
        self.number = 0
        self.take(
            Margin(
                ts_event=BEGIN, symbol="X", maintenance_margin_rate=maintenance,
                initial_margin_rate=2 * maintenance, **margin,
            )
        )  # fmt: skip

    @property
    def scene(self):
        return Scene(self.holdings, self.books, {})

    def take(self, event):
        for detector in self.detectors:
            detector.take(event, self.scene)
        holdings = self.holdings
        if isinstance(event, Margin):
            holdings.put_margin(event)
        elif isinstance(event, Position):
            holdings.put_position(event)
        elif isinstance(event, Reference):
            holdings.put_reference(event)
        elif isinstance(event, Insurance):
            holdings.put_fund(event)

    def position(self, account, quantity, margin, entry=100.0):
        self.take(
            Position(
                ts_event=self.now, symbol="X", account=account, quantity=quantity,
                entry_price=entry, margin=margin,
            )
        )  # fmt: skip

    def record(self, liquidation_id, account, phase, after=0.0, **fields):
        self.take(
            Liquidation(
                ts_event=self.now + round(after * SECOND), symbol="X",
                liquidation_id=liquidation_id, account=account, phase=phase,
                mark_price=fields.pop("mark", self.mark), index_price=self.index, **fields,
            )
        )  # fmt: skip

    def run(self, seconds, **summary):
        """Let seconds pass at these prices; ``summary`` are fields of each bar's."""
        for _ in range(round(seconds)):
            self.now += SECOND
            book = BookSummary(self.mid, 1.0, DEPTH, DEPTH, last_price=self.mid, **summary)
            for detector in self.detectors:
                detector.summarise("X", self.now, book)
            self.books["X"] = book
            self.take(
                Reference(
                    ts_event=self.now, symbol="X", mark_price=self.mark, index_price=self.index,
                    open_interest=1_000.0,
                )
            )  # fmt: skip
            for detector in self.detectors:
                verdicts = detector.judge(self.now, self.scene)
                self.verdicts += [(self.now, detector.name, *each) for each in verdicts.items()]
                self.statements += detector.statements
                detector.statements.clear()

    def liquidate(
        self, account, quantity, *, take, price, wait=0, slack=-1.0, fee=None, method="book"
    ):
        """Let a long fall below maintenance and be closed in part, in one slice.

        ``take`` is the closed quantity, ``wait`` how many seconds it is below before. The trigger
        is 99.5; the mark price falls so far below that it is ``slack`` short of its requirement.
        """
        self.number += 1
        name = f"L{self.number}"
        trigger = 99.5
        margin = 0.01 * quantity * trigger - quantity * (trigger - 100.0)
        self.position(account, quantity, margin)
        self.mark = trigger + slack / (quantity * 0.99)
        equity = margin + quantity * (self.mark - 100.0)
        required = 0.01 * quantity * self.mark
        self.run(wait)
        self.record(
            name, account, "start", 0.1, equity_before=equity, maintenance_before=required,
            quantity_requested=quantity,
        )  # fmt: skip
        self.position(account, quantity - take, margin * (1.0 - take / quantity))
        self.record(
            name, account, "slice", 0.2, method=method, quantity_requested=take,
            quantity_filled=take, price=price, equity_before=equity, maintenance_before=required,
            fee=fee, order_id=name,
        )  # fmt: skip
        self.record(name, account, "end", 0.3)
        self.mark = 100.0
        return name


def needed(quantity, mark, margin, rate=0.01):
    """The textbook: delta = (m P |q| - E) / (m P)."""
    equity = margin + quantity * (mark - 100.0)
    return (rate * mark * quantity - equity) / (rate * mark) if equity > 0.0 else math.nan
