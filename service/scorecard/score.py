"""From outcomes to figures: recall, delays, precision and false alarms.

An episode is found if its symbol has an alarm between the start and shortly after the end. Alarms
close together are one incident. An incident is false if it begins where nothing was injected, after
the warm-up and outside the aftermath of an injection.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from service.exchange.measures import MEASURED
from service.scorecard.matrix import FEEDS, FROM_THE_BEGINNING, MUST_ALARM
from service.scorecard.statistics import Interval, quantile, rate, share
from service.scorecard.trial import Alarm, Outcome

SECOND = 1_000_000_000
GRACE_NS = 30 * SECOND
"""An alarm up to this long after an episode's end still counts as finding it."""

QUIET_NS = 60 * SECOND
"""This long without an alarm ends an incident, as by the service's default."""

WARMUP_NS = 300 * SECOND
"""The default warm-up of 240 bars, plus the bars before it that are not judged."""

INCIDENTS = "foreshock"
"""The service as a whole: the incidents that it publishes, except drifts."""

DRIFT = "drift"

RECOVERY_NS = 120 * SECOND
"""For this long after a spontaneous event the market is still affected."""


DEPTH = ("shallow", "spread")
LEVERAGE = ("leverage_over_habit", "near_maximum")
CAUSES: dict[str, tuple[str, ...]] = {
    "makers_left": ("net_withdrawal", *DEPTH),
    "cancel_burst": ("net_withdrawal", *DEPTH),
    "market_wide": ("net_withdrawal", *DEPTH),
    "pulled_book": ("net_withdrawal", *DEPTH),
    "draining_book": ("net_withdrawal", *DEPTH),
    "spread_blowout": DEPTH,
    "thin_clustering": DEPTH,
    "flash_crash": DEPTH,
    "quote_stuffing": ("young_cancels",),
    "layering": ("one_account", "large_withdrawn"),
    "spoofing": ("large_withdrawn", "one_account", "young_cancels"),
    "leverage_buildup": LEVERAGE,
    "leverage_jump": LEVERAGE,
    "leverage_creep": LEVERAGE,
    "leverage_rush": LEVERAGE,
    "cascade": (*LEVERAGE, *DEPTH),
}
"""Prefixes of the features in which an injection shows first."""


class Found(Struct, frozen=True):
    """How one watcher detected one kind of episode in one form.

    ``recall`` is the share of episodes found. ``precision`` is the share of the incidents in their
    markets that report an episode, out of these and the false ones. Delays count from an episode's
    start; leads count to a cascade's onset (cascades only). ``explained`` is the share of found
    episodes whose first evidence is in `CAUSES`, where evidence is available.
    """

    watcher: str
    kind: str
    strength: float
    events_per_second: float
    episodes: int
    recall: Interval | None
    precision: Interval | None
    delay_median_seconds: float | None
    delay_p90_seconds: float | None
    warned_before_onset: Interval | None = None
    lead_median_seconds: float | None = None
    lead_p10_seconds: float | None = None
    first_features: dict[str, int] = {}
    explained: Interval | None = None


class Episode(NamedTuple):
    """An episode to find. ``onset`` is the onset of the cascade that it led to."""

    symbol: str
    starts_at: int
    ends_at: int
    onset: int | None


class FalseAlarms(Struct, frozen=True):
    """The false alarms of one watcher in one scenario."""

    watcher: str
    scenario: str
    events_per_second: float
    incidents: int
    symbol_days: float
    per_symbol_day: Interval | None


def openings(alarms: Iterable[Alarm]) -> list[Alarm]:
    """The first alarm of each incident: alarms of a symbol without a quiet time between them."""
    last: dict[str, int] = {}
    first = []
    for alarm in sorted(alarms, key=lambda alarm: alarm.ts_event):
        if alarm.ts_event - last.get(alarm.symbol, -QUIET_NS) > QUIET_NS:
            first.append(alarm)
        last[alarm.symbol] = alarm.ts_event
    return first


