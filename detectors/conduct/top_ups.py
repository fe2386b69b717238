"""How long accounts take to answer an announced rise of margins, and so what notice they need."""

from collections import deque
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from detectors.market_data.events import Margin, Position
from detectors.risk.contract import Contract, profit, settlement_price
from detectors.risk.tiers import maintenance
from detectors.risk_watch.holdings import Holdings
from detectors.table import Floats

ANSWERED_SHARE = 0.9
"""The notice that is looked for is enough for this share of the affected accounts."""

LEAST_ANSWERS = 20
"""Accounts that have had to answer earlier changes, below which nothing is said."""

MOST_WATCHED = 4_096
MOST_ANSWERS = 4_096
"""Accounts that are watched at once, and answers that are remembered; the oldest go first."""


class _Watched(Struct):
    """An isolated position that an announced change would liquidate."""

    announced_ns: int
    effective_ns: int
    quantity: float
    margin: float
    contract: Contract


class TopUps:
    """Follows the isolated positions that announced changes would liquidate.

    One has answered as soon as it is above the new maintenance margin by more margin or a smaller
    size. If the change takes effect before that, it has not answered within the notice.

    Attributes
    ----------
    answers
        Seconds from the announcement, and whether the account has answered by then.
    """

    __slots__ = ("_next_ns", "_watched", "answers")

    def __init__(self) -> None:
        self.answers: deque[tuple[float, bool]] = deque(maxlen=MOST_ANSWERS)
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._next_ns = 0

    def watch(self, margin: Margin, holdings: Holdings) -> None:
        """Watch whom a change would liquidate as things stand, if it was announced before."""
        effective, terms = margin.effective_at or 0, holdings.of(margin.symbol)
        announced = min(margin.announced_at or margin.ts_event, margin.ts_event)
        if effective <= margin.ts_event or terms.market is None:
            return
        changed = Holdings(holdings.max_positions, holdings.rule)
        changed.put_margin(replace(margin, effective_at=None))
        tiers = changed.of(margin.symbol).tiers
        if tiers is None:
            return
        now, then = terms.market.contract, Contract(tiers, bool(terms.inverse))
        positions, rows = holdings.positions, holdings.positions.rows_of(margin.symbol)
        rows = rows[~positions.cross[rows]]
        quantity, backing = positions.quantity[rows], positions.margin[rows]
        slack = [
            _slack(its, quantity, positions.entry_price[rows], backing, terms.mark)
            for its in (now, then)
        ]
        for place in np.flatnonzero((slack[0] >= 0.0) & (slack[1] < 0.0)).tolist():
            key = (margin.symbol, holdings.owner(int(positions.account[rows[place]])))
            if key in self._watched:  # an earlier change has not been answered yet
                continue
            if len(self._watched) >= MOST_WATCHED:
                del self._watched[next(iter(self._watched))]
            self._watched[key] = _Watched(
                announced, effective, abs(float(quantity[place])), float(backing[place]), then
            )
        self._next_ns = min((its.effective_ns for its in self._watched.values()), default=0)

    def take(self, position: Position, holdings: Holdings) -> None:
        """Note an answer."""
        key = (position.symbol, position.account)
        its = self._watched.get(key)
        if its is None or position.margin is None:
            return
        if position.quantity == 0.0:  # whether its owner or the venue has closed it is not known
            del self._watched[key]
            return
        acted = position.margin > its.margin or abs(position.quantity) < its.quantity
        if not acted or position.entry_price is None:
            return
        slack = _slack(
            its.contract, np.array([position.quantity]), np.array([position.entry_price]),
            np.array([position.margin]), holdings.of(position.symbol).mark,
        )  # fmt: skip
        if slack[0] >= 0.0:
            self.answers.append(((position.ts_event - its.announced_ns) / 1e9, True))
            del self._watched[key]

    def close(self, ts_event: int) -> None:
        """End the watch of changes that have taken effect."""
        if not self._watched or ts_event < self._next_ns:
            return
        for key, its in list(self._watched.items()):
            if its.effective_ns <= ts_event:
                self.answers.append(((its.effective_ns - its.announced_ns) / 1e9, False))
                del self._watched[key]
        self._next_ns = min((its.effective_ns for its in self._watched.values()), default=0)


def least_notice_seconds(answers: Sequence[tuple[float, bool]]) -> float | None:
    """Return the least notice within which `ANSWERED_SHARE` of the accounts have answered.

    The product-limit estimate (Kaplan and Meier, 1958): an account whose notice ended before its
    answer counts as long as it was watched. None if the share was never reached, or below
    `LEAST_ANSWERS`.

    Examples
    --------
    Twenty accounts, one every ten seconds; then with ten more that had a minute and did not answer:

    >>> answers = [(10.0 * n, True) for n in range(1, 21)]
    >>> least_notice_seconds(answers)
    180.0
    >>> least_notice_seconds(answers + [(60.0, False)] * 10)
    190.0
    >>> least_notice_seconds(answers[:19]) is None
    True
    """
    if len(answers) < LEAST_ANSWERS:
        return None
    silent_share, at_risk = 1.0, len(answers)
    # Of one time the answers come first: who was watched to the end was watched by then.
    for seconds, has_answered in sorted(answers, key=lambda each: (each[0], not each[1])):
        if has_answered:
            silent_share *= 1.0 - 1.0 / at_risk
            if silent_share <= 1.0 - ANSWERED_SHARE + 1e-9:
                return seconds
        at_risk -= 1
    return None


def _slack(
    contract: Contract,
    quantity: Floats,
    entry_price: Floats,
    margin: Floats,
    mark: float,
) -> Floats:
    """Return equity less maintenance margin of each position; NaN if it is unknown."""
    prices = np.full(len(quantity), mark)
    notional = np.abs(quantity) * settlement_price(contract, prices)
    equity = margin + profit(contract, quantity, entry_price, prices)
    return equity - maintenance(contract.tiers, notional)
