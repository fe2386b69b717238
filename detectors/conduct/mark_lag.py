"""The detector ``mark_lag``: the mark price lags the market, and positions depend on it.

A mark price that averages the premium protects from a short dislocation, and carries a longer one
on after the rebound. The detector judges the distance between mark and mid price by its own tail.
It alarms if a distance is rarer than its budget allows *and* positions hang on it: they are
liquidated although the market has come back, or much open interest would already be below
maintenance if the mark price followed at once.
"""

import math
from typing import NamedTuple

from msgspec import Struct

from detectors.conduct.between import Between, between
from detectors.conduct.detector import Scene
from detectors.conduct.incident import Verdict
from detectors.conduct.judged import Judged, Judgement
from detectors.incidents.alerts import Evidence
from detectors.incidents.kind import MARK_LAG as NAME
from detectors.market_data.book_summary import BookSummary
from detectors.risk.ladder import Side
from detectors.risk.marks import MarkRule
from detectors.risk.tiers import Tiers
from detectors.risk_watch.assessment import Assessment
from detectors.risk_watch.cascade import money
from detectors.risk_watch.monitor import RiskInput
from detectors.risk_watch.output import Statement

HIDDEN_RATIO = 0.05
"""So much of the open interest would be below maintenance if the mark price followed at once."""

CARRIED_RATIO = 0.005
"""So much of the open interest is liquidated, or about to be, although the market is back."""

LEAST_LAG_SECONDS = 5.0
"""A shorter lag is a mark price that is published once in a while, and no averaging."""

LEAST_HIDDEN_SECONDS = 5
"""Positions that are hidden for a shorter time hang on one gap in the book."""

UNIT_BPS = 1.0
"""The least scale of the score, which is the distance."""

ENDED_RATIO = 0.25
"""A dislocation is over when it is so much smaller than at its peak."""

CALM_NS = 60_000_000_000
"""After so long without a rare distance the next one is judged anew."""

MARGINS_NS = 60_000_000_000
"""What is forced so soon after other margins took effect, these have forced."""

_SECOND = 1_000_000_000


class _Dislocation:
    """How far the mid price has been from the mark price, in one direction.

    Attributes
    ----------
    began_ns
        When it began.
    area
        The sum of the distance over time, in seconds times a log ratio.
    peak
        The largest distance, signed: above 0 if the mid price is above the mark price.
    carried
        Notional of the better side that was forced meanwhile.
    hidden_seconds
        How many seconds much open interest would have been below maintenance.
    """

    __slots__ = ("area", "began_ns", "carried", "hidden_seconds", "peak")

    def __init__(self, began_ns: int) -> None:
        self.began_ns = began_ns
        self.area = self.peak = self.carried = 0.0
        self.hidden_seconds = 0

    @property
    def lag_seconds(self) -> float:
        """The area over the height: for a jump and an exponential mean, its time constant."""
        return abs(self.area / self.peak) if self.peak else 0.0

    def goes_on(self, distance: float) -> bool:
        """Whether a distance belongs to this dislocation."""
        return distance * self.peak > 0.0 and abs(distance) >= ENDED_RATIO * abs(self.peak)

    def add(self, distance: float, forced: float) -> None:
        self.area += distance
        self.peak = distance if abs(distance) > abs(self.peak) else self.peak
        self.carried += forced


class _Rare(Struct):
    """A rare distance as it was judged at first, and when one as large was seen last."""

    judged: Judgement
    seen_ns: int


class _Lag(NamedTuple):
    """A rare distance at the end of a second, and what depends on it."""

    distance: float
    its: _Dislocation
    judged: Judgement
    hidden: Between | None
    carried: float
    carried_side: Side
    interest: float
    rule: MarkRule | None