def by_watcher(outcome: Outcome) -> dict[str, list[Alarm]]:
    """The alarms by watcher: the service's incidents and drifts, its detectors, the baselines."""
    return {INCIDENTS: outcome.incidents, DRIFT: outcome.drifts, **outcome.alarms}


def found(outcomes: Sequence[Outcome]) -> list[Found]:
    """The detection of every kind of episode by every watcher, per strength and activity."""
    groups: dict[tuple[str, float, float], list[tuple[Outcome, Episode]]] = defaultdict(list)
    for outcome in outcomes:
        for kind, strength, episode in _episodes(outcome):
            activity = outcome.trial.events_per_second
            groups[kind, strength, activity].append((outcome, episode))
    return [
        _found(watcher, kind, strength, activity, group)
        for (kind, strength, activity), group in groups.items()
        for watcher in by_watcher(group[0][0])
    ]


def _episodes(outcome: Outcome) -> Iterator[tuple[str, float, Episode]]:
    """The episodes of one trial: the injections, and makers that left in calm trials."""
    trial = outcome.trial
    if trial.scenario == "calm":
        for truth in outcome.truths:
            if truth.kind == "makers_left" and truth.starts_at > outcome.began_ns + WARMUP_NS:
                yield truth.kind, 1.0, Episode(truth.symbol, truth.starts_at, truth.ends_at, None)
    if trial.scenario not in MUST_ALARM:
        return
    for symbol in dict.fromkeys(t.symbol for t in outcome.truths if t.kind not in MEASURED):
        yield from _injected(outcome, symbol)


def _injected(outcome: Outcome, symbol: str) -> Iterator[tuple[str, float, Episode]]:
    """The injections in one symbol of a trial, as one episode."""
    trial = outcome.trial
    injected = [t for t in outcome.truths if t.symbol == symbol and t.kind not in MEASURED]
    starts_at = min(truth.starts_at for truth in injected)
    ends_at = max(truth.ends_at for truth in injected)
    onsets = [
        truth
        for truth in outcome.truths
        if truth.kind == "cascade" and truth.symbol == symbol and truth.starts_at > starts_at
    ]
    if trial.scenario != "cascade":
        yield trial.scenario, trial.strength, Episode(symbol, starts_at, ends_at, None)
    elif onsets:  # without a cascade there is nothing to warn of
        ends_at = max(ends_at, onsets[0].ends_at)
        episode = Episode(symbol, starts_at, ends_at, onsets[0].starts_at)
        yield trial.scenario, trial.strength, episode


def _found(
    watcher: str,
    kind: str,
    strength: float,
    activity: float,
    episodes: Sequence[tuple[Outcome, Episode]],
) -> Found:
    delays: list[float] = []
    leads: list[float] = []
    features: Counter[str] = Counter()
    for outcome, episode in episodes:
        inside = [alarm for alarm in by_watcher(outcome)[watcher] if _reports(alarm, episode)]
        if not inside:
            continue
        first = min(inside, key=lambda alarm: alarm.ts_event)
        delays.append((first.ts_event - episode.starts_at) / SECOND)
        features[first.feature] += 1
        if episode.onset is not None and first.ts_event < episode.onset:
            leads.append((episode.onset - first.ts_event) / SECOND)
    cascade = kind == "cascade"
    return Found(
        watcher=watcher,
        kind=kind,
        strength=strength,
        events_per_second=activity,
        episodes=len(episodes),
        recall=share(len(delays), len(episodes)),
        precision=_precision(watcher, episodes),
        delay_median_seconds=quantile(delays, 0.5),
        delay_p90_seconds=quantile(delays, 0.9),
        warned_before_onset=share(len(leads), len(episodes)) if cascade else None,
        lead_median_seconds=quantile(leads, 0.5) if cascade else None,
        lead_p10_seconds=quantile(leads, 0.1) if cascade else None,
        first_features=dict(features.most_common()),
        explained=_explained(kind, features),
    )


