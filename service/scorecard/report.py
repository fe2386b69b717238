"""A scorecard as a document: Markdown for people and the repository, JSON for programs."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from detectors.catalogue import ALARMING
from service.scorecard.baselines import BASELINES
from service.scorecard.budgets import Realised
from service.scorecard.feeds import FeedFalse, FeedFound
from service.scorecard.score import DRIFT, INCIDENTS, FalseAlarms, Found
from service.scorecard.statistics import Interval

UNDEFINED = "undefined"


class Scorecard(Struct, frozen=True):
    """Everything that a run came to, and what made it."""

    command: str
    version: str
    purpose: str
    false_alarms_per_day: float
    trials: int
    seconds: float
    found: list[Found]
    false_alarms: list[FalseAlarms]
    realised: list[Realised] = []
    markets: str = "simulated markets"
    feeds: list[FeedFound] = []
    feed_false: FeedFalse | None = None


def to_json(card: Scorecard) -> bytes:
    """The scorecard as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(card)) + b"\n"


def watchers(card: Scorecard) -> tuple[list[str], list[str]]:
    """The names of our watchers, everything together first, and of the baselines that watched."""
    seen = {row.watcher for row in card.found} | {row.watcher for row in card.false_alarms}
    return [INCIDENTS, *ALARMING], [its.name for its in BASELINES if its.name in seen]


def to_markdown(card: Scorecard) -> str:
    """The scorecard as Markdown."""
    ours, baselines = watchers(card)
    parts = [
        "# Scorecard\n",
        (f"Made by `{card.command}` with version {card.version}: {card.trials} {card.markets}, "
        f"{card.purpose} seeds, a budget of {card.false_alarms_per_day:g} false alarms a symbol "
        f"and day, {card.seconds:.0f} s. Shares and rates with their 95 % intervals.\n"),
        "## What was found, and how soon\n",
        _table(
            ["kind", "strength", "events/s", "episodes", "recall", "precision", "delay, median",
             "90 %", "first evidence", "of the cause"],
            (
                _found_row(row, row.first_features, _percent(row.precision))
                for row in card.found
                if row.watcher == INCIDENTS
            ),
        ),
        "## Each detector by itself\n",
        ("Precision is the share of incidents in these markets that tell of the episode. Who "
        "raised nothing there is left out.\n"),
        _table(
            ["kind", "strength", "events/s", "detector", "recall", "precision", "delay, median",
             "90 %"],
            (
                _detector_row(row)
                for row in card.found
                if row.watcher in (*ours[1:], *baselines) and row.precision is not None
            ),
        ),
        "## How long before a cascade began\n",
        _table(
            ["strength", "events/s", "cascades", "watcher", "warned before onset", "lead, median",
             "10 %"],
            (
                _lead_row(row)
                for row in card.found
                if row.kind == "cascade" and row.watcher in (INCIDENTS, *baselines)
            ),
        ),
        "## Recall beside what everybody has\n",
        (f"Each baseline has the whole budget to itself; `{INCIDENTS}` shares it among its "
        "detectors.\n"),
        _comparison(card.found, [*ours, *baselines]),
        "## False alarms a symbol-day\n",
        ("Calm markets, and such in which something happens that is no stress. What the market "
        "brought about by itself (makers that left, a cascade) is not false.\n"),
        _false_table(card.false_alarms, [*ours, DRIFT, *baselines]),
        "## The budget and what came of it\n",
        ("False alarms a symbol-day in calm markets, at other budgets too. Without what the market "
        "brought about by itself, and with it: what an operator would have seen.\n"),
        _table(
            ["budget", "events/s", "symbol-days", "false alarms", "a day", "with it, a day"],
            map(_budget_row, card.realised),
        ),
        *_feeds(card),
    ]  # fmt: skip
    return "\n".join(parts)


