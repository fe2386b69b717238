"""Run recordings with many episodes a session, and without any, and count what is found.

An episode is found if its symbol has an effective alarm between the start and shortly after the
end. An incident that was open before does not count. An alarm that the recording has without
episodes finds nothing, and is counted as false once: in the recording without episodes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from msgspec import Struct

from detectors.catalogue import ALARMING
from detectors.market_data.events import Event
from service.exchange.measures import Truth
from service.scorecard.injections import MixedKind
from service.scorecard.matrix import Trial
from service.scorecard.mixed import Recording, background, load, mixed_session
from service.scorecard.score import GRACE_NS, INCIDENTS, SECOND, WARMUP_NS, openings, uncovered
from service.scorecard.statistics import Interval, poisson, quantile, share
from service.scorecard.thresholds import thresholds
from service.scorecard.trial import Alarm, Outcome, watch_events

DAY_NS = 86_400 * SECOND

SAME_NS = 10 * SECOND
"""Alarms of two runs of the same recording that are at most this far apart have the same cause."""

ALL = "all"
"""The recordings, or the kinds, together."""

UNTOUCHED = "untouched"
DRAWN = "untouched, accounts drawn"
BETWEEN = "between episodes"
KNOWN = "between episodes, also untouched"
"""Where false alarms are counted. The last of these are counted as untouched too."""


class Session(Struct, frozen=True):
    """What to run on a recording.

    Without a seed: the recording as it is. With one: its mixed session, and its background without
    episodes. ``recording`` is the name of the recording in ``directory``.
    """

    recording: str
    directory: str
    seed: int | None
    episodes: int
    kinds: tuple[MixedKind, ...]
    false_alarms_per_day: float
    baselines: bool


class Ran(Struct, frozen=True):
    """The result of a session.

    ``calm`` is without episodes, ``mixed`` with them. ``calm_thresholds`` and ``mixed_thresholds``
    are those at the end, by symbol and statistic.
    """

    recording: str
    seed: int | None
    calm: Outcome
    calm_thresholds: dict[str, dict[str, float]]
    mixed: Outcome | None = None
    mixed_thresholds: dict[str, dict[str, float]] = {}


class SessionFound(Struct, frozen=True):
    """How one watcher detected one kind of episode in the sessions of a recording.

    ``detectors`` counts the episodes in which each detector raised an alarm.
    """

    recording: str
    watcher: str
    kind: str
    episodes: int
    found: int
    recall: Interval | None
    delay_median_seconds: float | None
    delay_p90_seconds: float | None
    detectors: dict[str, int]


class SessionFalse(Struct, frozen=True):
    """The false alarms of one watcher in one part of a recording's runs, and who raised them."""

    recording: str
    watcher: str
    part: str
    incidents: int
    symbol_days: float
    per_symbol_day: Interval | None
    detectors: dict[str, int]


class ThresholdDrift(Struct, frozen=True):
    """The threshold of a statistic at the end of a session, with and without the episodes."""

    recording: str
    seed: int
    symbol: str
    statistic: str
    untouched: float
    mixed: float
    ratio: float


class Sessions(Struct, frozen=True):
    """The results on recordings with many episodes a session."""

    sessions: int
    found: list[SessionFound]
    false: list[SessionFalse]
    drift: list[ThresholdDrift]


def run(session: Session) -> Ran:
    """Run a session. Deterministic: the same session gives the same result."""
    recording = load(session.directory)
    if session.seed is None:
        calm, calm_thresholds = _watched(recording, recording.events, session, [])
        return Ran(session.recording, None, calm, calm_thresholds)
    events = background(recording, session.seed, session.kinds)
    calm, calm_thresholds = _watched(recording, events, session, [])
    mixed = mixed_session(session.directory, session.seed, session.episodes, session.kinds)
    outcome, mixed_thresholds = _watched(recording, mixed.events, session, mixed.truths)
    return Ran(session.recording, session.seed, calm, calm_thresholds, outcome, mixed_thresholds)


def _watched(
    recording: Recording, events: Sequence[Event], session: Session, truths: list[Truth]
) -> tuple[Outcome, dict[str, dict[str, float]]]:
    surveys = recording.surveys.values()
    activity = sum(each.events for each in surveys) / sum(each.seconds for each in surveys)
    scenario = "mixed" if truths else "calm"
    seed = session.seed or 0
    outcome = Outcome(
        trial=Trial(scenario, seed, 1.0, round(activity, 1), session.false_alarms_per_day),
        began_ns=recording.began_ns,
        ended_ns=recording.ended_ns,
        symbols=[],
        truths=truths,
        incidents=[],
        alarms={},
        scored_bars={},
    )
    task = watch_events(events, outcome, baselines=session.baselines)
    return outcome, thresholds(task)


def results(runs: Sequence[Ran]) -> Sessions:
    """The figures of all runs: per recording, and together if there are several."""
    recordings = list(dict.fromkeys(ran.recording for ran in runs))
    groups = {ALL: list(runs)} if len(recordings) > 1 else {}
    groups |= {name: [ran for ran in runs if ran.recording == name] for name in recordings}
    return Sessions(
        sessions=sum(ran.mixed is not None for ran in runs),
        found=list(chain.from_iterable(_found(*group) for group in groups.items())),
        false=list(chain.from_iterable(_false(*group) for group in groups.items())),
        drift=list(chain.from_iterable(map(_drift, runs))),
    )


def by_watcher(outcome: Outcome) -> dict[str, list[tuple[str, Alarm]]]:
    """The effective alarms, each with its detector, of the service and of each baseline."""
    alarms = {
        name: [(name, alarm) for alarm in its if alarm.effective]
        for name, its in outcome.alarms.items()
    }
    service = [alarm for name in ALARMING for alarm in alarms.pop(name, [])]
    return {INCIDENTS: sorted(service, key=_time), **alarms}


