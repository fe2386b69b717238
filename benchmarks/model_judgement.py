"""From every bar's scores to a model's recall, at the threshold that calm markets allow."""

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
"""Nothing is judged before this time, half an hour after the start."""


class Tape(Struct):
    """One symbol of one market: its bar times and every model's scores.

    ``counted`` marks the bars in which an alarm is false, if nothing was injected: bars after the
    first half hour, outside the effect of makers that left or of a cascade. ``sought`` is the time
    in which an alarm finds the injection.
    """

    scenario: str
    times: NDArray[np.int64]
    arrays: dict[str, Scores]
    features: dict[str, list[str]]
    counted: NDArray[np.bool_]
    sought: tuple[int, int]


class Result(Struct):
    """The result of one model, or one set of statistics, at its thresholds."""

    sought: Counter[str]
    delays: dict[str, list[float]]
    false: Counter[str]

    def recall(self, kinds: Iterable[str]) -> tuple[int, int]:
        """The number of found episodes of these kinds, and of all episodes of these kinds."""
        kinds = tuple(kinds)
        return sum(len(self.delays[k]) for k in kinds), sum(self.sought[k] for k in kinds)

    def delay(self, kinds: Iterable[str]) -> float | None:
        """The median delay, in seconds, of the found episodes of these kinds."""
        delays = [delay for kind in kinds for delay in self.delays[kind]]
        return statistics.median(delays) if delays else None


def tapes(market: Market, arrays: dict[str, Scores]) -> list[Tape]:
    """A market's symbols, ready to be judged."""
    all_tapes = []
    for symbol in market.symbols:
        times = np.array(symbol.times)
        counted = times > FIRST_NS
        symbol_truths = [truth for truth in market.truths if truth.symbol == symbol.symbol]
        for truth in symbol_truths:
            if truth.kind in MEASURED:
                counted &= (times < truth.starts_at) | (times > truth.ends_at + RECOVERY_NS)
        own = {
            name.removeprefix(f"{symbol.symbol} "): scores
            for name, scores in arrays.items()
            if name.startswith(f"{symbol.symbol} ")
        }
        features = {name: track.features for name, track in symbol.tracks.items()}
        all_tapes.append(
            Tape(
                market.trial.scenario, times, own, features, counted, _sought(market, symbol_truths)
            )
        )
    return all_tapes


def _sought(market: Market, truths: Sequence[Truth]) -> tuple[int, int]:
    """The time span in which an alarm finds the injection; (0, 0) if no cascade followed."""
    injected = [truth for truth in truths if truth.kind not in MEASURED]
    if market.trial.scenario not in MUST_ALARM:
        return 0, 0
    starts_at = min(truth.starts_at for truth in injected)
    ends_at = max(truth.ends_at for truth in injected)
    if market.trial.scenario == "cascade":
        onsets = [t for t in truths if t.kind == "cascade" and t.starts_at > starts_at]
        if not onsets:
            return 0, 0
        ends_at = max(ends_at, onsets[0].ends_at)
    return starts_at, ends_at + GRACE_NS


def level(judged: Sequence[tuple[NDArray[np.int64], Scores]], allowed: int) -> float:
    """The smallest score such that all scores above it make at most ``allowed`` incidents.

    Bars are taken in descending order of their scores, until there is one incident too many. A bar
    begins an incident, joins one, or merges two.
    """
    scores = np.concatenate([s for _, s in judged])
    times = np.concatenate([t for t, _ in judged])
    tape_of = np.repeat(np.arange(len(judged)), [len(t) for t, _ in judged])
    alarms: list[list[int]] = [[] for _ in judged]
    incidents = 0
    for bar in np.argsort(-scores, kind="stable"):
        alarm_times, at = alarms[tape_of[bar]], int(times[bar])
        position = bisect(alarm_times, at)
        before = position > 0 and at - alarm_times[position - 1] <= QUIET_NS
        after = position < len(alarm_times) and alarm_times[position] - at <= QUIET_NS
        together = (
            before and after and alarm_times[position] - alarm_times[position - 1] <= QUIET_NS
        )
        incidents += 1 - before - after + together
        if incidents > allowed:
            return float(scores[bar])
        alarm_times.insert(position, at)
    return -np.inf


def threshold(all_tapes: Sequence[Tape], scores: Sequence[Scores], allowed: int) -> float:
    """The level that calm markets allow."""
    judged = []
    for tape, tape_scores in zip(all_tapes, scores, strict=True):
        if tape.scenario == "calm":
            counted = tape.counted & ~np.isnan(tape_scores)
            judged.append((tape.times[counted], tape_scores[counted]))
    return level(judged, allowed)


def alarms(all_tapes: Sequence[Tape], scores: Sequence[Scores], allowed: int) -> list[Alarms]:
    """The alarm bars of each tape, at the threshold that calm markets allow."""
    least = threshold(all_tapes, scores, allowed)
    return [tape_scores > least for tape_scores in scores]


def judge(all_tapes: Sequence[Tape], raised: Sequence[Alarms]) -> Result:
    """The alarms' results in the markets with injections."""
    result = Result(Counter(), defaultdict(list), Counter())
    for tape, alarm_bars in zip(all_tapes, raised, strict=True):
        if tape.scenario in MUST_ALARM and tape.sought[1]:
            starts_at, ends_at = tape.sought
            result.sought[tape.scenario] += 1
            inside = tape.times[alarm_bars & (tape.times > starts_at) & (tape.times <= ends_at)]
            if len(inside):
                result.delays[tape.scenario].append((int(inside[0]) - starts_at) / SECOND)
        elif tape.scenario not in MUST_ALARM and tape.scenario != "calm":
            at = tape.times[alarm_bars & tape.counted]
            result.false[tape.scenario] += int(len(at) > 0) + int(np.sum(np.diff(at) > QUIET_NS))
    return result
