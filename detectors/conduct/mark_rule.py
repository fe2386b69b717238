"""The detector ``mark_rule_broken``: the mark price is not what the venue's own rule gives.

The rule is the one that the venue publishes: method, window, and largest distance from the index.
Here the mid price is known once a second, and the venue samples it more often. So the mark is
recomputed twice, along the lowest and along the highest mid price that may have been. Only what is
outside both counts.
"""

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from detectors.conduct.between import Between, between
from detectors.conduct.detector import Scene
from detectors.conduct.incident import Verdict
from detectors.incidents.alerts import Evidence
from detectors.incidents.kind import MARK_RULE_BROKEN as NAME
from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Reference
from detectors.risk.mark_path import averaged, excursion, is_frozen, price_of, window_mean
from detectors.risk.marks import MarkRule
from detectors.risk_watch.cascade import money
from detectors.risk_watch.holdings import Terms
from detectors.risk_watch.monitor import RiskInput
from detectors.risk_watch.output import Statement

TOLERANCE_BPS = 2.0
"""How far outside of both recomputed marks a published one may be."""

REMEMBERED = 60
LEAST_OFF = 10
LEAST_BEYOND = 3
"""Of so many references this many must be off the rule, or beyond the clamp."""

MATERIAL_RATIO = 0.01
"""The incident is critical if so much of the open interest is liquidated by the difference."""

EXCURSION_PROBABILITY = 1e-6
_CLAMP_ROUNDING = 1e-6
_SECOND = 1_000_000_000
_MOST_BARS = 64
_MOST_REFERENCES = 1_024
_MEMORY = 0.1
"""The share of the newest squared return in the variance of the mid price."""

_TESTABLE = ("ema_premium", "ema_price", "sma")


class _Sample(NamedTuple):
    """What the venue's average took in between two references, at the lowest and at the highest."""

    seconds: float
    low: float
    high: float