def _time(alarm: tuple[str, Alarm]) -> int:
    return alarm[1].ts_event


def is_known(alarm: Alarm, untouched: Iterable[tuple[str, Alarm]]) -> bool:
    """Whether the recording without episodes has an alarm of the same symbol at the same time."""
    return any(
        other.symbol == alarm.symbol and abs(other.ts_event - alarm.ts_event) <= SAME_NS
        for _, other in untouched
    )


def finding(
    truth: Truth, alarms: Iterable[tuple[str, Alarm]], untouched: Sequence[tuple[str, Alarm]]
) -> list[tuple[str, Alarm]]:
    """The alarms that find an episode, the first one first."""
    inside = (
        (name, alarm)
        for name, alarm in alarms
        if alarm.symbol == truth.symbol
        and truth.starts_at < alarm.ts_event <= truth.ends_at + GRACE_NS
        and not is_known(alarm, untouched)
    )
    return sorted(inside, key=_time)


def _found(recording: str, runs: Sequence[Ran]) -> Iterator[SessionFound]:
    by_row: dict[tuple[str, str], list[tuple[Truth, list[tuple[str, Alarm]]]]] = defaultdict(list)
    for ran in runs:
        if ran.mixed is None:
            continue
        untouched = by_watcher(ran.calm)
        for watcher, alarms in by_watcher(ran.mixed).items():
            for truth in ran.mixed.truths:
                its = finding(truth, alarms, untouched[watcher])
                by_row[watcher, truth.kind].append((truth, its))
                by_row[watcher, ALL].append((truth, its))
    for watcher, kind in sorted(by_row, key=lambda row: (row[0] != INCIDENTS, row[0], row[1])):
        episodes = by_row[watcher, kind]
        delays = [(_time(its[0]) - truth.starts_at) / SECOND for truth, its in episodes if its]
        detectors = Counter(name for _, its in episodes for name in {name for name, _ in its})
        yield SessionFound(
            recording=recording,
            watcher=watcher,
            kind=kind,
            episodes=len(episodes),
            found=len(delays),
            recall=share(len(delays), len(episodes)),
            delay_median_seconds=quantile(delays, 0.5),
            delay_p90_seconds=quantile(delays, 0.9),
            detectors=_ordered(detectors),
        )


def _false(recording: str, runs: Sequence[Ran]) -> Iterator[SessionFalse]:
    parts: list[tuple[str, list[tuple[Outcome, Outcome | None]], bool | None]] = [
        (UNTOUCHED, [(ran.calm, None) for ran in runs if ran.seed is None], None),
        (DRAWN, [(ran.calm, None) for ran in runs if ran.seed is not None], None),
        (BETWEEN, [(ran.mixed, ran.calm) for ran in runs if ran.mixed is not None], False),
        (KNOWN, [(ran.mixed, ran.calm) for ran in runs if ran.mixed is not None], True),
    ]
    for part, outcomes, known in parts:
        for watcher in by_watcher(outcomes[0][0]) if outcomes else ():
            detectors: Counter[str] = Counter()
            exposed = 0
            for outcome, calm in outcomes:
                untouched = by_watcher(calm)[watcher] if calm is not None else []
                for name, alarm in false_openings(by_watcher(outcome)[watcher], outcome):
                    if known is None or is_known(alarm, untouched) == known:
                        detectors[name] += 1
                exposed += judged_ns(outcome)
            count, days = detectors.total(), exposed / DAY_NS
            yield SessionFalse(
                recording, watcher, part, count, days, poisson(count, days), _ordered(detectors)
            )


def false_openings(
    alarms: Sequence[tuple[str, Alarm]], outcome: Outcome
) -> list[tuple[str, Alarm]]:
    """The alarms that open an incident outside of the episodes and after the warm-up."""
    opened = {(alarm.symbol, alarm.ts_event) for alarm in openings(alarm for _, alarm in alarms)}
    first: dict[tuple[str, int], tuple[str, Alarm]] = {}
    for name, alarm in alarms:
        place = alarm.symbol, alarm.ts_event
        if place in opened and alarm.ts_event >= outcome.began_ns + WARMUP_NS:
            first.setdefault(place, (name, alarm))
    return [
        (name, alarm)
        for name, alarm in first.values()
        if not any(
            since < alarm.ts_event <= until for since, until in _episodes(outcome, alarm.symbol)
        )
    ]


def judged_ns(outcome: Outcome) -> int:
    """The time of all symbols in which an alarm is false."""
    first = outcome.began_ns + WARMUP_NS
    return sum(
        uncovered(first, outcome.ended_ns, _episodes(outcome, symbol)) for symbol in outcome.symbols
    )


def _episodes(outcome: Outcome, symbol: str) -> list[tuple[int, int]]:
    return [
        (truth.starts_at, truth.ends_at + GRACE_NS)
        for truth in outcome.truths
        if truth.symbol == symbol
    ]


def _drift(ran: Ran) -> Iterator[ThresholdDrift]:
    for symbol, mixed in ran.mixed_thresholds.items():
        calm = ran.calm_thresholds.get(symbol, {})
        for statistic in sorted(mixed.keys() & calm.keys()):
            before, after = calm[statistic], mixed[statistic]
            if before > 0.0:
                ratio = round(after / before, 3)
                yield ThresholdDrift(
                    ran.recording, ran.seed or 0, symbol, statistic, before, after, ratio
                )


def _ordered(counts: Counter[str]) -> dict[str, int]:
    """The counts, largest first; of equal counts by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