def _feeds(card: Scorecard) -> list[str]:
    """What was found against feeds, where that was tried."""
    false = card.feed_false
    if false is None:
        return []
    return [
        "## Feed integrity\n",
        (
            "Faults of the feed that is watched, not of the market. `blind_cascade` is a cascade"
            " during which cancels freeze; what of the market's alerts during a fault says that"
            " its inputs are not to be trusted stands in the last column. Where nothing was wrong"
            f" with a feed {false.incidents} incidents opened in {false.symbol_days:.2f}"
            f" symbol-days: {_rate(false.per_symbol_day)} a symbol-day.\n"
        ),
        _table(
            ["kind", "strength", "events/s", "episodes", "recall", "delay, median", "90 %",
             "first check", "of the cause", "market's alerts", "saying so"],
            (
                [
                    *_found_row(row, row.first_checks),
                    str(row.market_alerts),
                    _percent(row.distrusted),
                ]
                for row in card.feeds
            ),
        ),
    ]  # fmt: skip


def _detector_row(row: Found) -> list[str]:
    return [
        row.kind,
        f"{row.strength:g}",
        f"{row.events_per_second:g}",
        row.watcher,
        _percent(row.recall),
        _percent(row.precision),
        _seconds(row.delay_median_seconds),
        _seconds(row.delay_p90_seconds),
    ]


def _found_row(row: Found | FeedFound, first: Iterable[str], *precision: str) -> list[str]:
    return [
        row.kind,
        f"{row.strength:g}",
        f"{row.events_per_second:g}",
        str(row.episodes),
        _percent(row.recall),
        *precision,
        _seconds(row.delay_median_seconds),
        _seconds(row.delay_p90_seconds),
        next(iter(first), ""),
        _percent(row.explained),
    ]


def _budget_row(row: Realised) -> list[str]:
    return [
        f"{row.budget:g}",
        f"{row.events_per_second:g}",
        f"{row.symbol_days:.1f}",
        str(row.incidents),
        _rate(row.false),
        _rate(row.all_told),
    ]


def _lead_row(row: Found) -> list[str]:
    return [
        f"{row.strength:g}",
        f"{row.events_per_second:g}",
        str(row.episodes),
        row.watcher,
        _percent(row.warned_before_onset),
        _seconds(row.lead_median_seconds),
        _seconds(row.lead_p10_seconds),
    ]


def _comparison(found: Sequence[Found], names: list[str]) -> str:
    forms = dict.fromkeys((row.kind, row.strength, row.events_per_second) for row in found)
    by_form = {(r.kind, r.strength, r.events_per_second, r.watcher): r for r in found}
    rows = []
    for form in forms:
        kind, strength, activity = form
        shares = [by_form[*form, name].recall for name in names]
        shown = [f"{s.value:.0%}" if s is not None else UNDEFINED for s in shares]
        rows.append([kind, f"{strength:g}", f"{activity:g}", *shown])
    return _table(["kind", "strength", "events/s", *names], rows)


def _false_table(rows: Sequence[FalseAlarms], names: list[str]) -> str:
    forms = dict.fromkeys((row.scenario, row.events_per_second) for row in rows)
    by_form = {(r.scenario, r.events_per_second, r.watcher): r for r in rows}
    lines = []
    for scenario, activity in forms:
        its = [by_form[scenario, activity, name] for name in names]
        rate = its[0].per_symbol_day
        interval = f"{rate.low:.2f} to {rate.high:.2f}" if rate is not None else UNDEFINED
        values = [
            f"{r.per_symbol_day.value:.2f}" if r.per_symbol_day is not None else UNDEFINED
            for r in its
        ]
        days = f"{its[0].symbol_days:.2f}"
        lines.append([scenario, f"{activity:g}", days, values[0], interval, *values[1:]])
    return _table(["market", "events/s", "symbol-days", names[0], "interval", *names[1:]], lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _percent(share: Interval | None) -> str:
    if share is None:
        return UNDEFINED
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def _rate(rate: Interval | None) -> str:
    if rate is None:
        return UNDEFINED
    return f"{rate.value:.2f} ({rate.low:.2f} to {rate.high:.2f})"


def _seconds(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.0f} s"
