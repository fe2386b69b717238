"""The venue's answers to each account: rate limits, rejections in a row, and how fast they come."""

from collections import deque

from msgspec import Struct

from detectors.audit.outcome import Case, Tally
from detectors.market_data.risk_events import Ack

MAX_ACCOUNTS = 100_000
"""Accounts that are followed one by one; what later ones send is not."""

LEAST_RUN = 20
"""Rejections in a row from which a client is looked at."""

MOST_RUN = 1_000
"""Rejections of a run that are kept."""

BACKOFF_FACTOR = 1.5
"""A client backs off if the later half of its pauses is so much longer than the earlier half."""

_SECOND = 1_000_000_000
RATE_LIMIT = "rate_limit"


class Access(Struct):
    """What one account sent and what was answered.

    ``most_accepted`` is the largest number of orders within a second of which the last was
    accepted, ``least_limited`` the least of which the last was refused for its rate; 0 without.
    """

    orders: int = 0
    limited: int = 0
    rejected: int = 0
    cancels: int = 0
    most_accepted: int = 0
    least_limited: int = 0


class _Run:
    """The recent orders of an account, and its present row of rejections."""

    __slots__ = ("recent", "rejections")

    def __init__(self) -> None:
        self.recent: deque[int] = deque()
        self.rejections: list[int] = []


class Answers:
    """Takes all acknowledgements of a record, in order.

    Parameters
    ----------
    orders_per_second
        The claimed limit; None without one.

    Attributes
    ----------
    accounts
        By account.
    limits
        Orders that the limit decides; a breach is refused below it, or accepted above twice it. In
        between it depends on where a second begins.
    cancels
        Cancels; a breach is refused for its rate.
    runs
        Rows of at least `LEAST_RUN` rejections of an account; a breach is one without backoff.
    """

    def __init__(self, orders_per_second: float | None) -> None:
        self._limit = orders_per_second
        self._open: dict[str, _Run] = {}
        self.accounts: dict[str, Access] = {}
        self.limits = Tally()
        self.cancels = Tally()
        self.runs = Tally()

    def on_ack(self, ack: Ack, account: str) -> None:
        """Take an answer to an account."""
        its = self.accounts.get(account)
        if its is None:
            if len(self.accounts) >= MAX_ACCOUNTS:
                return
            its = self.accounts[account] = Access()
            self._open[account] = _Run()
        if ack.request == "cancel":
            its.cancels += 1
            if ack.rejected_at is not None and ack.reason == RATE_LIMIT:
                story = f"the cancel of order {ack.order_id} was refused for its rate"
                self.cancels.breach(Case(ack.ts_event, ack.symbol, account, 1.0, 0.0, story))
            else:
                self.cancels.held()
            return
        if ack.rejected_at is None and ack.accepted_at is None:
            return
        self._on_order(ack, account, its)

    def close(self) -> None:
        """Judge the rows of rejections that did not end."""
        for account, run in self._open.items():
            self._end_run(account, run)

    def _on_order(self, ack: Ack, account: str, its: Access) -> None:
        at = ack.received_at or ack.ts_event
        run = self._open[account]
        its.orders += 1
        run.recent.append(at)
        while run.recent[0] <= at - _SECOND:
            run.recent.popleft()
        within = len(run.recent)
        if ack.rejected_at is None:
            its.most_accepted = max(its.most_accepted, within)
            self._end_run(account, run)
            if self._limit is not None:
                self._judge(ack, account, within, refused=False)
            return
        its.rejected += 1
        if len(run.rejections) < MOST_RUN:
            run.rejections.append(at)
        if ack.reason == RATE_LIMIT:
            its.limited += 1
            its.least_limited = min(its.least_limited or within, within)
            if self._limit is not None:
                self._judge(ack, account, within, refused=True)

    def _judge(self, ack: Ack, account: str, within: int, *, refused: bool) -> None:
        assert self._limit is not None
        if refused and within <= self._limit:
            story = f"refused for its rate as number {within} within a second"
        elif not refused and within > 2 * self._limit:
            story = f"accepted as number {within} within a second"
        elif not refused and within > self._limit:
            self.limits.edge()
            return
        else:
            self.limits.held()
            return
        size = abs(within - self._limit)
        self.limits.breach(
            Case(ack.ts_event, ack.symbol, account, size, 0.0, f"order {ack.order_id} was {story}")
        )

    def _end_run(self, account: str, run: _Run) -> None:
        times, run.rejections = run.rejections, []
        if len(times) < LEAST_RUN:
            return
        middle = len(times) // 2
        early = (times[middle] - times[0]) / middle
        late = (times[-1] - times[middle]) / max(1, len(times) - 1 - middle)
        if late > BACKOFF_FACTOR * early:
            self.runs.held()
            return
        seconds = (times[-1] - times[0]) / 1e9
        story = (
            f"{len(times):,} orders were refused in a row within {seconds:.1f} s, the later half "
            f"{late / 1e9:.3f} s apart, the earlier {early / 1e9:.3f} s"
        )
        self.runs.breach(Case(times[0], "", account, float(len(times)), 0.0, story))
