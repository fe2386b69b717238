"""The detector ``execution_quality``: large orders break up, pay more, and the spread is wide.

Each of the three is ordinary: a large order, a costly minute, a wide spread. Together, and each far
beyond what is usual in the symbol, they say that it cannot be traded as it was. It is judged by the
worst of the three, so all have to be rare.
"""

import math
from collections import deque

from msgspec import Struct, field

from detectors.conduct.detector import Scene
from detectors.conduct.incident import Verdict
from detectors.conduct.judged import Judged
from detectors.incidents.alerts import Evidence
from detectors.incidents.kind import EXECUTION_QUALITY
from detectors.market_data.bar import WIDEST_SPREAD_BPS
from detectors.market_data.book_summary import MANY_PIECES, BookSummary
from detectors.risk_watch.cascade import money
from detectors.risk_watch.monitor import RiskInput
from detectors.risk_watch.output import Statement

WINDOW_SECONDS = 60
"""Orders of the last minute are judged together."""

LEAST_ORDERS = 20
"""A minute with fewer orders of aggressors is not judged."""

USUAL_SECONDS = 3_600.0
"""The time constant in which the usual values are averaged."""

LEAST_SECONDS = 600
"""A symbol has usual values after so many judged seconds."""

FORGET_NS = 86_400_000_000_000
"""A symbol without a bar for so long is forgotten, so that listings do not pile up."""

LEAST_PIECED_RATIO = 0.02
LEAST_SHORTFALL_BPS = 1.0
LEAST_SPREAD_BPS = 0.5
"""The least standard deviations of the three: what never varies is not rare at once."""

_SECOND_NS = 1_000_000_000
_MOST_SCORE = 1e6


class Usual(Struct):
    """Mean and variance of a value with exponential forgetting."""

    mean: float = 0.0
    variance: float = 0.0

    def sigmas(self, value: float, least: float) -> float:
        """Return how far above the mean a value is, in standard deviations of at least ``least``.

        >>> Usual(mean=1.0, variance=4.0).sigmas(5.0, least=0.5)
        2.0
        """
        return (value - self.mean) / max(least, math.sqrt(self.variance))

    def learn(self, value: float, weight: float) -> None:
        """Add a value."""
        ahead = value - self.mean
        self.mean += weight * ahead
        self.variance = (1.0 - weight) * (self.variance + weight * ahead * ahead)


class Minute(Struct, frozen=True):
    """What a symbol's aggressors got in a minute: the three that are judged, and their money."""

    pieced_ratio: float
    shortfall_bps: float
    spread_bps: float
    orders: float
    shortfall: float


class Sums(Struct):
    """Sums over the bars of a minute; see `BookSummary`."""

    bars: int = 0
    orders: float = 0.0
    pieced: float = 0.0
    traded: float = 0.0
    shortfall: float = 0.0
    spread_bps: float = 0.0

    def add(self, bar: BookSummary, sign: float) -> None:
        """Add a bar, or take it out again with a sign of -1."""
        self.bars += int(sign)
        self.orders += sign * bar.taker_orders
        self.pieced += sign * bar.pieced_orders
        self.traded += sign * (bar.bought + bar.sold)
        self.shortfall += sign * bar.shortfall
        self.spread_bps += sign * min(bar.spread_bps, WIDEST_SPREAD_BPS)


class Execution(Struct):
    """The last minute of a symbol, and what is usual there."""

    bars: deque[tuple[int, BookSummary]] = field(default_factory=deque)
    sums: Sums = field(default_factory=Sums)
    last_ns: int = 0
    seconds: int = 0
    pieced: Usual = field(default_factory=Usual)
    shortfall: Usual = field(default_factory=Usual)
    spread: Usual = field(default_factory=Usual)

    def add(self, ends_at: int, bar: BookSummary) -> None:
        """Add a bar."""
        self.last_ns = ends_at
        self.bars.append((ends_at, bar))
        self.sums.add(bar, 1.0)

    def drop(self, until_ns: int) -> None:
        """Take out the bars that end at a time or before."""
        while self.bars and self.bars[0][0] <= until_ns:
            self.sums.add(self.bars.popleft()[1], -1.0)
        if not self.bars:
            self.sums = Sums()  # no rounding of differences stays


