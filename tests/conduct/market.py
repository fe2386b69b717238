"""A venue of one symbol whose book and mark price a test moves second by second."""

import math
import random

from detectors.conduct.monitor import ConductMonitor
from detectors.conduct.venue_monitor import VenueMonitor
from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Reference
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.output import RiskOutput
from tests.risk_watch.venue import BEGIN, MARK, SECOND, margin

DECLARED = {"mark_method": "ema_premium", "mark_window_ns": 30 * SECOND, "mark_clamp": 0.05}


class Market:
    """The mark price is the index times one plus the mean premium over ``window`` seconds.

    ``shift`` moves the book against the index, as a log ratio. ``published`` changes the mark price
    before it is published.
    """

    def __init__(self, detector, window=30.0, seed=1, **declared):
        self.monitor = VenueMonitor(RiskMonitor(), ConductMonitor([detector]))
        self.output = RiskOutput()
        self.now = BEGIN
        self.random = random.Random(seed)
        self.window = window
        self.index = MARK
        self.shift = self.premium = 0.0
        self.take(margin(**{**DECLARED, **declared}))

    def take(self, *events):
        for event in events:
            self.output.join(self.monitor.take(event))

    def run(self, seconds, *, shift=0.0, published=lambda mark: mark, index=None, forced=0.0):
        for _ in range(seconds):
            self.now += SECOND
            self.index *= math.exp(self.random.gauss(0.0, 1e-4))
            self.shift += 0.5 * (shift - self.shift)
            mid = self.index * math.exp(self.shift + self.random.gauss(0.0, 3e-5))
            depth = (1e5,) * 4
            self.output.join(
                self.monitor.summarise(
                    "X",
                    self.now,
                    BookSummary(mid, 1.0, depth, depth, 1e3, 1e3 + forced, forced_sold=forced),
                )
            )
            self.premium += -math.expm1(-1.0 / self.window) * (
                mid / self.index - 1.0 - self.premium
            )
            self.take(
                Reference(
                    ts_event=self.now + 1_000,
                    symbol="X",
                    mark_price=published(self.index * (1.0 + self.premium)),
                    index_price=index or self.index,
                    open_interest=1_000.0,
                )
            )

    def alerts(self):
        return [(its.status, its.severity) for its in self.output.alerts]