def _reports(alarm: Alarm, episode: Episode) -> bool:
    in_time = episode.starts_at < alarm.ts_event <= episode.ends_at + GRACE_NS
    return alarm.symbol == episode.symbol and in_time


def _precision(watcher: str, episodes: Sequence[tuple[Outcome, Episode]]) -> Interval | None:
    """The share of reporting incidents in these markets, out of reporting and false ones.

    Other incidents are excluded: spontaneous events of the market, and the aftermath of injections.
    A market can have several episodes, and an episode several incidents.
    """
    markets = {id(outcome): outcome for outcome, _ in episodes}
    correct = wrong = 0
    for market_id, outcome in markets.items():
        opened = openings(by_watcher(outcome)[watcher])
        own_episodes = [episode for market, episode in episodes if id(market) == market_id]
        reporting = [alarm for alarm in opened if any(_reports(alarm, e) for e in own_episodes)]
        others = [alarm for alarm in opened if alarm not in reporting]
        correct += len(reporting)
        wrong += false_and_exposed(others, outcome)[0]
    return share(correct, correct + wrong)


def _explained(kind: str, features: Counter[str]) -> Interval | None:
    counts = [(feature, n) for feature, n in features.items() if feature]
    correct = sum(n for feature, n in counts if feature.startswith(CAUSES[kind]))
    return share(correct, sum(n for _, n in counts))


def false_alarms(outcomes: Sequence[Outcome]) -> list[FalseAlarms]:
    """The false alarms of every watcher, per scenario and activity."""
    groups: dict[tuple[str, float], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        trial = outcome.trial
        name = "untouched" if trial.scenario in (*MUST_ALARM, *FEEDS) else trial.scenario
        groups[name, trial.events_per_second].append(outcome)
    rows = []
    for (scenario, activity), group in groups.items():
        for watcher in by_watcher(group[0]):
            pairs = [false_and_exposed(openings(by_watcher(o)[watcher]), o) for o in group]
            counts, days = zip(*pairs, strict=True)
            rows.append(
                FalseAlarms(watcher, scenario, activity, sum(counts), sum(days), rate(counts, days))
            )
    return rows


def false_and_exposed(
    opened: Sequence[Alarm],
    outcome: Outcome,
    *,
    excuse: bool = True,
    until: Collection[str] = (*MUST_ALARM, *FEEDS),
) -> tuple[int, float]:
    """The false openings of one trial, and the symbol-days in which one was possible.

    The warm-up is excluded, except in `FROM_THE_BEGINNING`. Spontaneous events of the market are
    excluded too if ``excuse``. In the scenarios ``until``, only the time before the injection
    counts.
    """
    warmup_ns = 0 if outcome.trial.scenario in FROM_THE_BEGINNING else WARMUP_NS
    first = outcome.began_ns + warmup_ns
    count, exposed = 0, 0
    for symbol in outcome.symbols:
        last = outcome.ended_ns
        excused = []
        for truth in outcome.truths:
            if truth.symbol != symbol:
                continue
            if truth.kind in MEASURED:
                if excuse:
                    excused.append((truth.starts_at, truth.ends_at + RECOVERY_NS))
            elif outcome.trial.scenario in until:
                # After the injection the market is affected by it.
                last = min(last, truth.starts_at)
        exposed += uncovered(first, last, excused)
        count += sum(
            first <= alarm.ts_event <= last
            and not any(begin <= alarm.ts_event <= end for begin, end in excused)
            for alarm in opened
            if alarm.symbol == symbol
        )
    return count, exposed / (86_400 * SECOND)


def uncovered(first: int, until: int, spans: Iterable[tuple[int, int]]) -> int:
    """The length of [first, until] that no span covers."""
    uncovered = max(0, until - first)
    at = first
    for begin, end in sorted(spans):
        begins, ends = max(begin, at), min(end, until)
        if ends > begins:
            uncovered -= ends - begins
            at = ends
    return uncovered
