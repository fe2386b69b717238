"""From outcomes to figures: what was found, how soon, and what was raised for nothing.

An episode is found when there is an alarm of its symbol between its beginning and a little after
its end. Alarms that stand close together are one incident, and an incident that begins where
nothing was provoked, after the warm-up and after what a provocation leaves behind, is false.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from service.scorecard.matrix import FEEDS, FROM_THE_BEGINNING, MUST_ALARM
from service.scorecard.statistics import Interval, quantile, rate, share
from service.scorecard.trial import Alarm, Outcome

SECOND = 1_000_000_000
GRACE_NS = 30 * SECOND
"""An alarm so long after an episode's end still tells of it."""

QUIET_NS = 60 * SECOND
"""So long without an alarm ends an incident, as the service's default has it."""

WARMUP_NS = 300 * SECOND
"""The default warm-up of 240 bars, and the bars in which nothing is judged before it."""

INCIDENTS = "foreshock"
"""Everything together: the incidents that the service publishes, but for drifts."""

DRIFT = "drift"


MEASURED = ("cascade", "makers_left")
"""What the market itself brought about, wherever it did: to tell of it is right."""

RECOVERY_NS = 120 * SECOND
"""So long after what the market brought about it is still under its impression."""


DEPTH = ("shallow", "spread")
LEVERAGE = ("leverage_over_habit", "near_maximum")
CAUSES: dict[str, tuple[str, ...]] = {
    "makers_left": ("net_withdrawal", *DEPTH),
    "cancel_burst": ("net_withdrawal", *DEPTH),
    "market_wide": ("net_withdrawal", *DEPTH),
    "pulled_book": ("net_withdrawal", *DEPTH),
    "draining_book": DEPTH,
    "spread_blowout": DEPTH,
    "thin_clustering": DEPTH,
    "flash_crash": DEPTH,
    "quote_stuffing": ("young_cancels",),
    "layering": ("one_account",),
    "spoofing": ("large_fleeting", "one_account", "young_cancels"),
    "leverage_buildup": LEVERAGE,
    "leverage_jump": LEVERAGE,
    "leverage_creep": LEVERAGE,
    "leverage_rush": LEVERAGE,
    "cascade": (*LEVERAGE, *DEPTH),
}
"""How the features begin that what was done to a market shows in, first of all."""


class Found(Struct, frozen=True):
    """How one watcher did on one kind of episode, in one form.

    ``recall`` is the share of episodes found, ``precision`` the share of the incidents in their
    markets that tell of one and are not false; ``delay_seconds`` is from an episode's beginning;
    ``leads`` are the seconds by which a cascade's onset was led (cascades only). ``explained`` is
    the share of those found whose first evidence is of `CAUSES`, where evidence is given.
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
    """Something that there is to find; ``onset`` is where the cascade that it led to began."""

    symbol: str
    starts_at: int
    ends_at: int
    onset: int | None


class FalseAlarms(Struct, frozen=True):
    """How often one watcher alarmed for nothing, in one scenario."""

    watcher: str
    scenario: str
    events_per_second: float
    incidents: int
    symbol_days: float
    per_symbol_day: Interval | None


def openings(alarms: Iterable[Alarm]) -> list[Alarm]:
    """The first alarm of each incident: of a symbol's alarms that no quiet time lies between."""
    last: dict[str, int] = {}
    first = []
    for alarm in sorted(alarms, key=lambda alarm: alarm.ts_event):
        if alarm.ts_event - last.get(alarm.symbol, -QUIET_NS) > QUIET_NS:
            first.append(alarm)
        last[alarm.symbol] = alarm.ts_event
    return first


def by_watcher(outcome: Outcome) -> dict[str, list[Alarm]]:
    """Every watcher's alarms: the service's incidents and drifts, its detectors, the baselines."""
    return {INCIDENTS: outcome.incidents, DRIFT: outcome.drifts, **outcome.alarms}


def found(outcomes: Sequence[Outcome]) -> list[Found]:
    """How every watcher did on every kind that must be told of, at each strength and activity."""
    groups: dict[tuple[str, float, float], list[tuple[Outcome, Episode]]] = defaultdict(list)
    for outcome in outcomes:
        for kind, strength, episode in _episodes(outcome):
            activity = outcome.trial.events_per_second
            groups[kind, strength, activity].append((outcome, episode))
    return [
        _found(watcher, kind, strength, activity, its)
        for (kind, strength, activity), its in groups.items()
        for watcher in by_watcher(its[0][0])
    ]


