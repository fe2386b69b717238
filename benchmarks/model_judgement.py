"""From every bar's scores to what a model finds, at the threshold that calm markets allow it."""

import statistics
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from model_markets import Market
from model_rivals import Scores
from msgspec import Struct
from numpy.typing import NDArray

from service.exchange.measures import Truth
from service.exchange.simulation import START_NS
from service.scorecard.matrix import MUST_ALARM, START_SECONDS
from service.scorecard.score import GRACE_NS, MEASURED, QUIET_NS, RECOVERY_NS, SECOND

Alarms = NDArray[np.bool_]

FIRST_NS = START_NS + round(START_SECONDS * SECOND)
"""Before this, half an hour after the beginning, nothing is judged."""


class Tape(Struct):
    """One symbol of one market: when its bars closed and every model's scores of them.

    ``counted`` marks the bars in which an alarm is false, if nothing was provoked: those after the
    first half hour that are not under the impression of makers that left or of a cascade.
    ``sought`` is the time in which an alarm finds what was provoked.
    """

    scenario: str
    times: NDArray[np.int64]
    arrays: dict[str, Scores]
    features: dict[str, list[str]]
    counted: NDArray[np.bool_]
    sought: tuple[int, int]


class Result(Struct):
    """What one model, or one set of features, came to at its thresholds."""

    sought: Counter[str]
    delays: dict[str, list[float]]
    false: Counter[str]

    def recall(self, kinds: Iterable[str]) -> tuple[int, int]:
        """Episodes of these kinds that were found, and all of them."""
        kinds = tuple(kinds)
        return sum(len(self.delays[k]) for k in kinds), sum(self.sought[k] for k in kinds)

    def delay(self, kinds: Iterable[str]) -> float | None:
        """The median delay, in seconds, of those of these kinds that were found."""
        delays = [delay for kind in kinds for delay in self.delays[kind]]
        return statistics.median(delays) if delays else None


def tapes(market: Market, arrays: dict[str, Scores]) -> list[Tape]:
    """A market's symbols, ready to be judged."""
    found = []
    for symbol in market.symbols:
        times = np.array(symbol.times)
        counted = times > FIRST_NS
        its = [truth for truth in market.truths if truth.symbol == symbol.symbol]
        for truth in its:
            if truth.kind in MEASURED:
                counted &= (times < truth.starts_at) | (times > truth.ends_at + RECOVERY_NS)
        own = {
            name.removeprefix(f"{symbol.symbol} "): scores
            for name, scores in arrays.items()
            if name.startswith(f"{symbol.symbol} ")
        }
        features = {name: track.features for name, track in symbol.tracks.items()}
        found.append(
            Tape(market.trial.scenario, times, own, features, counted, _sought(market, its))
        )
    return found


def _sought(market: Market, truths: Sequence[Truth]) -> tuple[int, int]:
    """From when to when an alarm finds what was provoked; nothing where no cascade came of it."""
    provoked = [truth for truth in truths if truth.kind not in MEASURED]
    if market.trial.scenario not in MUST_ALARM:
        return 0, 0
    starts_at = min(truth.starts_at for truth in provoked)
    ends_at = max(truth.ends_at for truth in provoked)
    if market.trial.scenario == "cascade":
        onsets = [t for t in truths if t.kind == "cascade" and t.starts_at > starts_at]
        if not onsets:
            return 0, 0
        ends_at = max(ends_at, onsets[0].ends_at)
    return starts_at, ends_at + GRACE_NS


def level(judged: Sequence[tuple[NDArray[np.int64], Scores]], allowed: int) -> float:
    """The least score such that all scores above it make no more than so many incidents.

    Bars are taken in the order of their scores, the highest first, until there is one incident too
    many: a bar begins one, joins one, or joins two to one.
    """
    scores = np.concatenate([s for _, s in judged])
    times = np.concatenate([t for t, _ in judged])
    of = np.repeat(np.arange(len(judged)), [len(t) for t, _ in judged])
    alarms: list[list[int]] = [[] for _ in judged]
    incidents = 0
    for bar in np.argsort(-scores, kind="stable"):
        its, at = alarms[of[bar]], int(times[bar])
        place = bisect(its, at)
        before = place > 0 and at - its[place - 1] <= QUIET_NS
        after = place < len(its) and its[place] - at <= QUIET_NS
        together = before and after and its[place] - its[place - 1] <= QUIET_NS
        incidents += 1 - before - after + together
        if incidents > allowed:
            return float(scores[bar])
        its.insert(place, at)
    return -np.inf


def threshold(all_tapes: Sequence[Tape], scores: Sequence[Scores], allowed: int) -> float:
    """The level that calm markets allow."""
    judged = []
    for tape, its in zip(all_tapes, scores, strict=True):
        if tape.scenario == "calm":
            counted = tape.counted & ~np.isnan(its)
            judged.append((tape.times[counted], its[counted]))
    return level(judged, allowed)


def alarms(all_tapes: Sequence[Tape], scores: Sequence[Scores], allowed: int) -> list[Alarms]:
    """Which bars of each tape are alarms, at the threshold that calm allows."""
    least = threshold(all_tapes, scores, allowed)
    return [its > least for its in scores]


def judge(all_tapes: Sequence[Tape], raised: Sequence[Alarms]) -> Result:
    """What alarms come to in the markets in which something was provoked."""
    result = Result(Counter(), defaultdict(list), Counter())
    for tape, its in zip(all_tapes, raised, strict=True):
        if tape.scenario in MUST_ALARM and tape.sought[1]:
            starts_at, ends_at = tape.sought
            result.sought[tape.scenario] += 1
            inside = tape.times[its & (tape.times > starts_at) & (tape.times <= ends_at)]
            if len(inside):
                result.delays[tape.scenario].append((int(inside[0]) - starts_at) / SECOND)
        elif tape.scenario not in MUST_ALARM and tape.scenario != "calm":
            at = tape.times[its & tape.counted]
            result.false[tape.scenario] += int(len(at) > 0) + int(np.sum(np.diff(at) > QUIET_NS))
    return result
