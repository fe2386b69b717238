"""The tables of recordings with many episodes a session, for Markdown and HTML."""

from collections.abc import Mapping

from service.scorecard import cells
from service.scorecard.score import INCIDENTS
from service.scorecard.sessions import ALL, SessionFalse, SessionFound, Sessions
from service.scorecard.tables import Table

NONE = "none"


def tables(sessions: Sessions) -> list[Table]:
    """The tables, the most important first."""
    made = [_found(sessions), _false(sessions), _drift(sessions), _comparison(sessions)]
    return [table for table in made if table.rows]


def _found(sessions: Sessions) -> Table:
    return Table(
        "On recorded flow: found",
        (
            f"{sessions.sessions} sessions of recorded flow, each with many injected episodes at"
            " nominal strength. An episode is found if there is an alarm between its start and 30 s"
            " after its end. An alarm that the recording also has without episodes does not count."
            " The last column counts the episodes in which each detector raised an alarm."
        ),
        ["recording", "kind", "episodes", "found", "recall", "delay, median", "90 %", "by"],
        [
            [
                row.recording,
                row.kind,
                str(row.episodes),
                str(row.found),
                cells.percent(row.recall),
                cells.seconds(row.delay_median_seconds),
                cells.seconds(row.delay_p90_seconds),
                _counts(row.detectors),
            ]
            for row in sessions.found
            if row.watcher == INCIDENTS
        ],
    )


def _false(sessions: Sessions) -> Table:
    return Table(
        "On recorded flow: false alarms",
        (
            "Incidents per symbol-day without a known cause: in the recordings as they are, in the"
            " recordings with drawn accounts and leverages, and between the episodes. Incidents"
            " between the episodes that the recording also has without episodes are in a row of"
            " their own. The intervals are exact for independent incidents. Sessions of the same"
            " recording are not independent."
        ),
        ["recording", "where", "symbol-days", "incidents", "per symbol-day", "opened by"],
        [_false_row(row) for row in sessions.false if row.watcher == INCIDENTS],
    )


def _false_row(row: SessionFalse) -> list[str]:
    return [
        row.recording,
        row.part,
        f"{row.symbol_days:.2f}",
        str(row.incidents),
        cells.rate(row.per_symbol_day),
        _counts(row.detectors),
    ]


def _drift(sessions: Sessions) -> Table:
    ratios: dict[tuple[str, str], list[float]] = {}
    for row in sessions.drift:
        ratios.setdefault((row.recording, row.statistic), []).append(row.ratio)
    return Table(
        "On recorded flow: drift of thresholds",
        (
            "The threshold at the end of a session with episodes, divided by the threshold at the"
            " end of the same recording without them. Above 1 the statistic has become less"
            " sensitive."
        ),
        ["recording", "statistic", "sessions", "least", "largest"],
        [
            [recording, statistic, str(len(its)), f"{min(its):.2f}", f"{max(its):.2f}"]
            for (recording, statistic), its in ratios.items()
        ],
    )


def _comparison(sessions: Sessions) -> Table:
    """Recall and false alarms of the service and the baselines, over all recordings."""
    first = sessions.found[0].recording if sessions.found else ALL
    rows = [row for row in sessions.found if row.recording == first]
    watchers = list(dict.fromkeys(row.watcher for row in rows))
    if len(watchers) < 2:
        return Table("", "", [], [])
    recalls = {(row.kind, row.watcher): row for row in rows}
    lines = [
        [kind, *(_found_of(recalls[kind, watcher]) for watcher in watchers)]
        for kind in dict.fromkeys(row.kind for row in rows)
    ]
    rates: Mapping[tuple[str, str], SessionFalse] = {
        (row.part, row.watcher): row for row in sessions.false if row.recording == first
    }
    for part in dict.fromkeys(part for part, _ in rates):
        values = [rates[part, watcher].per_symbol_day for watcher in watchers]
        lines.append(
            [
                f"false a symbol-day, {part}",
                *(cells.UNDEFINED if value is None else f"{value.value:.2f}" for value in values),
            ]
        )
    return Table(
        "On recorded flow: compared with the baselines",
        f"Episodes found, and false alarms. Each baseline has the whole budget and no"
        f" controller. Flow: {first}.",
        ["kind", *watchers],
        lines,
    )


def _found_of(row: SessionFound) -> str:
    return f"{row.found} of {row.episodes}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or NONE
