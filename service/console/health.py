"""The service's own health in words that a person who never saw it understands."""

from typing import Literal

from msgspec import Struct

from detectors.incidents.kind import of_market
from service.console.history import History
from service.presentation.phrases import duration
from service.settings.types import Settings
from service.web.server import Health
from service.web.view import View

SILENT_SECONDS = 10.0
"""After so long without a closed bar the data is called stale."""

BEHIND_SECONDS = 30.0
"""A market seen so far behind the clock is worth a word."""

UNREAD_RECORDS = 10_000
"""So many records not yet read are a backlog; fewer are what one poll takes."""

LATE_RATIO = 0.01
"""A share of late events above this is worth a word."""

Level = Literal["ok", "notice", "problem"]
"""``notice``: good to know. ``problem``: what the page says of the market cannot be relied on."""


class Check(Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    level: Level
    words: str


_STATES = {
    ("kafka", "connecting"): "not connected to Kafka: connecting",
    ("group", "joining"): "joining the consumer group: nothing is read yet",
}
_GRAVITY = {"ok": 0, "notice": 1, "problem": 2}


def worst(checks: list[Check]) -> Check:
    """The gravest of some checks, the first of those that are equally grave."""
    return max(checks, key=lambda check: _GRAVITY[check.level])


def checks(
    view: View, health: Health, history: History, settings: Settings, now: float
) -> list[Check]:
    """What can be said of the service at ``now`` (seconds, epoch), the most basic first."""
    waiting = [
        Check(name, "problem", _STATES.get((name, words), words))
        for name, words in health.checks.items()
        if words != "ok"
    ]
    found = waiting or [Check("connection", "ok", "connected to Kafka, partitions assigned")]
    if not waiting:
        found.append(_data(view, history.silent_seconds))
    found.append(_backlog(view, now))
    if not waiting:
        found += [_learning(view), _feeds(view)]
    found += [_losses(view), _budget(view, settings)]
    if view.published.errors:
        words = f"Kafka did not take {view.published.errors:,} of what was sent to it"
        found.append(Check("output", "problem", words))
    return found


def _data(view: View, silence: float | None) -> Check:
    if not view.partitions:
        words = "no partition is this process's: others of its group have them all"
        return Check("data", "notice", words)
    if silence is None:
        return Check("data", "problem", "no events have come yet")
    if silence > SILENT_SECONDS:
        words = f"no events for {duration(silence)}: the market is closed, or its feed is down"
        return Check("data", "problem", words)
    return Check("data", "ok", "events are coming in")


def _backlog(view: View, now: float) -> Check:
    unread = sum(view.lags.values())
    newest = view.newest_ns
    behind = max(0.0, now - newest / 1e9) if newest else 0.0
    backlog = unread > UNREAD_RECORDS
    if backlog and behind > BEHIND_SECONDS:
        words = f"behind the market by {duration(behind)}: {unread:,} records are not read yet"
        return Check("delay", "problem", words)
    if behind > BEHIND_SECONDS:
        words = (
            f"the newest event is {duration(behind)} old, and nothing waits to be read: what comes "
            "in is old, or the clocks differ"
        )
        return Check("delay", "notice", words)
    return Check("delay", "ok", f"{behind:.1f} s behind the clock, {unread:,} records not read yet")


def _learning(view: View) -> Check:
    monitors = view.monitors
    learning = sum(monitor.warming_up for monitor in monitors)
    if not learning:
        return Check("warm-up", "ok", f"{len(monitors):,} symbols are judged")
    if learning == len(monitors):
        words = "warming up: nothing is judged until it is known what is usual"
        return Check("warm-up", "problem", words)
    words = f"{learning:,} of {len(monitors):,} symbols are warming up and not judged yet"
    return Check("warm-up", "notice", words)


def _feeds(view: View) -> Check:
    """What stands against the feeds of symbols."""
    monitors = view.monitors
    suspect = [m for m in monitors if m.feed.findings.standing]
    if not suspect:
        return Check("feeds", "ok", "nothing is found against the symbols' feeds")
    standing = next(iter(suspect[0].feed.findings.standing.values()))
    words = f"what comes in for {suspect[0].symbol} is not to be trusted: {standing.description}"
    if len(suspect) > 1:
        words += f"; and {len(suspect) - 1:,} other symbols"
    return Check("feeds", "notice", words)


def _losses(view: View) -> Check:
    tally, rejected = view.counters.tally, view.counters.dead_letters.total()
    late = tally.late / tally.released if tally.released else 0.0
    words = f"{tally.late:,} events late ({late:.1%}), {rejected:,} unreadable (dead letters)"
    return Check("losses", "notice" if rejected or late > LATE_RATIO else "ok", words)


def _budget(view: View, settings: Settings) -> Check:
    """The incidents a symbol and day beside what was asked for."""
    opened = sum(
        count
        for (detector, severity), count in view.counters.incidents.items()
        if of_market(detector) and severity == "warning"
    )
    days = view.counters.tally.market.judged_bars * settings.time.bar_seconds / 86_400
    words = f"{opened:,} incidents in {days:.2g} symbol-days judged; the budget of false alarms is"
    return Check("budget", "ok", f"{words} {view.budget_per_day:g} a symbol-day")
