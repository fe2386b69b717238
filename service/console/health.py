"""The health of the service, in plain phrases for the operator."""

from typing import Literal

from msgspec import Struct

from detectors.incidents.kind import of_market
from service.console.history import History
from service.describe import named
from service.presentation.phrases import duration
from service.settings.types import Settings
from service.web.server import Health
from service.web.view import View

SILENT_SECONDS = 10.0
"""Without a closed bar for longer than this, the data is stale."""

BEHIND_SECONDS = 30.0
"""A delay of the newest event behind the clock that is reported."""

UNREAD_RECORDS = 10_000
"""More unread records than this are a backlog; fewer can be the content of one poll."""

LATE_RATIO = 0.01
"""A higher share of late events than this is reported."""

Level = Literal["ok", "notice", "problem"]
"""``notice``: for information. ``problem``: do not rely on what the page says of the market."""


class Check(Struct, frozen=True):
    """The result of one check."""

    name: str
    level: Level
    text: str


_STATES = {
    ("kafka", "connecting"): "not connected to Kafka; connecting",
    ("group", "joining"): "joining the consumer group; not reading events yet",
}
_GRAVITY = {"ok": 0, "notice": 1, "problem": 2}


def worst(checks: list[Check]) -> Check:
    """Return the gravest check; the first one of equally grave checks."""
    return max(checks, key=lambda check: _GRAVITY[check.level])


def checks(
    view: View, health: Health, history: History, settings: Settings, now: float
) -> list[Check]:
    """Return the checks of the service at ``now`` (seconds, epoch), the most basic first."""
    waiting = [
        Check(name, "problem", _STATES.get((name, state), state))
        for name, state in health.checks.items()
        if state != "ok"
    ]
    found = waiting or [Check("connection", "ok", "connected to Kafka, partitions assigned")]
    if not waiting:
        found.append(_data(view, history.silent_seconds))
    found.append(_backlog(view, now))
    if not waiting:
        found += [_learning(view), _feeds(view)]
    found += [_losses(view), _budget(view, settings)]
    if view.published.errors:
        text = f"{view.published.errors:,} records could not be sent to Kafka"
        found.append(Check("output", "problem", text))
    return found


def _data(view: View, silence: float | None) -> Check:
    if not view.partitions:
        text = "this process has no partition; other processes of the group have all of them"
        return Check("data", "notice", text)
    if silence is None:
        return Check("data", "problem", "no events received yet")
    if silence > SILENT_SECONDS:
        text = f"no events for {duration(silence)}: the market is closed or the feed is down"
        return Check("data", "problem", text)
    return Check("data", "ok", "receiving events")


def _backlog(view: View, now: float) -> Check:
    unread = sum(view.lags.values())
    newest = view.newest_ns
    behind = max(0.0, now - newest / 1e9) if newest else 0.0
    backlog = unread > UNREAD_RECORDS
    if backlog and behind > BEHIND_SECONDS:
        text = f"{duration(behind)} behind the market: {unread:,} unread records"
        return Check("delay", "problem", text)
    if behind > BEHIND_SECONDS:
        text = (
            f"the newest event is {duration(behind)} old, without a backlog: the feed is late, or "
            "the clocks differ"
        )
        return Check("delay", "notice", text)
    return Check("delay", "ok", f"{behind:.1f} s behind the clock, {unread:,} unread records")


def _learning(view: View) -> Check:
    monitors = view.monitors
    sparse = [monitor.symbol for monitor in monitors if monitor.too_sparse]
    learning = sum(monitor.warming_up and not monitor.too_sparse for monitor in monitors)
    if sparse and not learning:
        text = f"no detection for {len(sparse):,} symbols: too few events ({named(sorted(sparse))})"
        return Check("warm-up", "notice" if len(sparse) < len(monitors) else "problem", text)
    if not learning:
        return Check("warm-up", "ok", f"detection is active for {len(monitors):,} symbols")
    if learning + len(sparse) == len(monitors):
        text = "warming up: no detection until the baselines are learned"
        return Check("warm-up", "problem", text)
    text = f"no detection yet for {learning:,} of {len(monitors):,} symbols: they are warming up"
    return Check("warm-up", "notice", text)


def _feeds(view: View) -> Check:
    """Return the check of the symbols' feeds."""
    monitors = view.monitors
    suspect = [m for m in monitors if m.feed.findings.standing]
    if not suspect:
        return Check("feeds", "ok", "no problem in the feeds")
    finding = next(iter(suspect[0].feed.findings.standing.values()))
    text = f"the feed of {suspect[0].symbol} is unreliable: {finding.description}"
    if len(suspect) > 1:
        text += f"; also {len(suspect) - 1:,} other symbols"
    return Check("feeds", "notice", text)


def _losses(view: View) -> Check:
    tally, rejected = view.counters.tally, view.counters.dead_letters.total()
    late = tally.late / tally.released if tally.released else 0.0
    text = (
        f"{tally.late:,} late events ({late:.1%}), {rejected:,} unreadable records (dead letters)"
    )
    return Check("losses", "notice" if rejected or late > LATE_RATIO else "ok", text)


def _budget(view: View, settings: Settings) -> Check:
    """Return the number of incidents, for comparison with the false-alarm budget."""
    opened = sum(
        count
        for (detector, severity), count in view.counters.incidents.items()
        if of_market(detector) and severity == "warning"
    )
    days = view.counters.tally.market.judged_bars * settings.time.bar_seconds / 86_400
    text = f"{opened:,} incidents in {days:.2g} symbol-days of detection; the false-alarm budget is"
    return Check("budget", "ok", f"{text} {view.budget_per_day:g} per symbol-day")