def _episodes(outcome: Outcome) -> Iterator[tuple[str, float, Episode]]:
    """What there is to find in one trial: what was provoked, and makers that left in a calm."""
    trial = outcome.trial
    if trial.scenario == "calm":
        for truth in outcome.truths:
            if truth.kind == "makers_left" and truth.starts_at > outcome.began_ns + WARMUP_NS:
                yield truth.kind, 1.0, Episode(truth.symbol, truth.starts_at, truth.ends_at, None)
    if trial.scenario not in MUST_ALARM:
        return
    for symbol in dict.fromkeys(t.symbol for t in outcome.truths if t.kind not in MEASURED):
        yield from _provoked(outcome, symbol)


def _provoked(outcome: Outcome, symbol: str) -> Iterator[tuple[str, float, Episode]]:
    """What was provoked in one symbol of a trial, as one episode."""
    trial = outcome.trial
    provoked = [t for t in outcome.truths if t.symbol == symbol and t.kind not in MEASURED]
    starts_at = min(truth.starts_at for truth in provoked)
    ends_at = max(truth.ends_at for truth in provoked)
    onsets = [
        truth
        for truth in outcome.truths
        if truth.kind == "cascade" and truth.symbol == symbol and truth.starts_at > starts_at
    ]
    if trial.scenario != "cascade":
        yield trial.scenario, trial.strength, Episode(symbol, starts_at, ends_at, None)
    elif onsets:  # where none came of it there was nothing to warn of
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
    """Of the incidents in the markets of these episodes, those that tell of one of them.

    What is neither that nor false is left out: what the market brought about by itself, and
    afterwards. A market may have several episodes, and an episode several incidents.
    """
    markets = {id(outcome): outcome for outcome, _ in episodes}
    right = wrong = 0
    for place, outcome in markets.items():
        opened = openings(by_watcher(outcome)[watcher])
        its = [episode for market, episode in episodes if id(market) == place]
        telling = [alarm for alarm in opened if any(_reports(alarm, e) for e in its)]
        others = [alarm for alarm in opened if alarm not in telling]
        right += len(telling)
        wrong += false_and_exposed(others, outcome)[0]
    return share(right, right + wrong)


def _explained(kind: str, features: Counter[str]) -> Interval | None:
    given = [(feature, n) for feature, n in features.items() if feature]
    right = sum(n for feature, n in given if feature.startswith(CAUSES[kind]))
    return share(right, sum(n for _, n in given))


def false_alarms(outcomes: Sequence[Outcome]) -> list[FalseAlarms]:
    """How often every watcher alarmed where nothing that it must tell of took place."""
    groups: dict[tuple[str, float], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        trial = outcome.trial
        name = "untouched" if trial.scenario in (*MUST_ALARM, *FEEDS) else trial.scenario
        groups[name, trial.events_per_second].append(outcome)
    rows = []
    for (scenario, activity), its in groups.items():
        for watcher in by_watcher(its[0]):
            pairs = [false_and_exposed(openings(by_watcher(o)[watcher]), o) for o in its]
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
    """How many openings of one trial are false, and the symbol-days in which one could be.

    The warm-up is left out, but for what is `FROM_THE_BEGINNING`. What the market brought about by
    itself is left out as well, unless nothing is to be excused. In the scenarios ``until``
    only what precedes the provocation is counted.
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
                # Afterwards the market is under the impression of what was done to it.
                last = min(last, truth.starts_at)
        exposed += _uncovered(first, last, excused)
        count += sum(
            first <= alarm.ts_event <= last
            and not any(begin <= alarm.ts_event <= end for begin, end in excused)
            for alarm in opened
            if alarm.symbol == symbol
        )
    return count, exposed / (86_400 * SECOND)


def _uncovered(first: int, until: int, spans: Iterable[tuple[int, int]]) -> int:
    """How much of [first, until] no span covers."""
    left = max(0, until - first)
    at = first
    for begin, end in sorted(spans):
        begins, ends = max(begin, at), min(end, until)
        if ends > begins:
            left -= ends - begins
            at = ends
    return left