class _Track:
    """The references of one symbol, and the marks that its rule gives."""

    __slots__ = (
        "beyond", "expected", "high", "index_mid", "index_since", "last", "low", "mids", "off",
        "rule", "samples", "variance", "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self.mids: deque[tuple[int, float]] = deque(maxlen=_MOST_BARS)
        self.variance = 0.0
        self.waiting: list[Reference] = []
        self.last: Reference | None = None
        self.rule: MarkRule | None = None
        self.low = self.high = math.nan
        self.samples: deque[_Sample] = deque(maxlen=_MOST_REFERENCES)
        self.off: deque[float] = deque(maxlen=REMEMBERED)
        self.beyond: deque[float] = deque(maxlen=REMEMBERED)
        self.expected = math.nan
        self.index_since, self.index_mid = 0, math.nan

    def add_mid(self, ends_at: int, mid: float) -> None:
        if self.mids:
            moved = math.log(mid / self.mids[-1][1])
            self.variance += _MEMORY * (moved * moved - self.variance)
        self.mids.append((ends_at, mid))

    def follow(self, terms: Terms) -> None:
        """Compare the references of a second with what the rule gives."""
        waiting, self.waiting = self.waiting, []
        for reference in waiting:
            index = reference.index_price
            if index is None or reference.mark_price is None or not self.mids:
                continue
            if self.last is None or index != self.last.index_price:
                self.index_since, self.index_mid = reference.ts_event, self.mids[-1][1]
            if self.last is not None and reference.ts_event <= self.last.ts_event:
                continue
            self._compare(reference.mark_price, index, reference.ts_event, terms)
            self.last = reference

    def _compare(self, mark: float, index: float, ts_event: int, terms: Terms) -> None:
        clamp = terms.mark_clamp
        if not math.isnan(clamp):
            distance = abs(mark / index - 1.0)
            self.beyond.append(max(distance - clamp - _CLAMP_ROUNDING, 0.0) * 1e4)
        rule = terms.mark_rule
        if rule is None or terms.mark_method not in _TESTABLE:
            self.rule = None
            return
        last = self.last
        if last is None or last.index_price is None or not self._begun(rule):
            self.rule = rule
            self.low = self.high = mark / index - 1.0 if rule.kind == "ema_premium" else mark
            self.samples.clear()
            return
        self.rule = rule
        seconds = (ts_event - last.ts_event) / _SECOND
        low, high = self._mids_since(last.ts_event)
        if rule.kind == "ema_premium":
            low = low / max(index, last.index_price) - 1.0
            high = high / min(index, last.index_price) - 1.0
        self.samples.append(_Sample(seconds, low, high))
        marks = self._marks(rule, index, math.inf if math.isnan(clamp) else clamp)
        if marks is None:
            return
        self.expected = min(max(mark, marks[0]), marks[1])
        self.off.append(abs(mark / self.expected - 1.0) * 1e4)

    def _begun(self, rule: MarkRule) -> bool:
        """Whether the averages are of this kind of rule; another window goes on from them."""
        return self.rule is not None and self.rule.kind == rule.kind

    def _mids_since(self, ts_event: int) -> tuple[float, float]:
        """Return the lowest and the highest mid price that may have been since a time."""
        low = high = self.mids[-1][1]
        for ends_at, mid in reversed(self.mids):
            low, high = min(low, mid), max(high, mid)
            if ends_at <= ts_event:
                break
        beyond = math.exp(excursion(0.0, self.variance, EXCURSION_PROBABILITY))
        return low / beyond, high * beyond

    def _marks(self, rule: MarkRule, index: float, clamp: float) -> tuple[float, float] | None:
        """Return the lowest and the highest mark price that the rule gives."""
        if rule.kind == "sma":
            spans, lows, highs = (np.array(column) for column in zip(*self.samples, strict=True))
            times = np.cumsum(spans)
            low, high = (window_mean(times, its, rule.seconds)[-1] for its in (lows, highs))
            return None if math.isnan(low) else (float(low), float(high))
        newest = self.samples.pop()
        self.low = averaged(self.low, newest.low, newest.seconds, rule.seconds)
        self.high = averaged(self.high, newest.high, newest.seconds, rule.seconds)
        if rule.kind == "ema_price":
            return self.low, self.high
        return price_of(index, self.low, clamp), price_of(index, self.high, clamp)


class MarkRuleBroken:
    """Whether each published mark price follows from the book, the index and the declared rule.

    It needs the method and the window of `Margin` records. Without them only the clamp and an index
    that stands still are watched. A mark of the last price or of a median of sources cannot be
    recomputed from the book.
    """

    name = NAME
    version = 1
    quiet_ns = 60 * _SECOND
    over = "the mark price is what the declared rule gives"
    needs: tuple[str, ...] = ("references", "margins")

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self._tracks: dict[str, _Track] = {}

    def take(self, event: RiskInput, _scene: Scene) -> None:
        """Take a reference; nothing else matters."""
        if isinstance(event, Reference):
            self._track(event.symbol).waiting.append(event)

    def summarise(self, symbol: str, ends_at: int, summary: BookSummary) -> None:
        """Take the mid price at the end of a bar; one that is not above 0 has no logarithm."""
        if summary.mid > 0.0:
            self._track(symbol).add_mid(ends_at, summary.mid)

    def judge(self, ts_event: int, scene: Scene) -> dict[str, Verdict]:
        """Return the symbols whose mark price breaks its rule at the end of a second."""
        found = {}
        for symbol, track in self._tracks.items():
            if track.waiting:
                track.follow(scene.holdings.of(symbol))
            if track.last is not None:
                verdict = _verdict(symbol, track, ts_event, scene)
                if verdict is not None:
                    found[symbol] = verdict
        return found

    def _track(self, symbol: str) -> _Track:
        track = self._tracks.get(symbol)
        if track is None:
            track = self._tracks[symbol] = _Track()
        return track


def _verdict(symbol: str, track: _Track, ts_event: int, scene: Scene) -> Verdict | None:
    mark = scene.holdings.of(symbol).mark
    if sum(off > TOLERANCE_BPS for off in track.off) >= LEAST_OFF and track.rule is not None:
        off = max(track.off)
        harmed = _harmed(symbol, mark, track.expected, scene)
        rule = track.rule
        far = (mark / track.expected - 1.0) * 1e4
        where = "within"
        if abs(far) > TOLERANCE_BPS:
            where = f"{abs(far):.1f} bps {'above' if far >= 0.0 else 'below'}"
        wrong = sum(each > TOLERANCE_BPS for each in track.off)
        return _told(
            off, "off_bps", TOLERANCE_BPS, harmed, symbol, scene,
            f"the mark price is {where} what {rule.kind} over {rule.seconds:g} s can give; {wrong}"
            f" of the last {len(track.off)} were not, by up to {off:.1f} bps",
        )  # fmt: skip
    if sum(beyond > 0.0 for beyond in track.beyond) >= LEAST_BEYOND:
        clamp = scene.holdings.of(symbol).mark_clamp
        harmed = _harmed(symbol, mark, _clamped(symbol, clamp, scene), scene)
        return _told(
            max(track.beyond), "beyond_clamp_bps", 0.0, harmed, symbol, scene,
            f"the mark price was {max(track.beyond):.1f} bps beyond the declared {clamp:.1%} from"
            " the index",
        )  # fmt: skip
    mid = track.mids[-1][1]
    seconds = (ts_event - track.index_since) / _SECOND
    learned = scene.learned.get(symbol)
    if learned is None or math.isnan(track.index_mid):
        return None
    moved = math.log(mid / track.index_mid)
    if not is_frozen(moved, learned.flow.sigma_60s / math.sqrt(60.0), seconds):
        return None
    return _told(
        abs(moved) * 1e4, "moved_bps", 0.0, _harmed(symbol, mark, mid, scene), symbol, scene,
        f"the index has stood still for {seconds:.0f} s while the mid price moved by"
        f" {moved:+.2%}",
    )  # fmt: skip


def _clamped(symbol: str, clamp: float, scene: Scene) -> float:
    terms = scene.holdings.of(symbol)
    return price_of(terms.index, terms.mark / terms.index - 1.0, clamp)


def _harmed(symbol: str, mark: float, right: float, scene: Scene) -> list[Between]:
    """Return who is below maintenance at one of the prices and not at the other."""
    found = []
    for its in scene.assessments.get(symbol, {}).values():
        for safe, beyond in ((right, mark), (mark, right)):
            hit = between(its.ladder, safe, beyond)
            if hit.accounts:
                found.append(hit)
    return found


def _told(
    score: float, feature: str, expected: float, harmed: list[Between], symbol: str, scene: Scene,
    sentence: str,
) -> Verdict:  # fmt: skip
    notional, accounts = sum(its.notional for its in harmed), sum(its.accounts for its in harmed)
    sides = scene.assessments.get(symbol, {}).values()
    interest = max((its.open_interest for its in sides), default=0.0)
    material = interest > 0.0 and notional >= MATERIAL_RATIO * interest
    if accounts:
        who = " and ".join(dict.fromkeys(f"{its.side}s" for its in harmed))
        sentence += (
            f". For {money(notional)} of {who} ({accounts} accounts) it decides whether they are"
            " below maintenance"
        )
    return Verdict(
        severity="critical" if material else "warning",
        score=score,
        p_value=None,
        evidence=[
            Evidence(NAME, feature, score, expected, 1.0),
            Evidence(NAME, "decided_notional", notional, 0.0, 0.0),
            Evidence(NAME, "decided_accounts", float(accounts), 0.0, 0.0),
        ],
        summary=sentence,
    )
