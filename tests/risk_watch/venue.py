"""A small venue: positions that a stated fall liquidates, and flow with a stated impact."""

import math
import random

from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Margin, Position, Reference
from detectors.market_data.risk_events import Account
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.output import RiskOutput

SECOND = 1_000_000_000
BEGIN = 1_767_225_600_000_000_000
MARK = 100.0
MAINTENANCE = 0.01


def margin(symbol="X", at=BEGIN, **changes):
    fields = {"maintenance_margin_rate": MAINTENANCE, "initial_margin_rate": 0.02, **changes}
    return Margin(ts_event=at, symbol=symbol, **fields)


def reference(symbol="X", at=BEGIN, *, mark=MARK, open_interest=1_000.0):
    return Reference(ts_event=at, symbol=symbol, mark_price=mark, open_interest=open_interest)


def position(account, quantity, move, symbol="X", at=BEGIN, **changes):
    """A position that a move of the mark price (against it, a ratio) liquidates."""
    sign = math.copysign(1.0, quantity)
    trigger = MARK * (1.0 - sign * move)
    # margin + q (p - e) = m |q| p, at the entry price MARK
    collateral = MAINTENANCE * abs(quantity) * trigger - quantity * (trigger - MARK)
    fields = {"margin": collateral, **changes}
    return Position(
        ts_event=at, symbol=symbol, account=account, quantity=quantity, entry_price=MARK, **fields
    )


class Venue:
    """Feeds a monitor second by second; the flow of symbol X moves its price by ``slope``."""

    def __init__(self, slope=1e-6, seed=1, flow=1_000.0, **limits):
        self.monitor = RiskMonitor(**limits)
        self.output = RiskOutput()
        self.now = BEGIN
        self.mid = MARK
        self.slope = slope
        self.flow = flow
        self.random = random.Random(seed)

    def take(self, *events):
        for event in events:
            self.keep(self.monitor.take(event))

    def keep(self, output):
        self.output.records += output.records
        self.output.alerts += output.alerts

    def run(self, seconds, *, forced_sold=0.0, depth=1e5, factor=1.0):
        """Let seconds pass; ``forced_sold`` a second moves the price ``factor`` times as much."""
        flow = self.flow
        for _ in range(seconds):
            self.now += SECOND
            net = self.random.gauss(0.0, flow)
            self.mid *= math.exp(self.slope * (net - factor * forced_sold))
            summary = BookSummary(
                self.mid,
                1.0,
                (depth,) * 4,
                (depth,) * 4,
                bought=max(net, 0.0) + flow,
                sold=max(-net, 0.0) + flow + forced_sold,
                forced_sold=forced_sold,
            )
            self.keep(self.monitor.summarise("X", self.now, summary))
        self.keep(self.monitor.close_until(self.now))

    def last(self, side="long", symbol="X"):
        return [its for its in self.output.records if (its.side, its.symbol) == (side, symbol)][-1]

    def statuses(self):
        return [(its.status, its.severity, its.update) for its in self.output.alerts]


def crowd(total, move, accounts=20, symbol="X", at=BEGIN, prefix=""):
    """Longs of ``total`` quantity that are liquidated around a fall of ``move``."""
    return [
        position(f"{prefix}{n}", total / accounts, move * (1 + 0.01 * n), symbol, at)
        for n in range(accounts)
    ]


def near(move=0.008, total=900.0, accounts=20):
    """A venue whose longs are liquidated around a fall of ``move``; its impact is known."""
    venue = Venue(slope=2e-6, flow=100.0)
    venue.take(margin(), reference(), position("s", -1_000.0, 0.5))
    venue.run(300)
    venue.take(*crowd(total, move, accounts, at=venue.now))
    return venue


def cross(account, x, y, spare_ratio, at):
    """A cross account over X and Y whose slack a fall of X by a ratio uses up."""
    slack = (100.0 * x - 0.01 * 100.0 * x) * spare_ratio
    required = 0.01 * 100.0 * (abs(x) + abs(y))
    return [
        position(account, x, 0.5, at=at, margin=None, margin_mode="cross"),
        position(account, y, 0.5, symbol="Y", at=at, margin=None, margin_mode="cross"),
        Account(ts_event=at, account=account, collateral_value=slack + required),
    ]


def shared(*, y=100.0, spare=0.005, accounts=9, open_interest=1_000.0, slope=2e-7, told=()):
    """A venue in which a fall of X closes cross accounts that hold Y as well."""
    venue = Venue(slope=slope, flow=100.0)
    venue.monitor.resume([], told)
    venue.take(
        margin(), margin("Y"), reference(open_interest=open_interest),
        reference("Y", open_interest=open_interest),
        position("s", -1_000.0, 0.5), position("s", -1_000.0, 0.5, symbol="Y"),
        position("l", 100.0, 0.5), position("l", 1_000.0 - accounts * y, 0.5, symbol="Y"),
    )  # fmt: skip
    venue.run(300)
    for number in range(accounts):
        venue.take(*cross(f"c{number}", 100.0, y, spare, venue.now))
    return venue