class MarkLag:
    """How far the mark price lags the mid price, and which positions depend on it.

    The detector needs references and the books; without positions it knows no damage and is silent.
    """

    name = NAME
    version = 1
    quiet_ns = 60 * _SECOND
    over = "the mark price has caught up with the market"
    needs: tuple[str, ...] = ("references", "positions")

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self._judged = Judged(UNIT_BPS)
        self._dislocations: dict[str, _Dislocation] = {}
        self._rare: dict[str, _Rare] = {}
        self._margins: dict[str, tuple[Tiers | None, int]] = {}
        self._forced: dict[str, BookSummary] = {}

    def take(self, event: RiskInput, scene: Scene) -> None:
        """Do nothing with it: the scene has the mark prices."""

    def summarise(self, symbol: str, _ends_at: int, summary: BookSummary) -> None:
        """Note the forced flow of a bar."""
        self._forced[symbol] = summary

    def judge(self, ts_event: int, scene: Scene) -> dict[str, Verdict]:
        """Return the symbols whose mark price lags, and where that matters."""
        distances: dict[str, float] = {}
        for symbol, book in scene.books.items():
            mark = scene.holdings.of(symbol).mark
            if book.mid > 0.0 and mark > 0.0:
                distance = distances[symbol] = math.log(book.mid / mark)
                self._follow(symbol, ts_event, distance, scene)
        self._forced = {}
        scores = {symbol: abs(its) * 1e4 for symbol, its in distances.items()}
        found = {}
        for symbol, judged in self._judged.judge(ts_event // _SECOND, scores).items():
            rare = self._rare_now(symbol, ts_event, scores[symbol], judged)
            if rare is not None:
                lag = self._lag(symbol, distances[symbol], rare, scene)
                if lag is not None:
                    found[symbol] = _verdict(lag)
        return found

    def _rare_now(
        self, symbol: str, ts_event: int, score: float, judged: Judgement
    ) -> Judgement | None:
        """Return how rare the distance is; None if it is ordinary.

        The rebound belongs to the move before it: both are measured by what was rare at its begin.
        """
        rare = self._rare.get(symbol)
        if rare is None and judged.holds:
            rare = _Rare(judged, ts_event)
            self._rare[symbol] = rare
        if rare is None:
            return None
        if score >= rare.judged.at_alarm:
            rare.seen_ns = ts_event
            return rare.judged
        if ts_event - rare.seen_ns >= CALM_NS:
            del self._rare[symbol]
        return None

    def _follow(self, symbol: str, ts_event: int, distance: float, scene: Scene) -> None:
        its = self._dislocations.get(symbol)
        if its is None or not its.goes_on(distance):
            its = self._dislocations[symbol] = _Dislocation(ts_event)
        tiers, since = self._margins.get(symbol, (None, 0))
        if scene.holdings.of(symbol).tiers != tiers:
            tiers, since = scene.holdings.of(symbol).tiers, ts_event
            self._margins[symbol] = tiers, since
        book, forced = self._forced.get(symbol), 0.0
        if book is not None and ts_event - since >= MARGINS_NS:
            forced = book.forced_sold if distance > 0.0 else book.forced_bought
        its.add(distance, forced)

    def _lag(self, symbol: str, distance: float, judged: Judgement, scene: Scene) -> _Lag | None:
        its, sides = self._dislocations[symbol], scene.assessments.get(symbol, {})
        worse: Side = "long" if distance < 0.0 else "short"
        better: Side = "short" if distance < 0.0 else "long"
        interest = max((side.open_interest for side in sides.values()), default=0.0)
        if not interest > 0.0:
            return None
        terms = scene.holdings.of(symbol)
        mid = scene.books[symbol].mid
        hidden = _between(sides.get(worse), terms.mark, mid)
        waiting = _between(sides.get(better), mid, terms.mark)
        carried = its.carried + (waiting.notional if waiting is not None else 0.0)
        is_hidden = hidden is not None and hidden.notional >= HIDDEN_RATIO * interest
        its.hidden_seconds += is_hidden
        if its.lag_seconds < LEAST_LAG_SECONDS:
            return None
        is_hidden &= its.hidden_seconds >= LEAST_HIDDEN_SECONDS
        if not is_hidden and carried < CARRIED_RATIO * interest:
            return None
        rule = terms.mark_rule
        return _Lag(distance, its, judged, hidden, carried, better, interest, rule)


def _between(its: Assessment | None, safe: float, beyond: float) -> Between | None:
    return None if its is None else between(its.ladder, safe, beyond)


def _verdict(lag: _Lag) -> Verdict:
    hidden = lag.hidden.notional if lag.hidden is not None else 0.0
    is_carried = lag.carried >= CARRIED_RATIO * lag.interest
    score = abs(lag.distance) * 1e4
    where = "above" if lag.distance > 0.0 else "below"
    lasts = f"{lag.its.lag_seconds:.0f} s"
    parts = [f"the mid price is {abs(lag.distance):.2%} {where} the mark price, lagging by {lasts}"]
    if lag.rule is not None and lag.rule.kind != "last":
        parts.append(f" (declared: {lag.rule.kind} over {lag.rule.seconds:g} s)")
    if is_carried:
        parts.append(
            f". {money(lag.carried)} of {lag.carried_side}s"
            f" ({lag.carried / lag.interest:.1%} of open interest) are liquidated although the"
            " market has come back"
        )
    if lag.hidden is not None and hidden >= HIDDEN_RATIO * lag.interest:
        parts.append(
            f". {money(hidden)} of {lag.hidden.side}s ({hidden / lag.interest:.0%} of open"
            f" interest, {lag.hidden.accounts} accounts) would be below maintenance if it followed"
            " at once"
        )
    return Verdict(
        severity="critical" if is_carried else "warning",
        score=score,
        p_value=lag.judged.p_value,
        evidence=[
            Evidence(NAME, "distance_bps", score, lag.judged.at_alarm, 1.0),
            Evidence(NAME, "lag_seconds", lag.its.lag_seconds, 0.0, 0.0),
            Evidence(NAME, "carried_notional", lag.carried, 0.0, 0.0),
            Evidence(NAME, "hidden_notional", hidden, 0.0, 0.0),
        ],
        summary="".join(parts),
    )
