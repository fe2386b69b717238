"""The scorecard as a document: Markdown for people and the repository, JSON for programs."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from detectors.catalogue import ALARMING
from service.scorecard import cells, sessions_report, tables
from service.scorecard.audit.card import AuditCard
from service.scorecard.audit.report import tables as audit_tables
from service.scorecard.baselines import baseline_detectors
from service.scorecard.budgets import Realised
from service.scorecard.conduct.found import ConductCard
from service.scorecard.conduct.report import tables as conduct_tables
from service.scorecard.feeds import FeedFalse, FeedFound
from service.scorecard.risk.card import RiskCard
from service.scorecard.risk.report import tables as risk_tables
from service.scorecard.score import DRIFT, INCIDENTS, FalseAlarms, Found
from service.scorecard.sessions import Sessions


class Scorecard(Struct, frozen=True):
    """The results of a run, and how it was made."""

    command: str
    version: str
    purpose: str
    false_alarms_per_day: float
    trials: int
    seconds: float
    found: list[Found] = []
    false_alarms: list[FalseAlarms] = []
    realised: list[Realised] = []
    markets: str = "simulated markets"
    feeds: list[FeedFound] = []
    feed_false: FeedFalse | None = None
    sessions: Sessions | None = None
    risk: RiskCard | None = None
    conduct: ConductCard | None = None
    audit: AuditCard | None = None


def to_json(card: Scorecard) -> bytes:
    """The scorecard as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(card)) + b"\n"


def watchers(card: Scorecard) -> tuple[list[str], list[str]]:
    """The names of the service's watchers, the whole service first, and of the baselines."""
    present = {row.watcher for row in card.found} | {row.watcher for row in card.false_alarms}
    return [INCIDENTS, *ALARMING], [
        baseline.name for baseline in baseline_detectors() if baseline.name in present
    ]


def documented(card: Scorecard) -> list[tables.Table]:
    """The tables on recorded flow, on the risk of positions, and on the venue, if measured."""
    found = sessions_report.tables(card.sessions) if card.sessions is not None else []
    found += risk_tables(card.risk) if card.risk is not None else []
    found += conduct_tables(card.conduct) if card.conduct is not None else []
    return found + (audit_tables(card.audit) if card.audit is not None else [])


def to_markdown(card: Scorecard) -> str:
    """The scorecard as Markdown."""
    parts = [
        "# Scorecard\n",
        (f"Made with `{card.command}`, version {card.version}: {card.trials} {card.markets}, "
        f"{card.purpose} seeds, {_budget(card)}{card.seconds:.0f} s. Shares and rates have 95 % "
        "intervals.\n"),
        *([tables.to_markdown(documented(card))] if documented(card) else []),
        *(_markets(card) if card.found or card.false_alarms else []),
        *(_budgets(card) if card.found or card.false_alarms or card.realised else []),
        *_feeds(card),
    ]  # fmt: skip
    return "\n".join(parts)


def _budget(card: Scorecard) -> str:
    if card.audit is not None:
        return ""  # it raises no alerts
    return f"a budget of {card.false_alarms_per_day:g} false alarms per symbol and day, "


def _markets(card: Scorecard) -> list[str]:
    """The sections on trials with one episode each."""
    service_watchers, baselines = watchers(card)
    return [
        "## Recall, precision and delay\n",
        cells.markdown_table(
            ["kind", "strength", "events/s", "episodes", "recall", "precision", "delay, median",
             "90 %", "first evidence", "of the cause"],
            (
                _found_row(row, row.first_features, cells.percent(row.precision))
                for row in card.found
                if row.watcher == INCIDENTS
            ),
        ),
        "## Each detector\n",
        ("Precision is the share of incidents in these markets that report the episode. "
        "Detectors without an incident there are left out.\n"),
        cells.markdown_table(
            ["kind", "strength", "events/s", "detector", "recall", "precision", "delay, median",
             "90 %"],
            (
                _detector_row(row)
                for row in card.found
                if row.watcher in (*service_watchers[1:], *baselines) and row.precision is not None
            ),
        ),
        "## Lead before a cascade\n",
        cells.markdown_table(
            ["strength", "events/s", "cascades", "watcher", "warned before onset", "lead, median",
             "10 %"],
            (
                _lead_row(row)
                for row in card.found
                if row.kind == "cascade" and row.watcher in (INCIDENTS, *baselines)
            ),
        ),
        "## Recall compared with the baselines\n",
        (f"Each baseline has the whole budget and no controller; `{INCIDENTS}` shares the budget "
        "among its statistics.\n"),
        _comparison(card.found, [*service_watchers, *baselines]),
        "## False alarms per symbol-day\n",
        ("Calm markets, and markets with changes that are not stress. Alarms on spontaneous "
        "events (makers that left, a cascade) are not false.\n"),
        _false_table(card.false_alarms, [*service_watchers, DRIFT, *baselines]),
    ]  # fmt: skip