class ExecutionQuality:
    """How the orders of each symbol's aggressors are executed."""

    name, version = EXECUTION_QUALITY, 1
    quiet_ns = 120_000_000_000
    over = "orders are executed as usual again"
    needs: tuple[str, ...] = ("trades",)

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self._symbols: dict[str, Execution] = {}
        self._judged = Judged(unit=0.25)

    def take(self, event: RiskInput, scene: Scene) -> None:
        """Do nothing: the books say it."""

    def summarise(self, symbol: str, ends_at: int, summary: BookSummary) -> None:
        """Take a bar."""
        its = self._symbols.get(symbol)
        if its is None:
            its = self._symbols[symbol] = Execution()
        its.add(ends_at, summary)

    def judge(self, ts_event: int, _scene: Scene) -> dict[str, Verdict]:
        """Return the symbols whose last minute is too rare, all three values together."""
        scores, minutes = {}, {}
        for symbol, its in self._symbols.items():
            its.drop(ts_event - WINDOW_SECONDS * _SECOND_NS)
            minute = _minute(its.sums)
            if minute is None:
                continue  # what is usual stays: a market closes and opens again
            if its.seconds >= LEAST_SECONDS:
                scores[symbol] = _score(its, minute)
                minutes[symbol] = minute
            _learn(its, minute)
        if ts_event // _SECOND_NS % 3_600 == 0:
            self._symbols = {
                symbol: its
                for symbol, its in self._symbols.items()
                if ts_event - its.last_ns <= FORGET_NS
            }
        found = {}
        for symbol, judgement in self._judged.judge(ts_event // _SECOND_NS, scores).items():
            if judgement.holds:
                found[symbol] = _verdict(
                    self._symbols[symbol], minutes[symbol], scores[symbol],
                    at_alarm=judgement.at_alarm, p_value=judgement.p_value,
                )  # fmt: skip
        return found


def _minute(sums: Sums) -> Minute | None:
    """Return what the bars say; None if too few orders traded."""
    if sums.orders < LEAST_ORDERS or sums.traded <= 0.0:
        return None
    return Minute(
        sums.pieced / sums.orders,
        sums.shortfall / sums.traded * 1e4,
        sums.spread_bps / sums.bars,
        sums.orders,
        sums.shortfall,
    )


def _score(its: Execution, minute: Minute) -> float:
    """Return the least of the three, in standard deviations above what is usual; at least 0."""
    least = min(
        its.pieced.sigmas(minute.pieced_ratio, LEAST_PIECED_RATIO),
        its.shortfall.sigmas(minute.shortfall_bps, LEAST_SHORTFALL_BPS),
        its.spread.sigmas(minute.spread_bps, LEAST_SPREAD_BPS),
    )
    return min(max(0.0, least), _MOST_SCORE)


def _learn(its: Execution, minute: Minute) -> None:
    its.seconds += 1
    weight = max(1.0 / its.seconds, 1.0 / USUAL_SECONDS)
    its.pieced.learn(minute.pieced_ratio, weight)
    its.shortfall.learn(minute.shortfall_bps, weight)
    its.spread.learn(minute.spread_bps, weight)


def _verdict(
    its: Execution, minute: Minute, score: float, *, at_alarm: float, p_value: float
) -> Verdict:
    usual = max(its.shortfall.mean, 0.0)
    beyond = minute.shortfall * max(0.0, 1.0 - usual / minute.shortfall_bps)
    evidence = [
        Evidence(EXECUTION_QUALITY, name, value, known.mean, 1.0 / 3.0)
        for name, value, known in (
            ("pieced_orders_ratio", minute.pieced_ratio, its.pieced),
            ("shortfall_bps", minute.shortfall_bps, its.shortfall),
            ("spread_bps", minute.spread_bps, its.spread),
        )
    ]
    return Verdict(
        "critical" if at_alarm > 0.0 and score > 2.0 * at_alarm else "warning",
        score,
        p_value,
        evidence,
        f"aggressors pay {minute.shortfall_bps:.1f} bps beyond the mid price, usually {usual:.1f};"
        f" {100 * minute.pieced_ratio:.0f} % of {minute.orders:.0f} orders take {MANY_PIECES}"
        f" trades or more, usually {100 * its.pieced.mean:.0f} %; the spread is"
        f" {minute.spread_bps:.1f} bps, usually {its.spread.mean:.1f}: {money(beyond)} more than"
        " usual in a minute",
    )