def _budgets(card: Scorecard) -> list[str]:
    """The section on the realised rates of several budgets."""
    return [
        "## Budget and realised rate\n",
        (
            "False alarms per symbol-day in calm markets, at several budgets, if no controller held"
            " an alarm back: without alarms on spontaneous events, and with them, as an operator"
            " would see.\n"
        ),
        cells.markdown_table(
            ["budget", "events/s", "symbol-days", "false alarms", "per day", "all, per day"],
            map(_budget_row, card.realised),
        ),
    ]


def _feeds(card: Scorecard) -> list[str]:
    """The section on feed faults, if they were tried."""
    false = card.feed_false
    if false is None:
        return []
    without_fault = (
        f"Without a feed fault, {false.incidents} incidents opened in {false.symbol_days:.2f}"
        f" symbol-days: {cells.rate(false.per_symbol_day)} per symbol-day.\n"
    )
    if not card.feeds:
        return ["## Feed integrity\n", without_fault]
    return [
        "## Feed integrity\n",
        (
            "Faults of the feed, not of the market. `blind_cascade` is a cascade during which"
            " cancels freeze. The last column is the share of market alerts during a fault that"
            f" report unreliable inputs. {without_fault}"
        ),
        cells.markdown_table(
            ["kind", "strength", "events/s", "episodes", "recall", "delay, median", "90 %",
             "first check", "of the cause", "market alerts", "reporting it"],
            (
                [
                    *_found_row(row, row.first_checks),
                    str(row.market_alerts),
                    cells.percent(row.distrusted),
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
        cells.percent(row.recall),
        cells.percent(row.precision),
        cells.seconds(row.delay_median_seconds),
        cells.seconds(row.delay_p90_seconds),
    ]


def _found_row(row: Found | FeedFound, first: Iterable[str], *precision: str) -> list[str]:
    return [
        row.kind,
        f"{row.strength:g}",
        f"{row.events_per_second:g}",
        str(row.episodes),
        cells.percent(row.recall),
        *precision,
        cells.seconds(row.delay_median_seconds),
        cells.seconds(row.delay_p90_seconds),
        next(iter(first), ""),
        cells.percent(row.explained),
    ]


def _budget_row(row: Realised) -> list[str]:
    return [
        f"{row.budget:g}",
        f"{row.events_per_second:g}",
        f"{row.symbol_days:.1f}",
        str(row.incidents),
        cells.rate(row.false),
        cells.rate(row.all_told),
    ]


def _lead_row(row: Found) -> list[str]:
    return [
        f"{row.strength:g}",
        f"{row.events_per_second:g}",
        str(row.episodes),
        row.watcher,
        cells.percent(row.warned_before_onset),
        cells.seconds(row.lead_median_seconds),
        cells.seconds(row.lead_p10_seconds),
    ]


def _comparison(found: Sequence[Found], names: list[str]) -> str:
    forms = dict.fromkeys((row.kind, row.strength, row.events_per_second) for row in found)
    by_form = {(r.kind, r.strength, r.events_per_second, r.watcher): r for r in found}
    rows = []
    for form in forms:
        kind, strength, activity = form
        shares = [by_form[*form, name].recall for name in names]
        values = [f"{s.value:.0%}" if s is not None else cells.UNDEFINED for s in shares]
        rows.append([kind, f"{strength:g}", f"{activity:g}", *values])
    return cells.markdown_table(["kind", "strength", "events/s", *names], rows)


def _false_table(rows: Sequence[FalseAlarms], names: list[str]) -> str:
    forms = dict.fromkeys((row.scenario, row.events_per_second) for row in rows)
    by_form = {(r.scenario, r.events_per_second, r.watcher): r for r in rows}
    lines = []
    for scenario, activity in forms:
        form_rows = [by_form[scenario, activity, name] for name in names]
        rate = form_rows[0].per_symbol_day
        interval = f"{rate.low:.2f} to {rate.high:.2f}" if rate is not None else cells.UNDEFINED
        values = [
            f"{r.per_symbol_day.value:.2f}" if r.per_symbol_day is not None else cells.UNDEFINED
            for r in form_rows
        ]
        days = f"{form_rows[0].symbol_days:.2f}"
        lines.append([scenario, f"{activity:g}", days, values[0], interval, *values[1:]])
    return cells.markdown_table(
        ["market", "events/s", "symbol-days", names[0], "interval", *names[1:]], lines
    )
