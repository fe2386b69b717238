"""Other settings for a partition that is at work: between two bars, and across a restart."""

import msgspec
import pytest
from msgspec.structs import replace

from detectors.incidents.suppression import budget_per_day
from service.pipeline.output import PublishedUntil, Tally, alert_key
from service.pipeline.snapshot import Snapshot
from service.settings.assembly import parameters, partition_task, reconfigure_task
from service.settings.types import (
    DetectionSettings,
    MaintenanceSettings,
    OverrideSettings,
    Settings,
    settings_hash,
)
from tests.pipeline.events import BEGIN, SECOND, by_stream, market

STREAMS = ("orders", "cancels", "trades")
LOGS = by_stream(market(seed=5, seconds=240))
# Not at a bar's end: the bar that is open is judged by what is in force when it closes.
CHANGE = BEGIN + 160 * SECOND + SECOND // 2
END = BEGIN + 240 * SECOND

QUIET = Settings(detection=DetectionSettings(warmup_bars=60, quiet_seconds=10))
READY = replace(QUIET, detection=replace(QUIET.detection, false_alarms_per_day=1_000))
IN_WORK = replace(READY, maintenance=(
    MaintenanceSettings(symbols=("*",), reason="upgrade", days=("thu",), start="00:00", minutes=60),
))  # fmt: skip
OWN = replace(
    QUIET, overrides=(OverrideSettings(symbols=("A*", "LATE"), false_alarms_per_day=1_000),)
)


def new(settings):
    return partition_task(settings, dict.fromkeys(STREAMS), Tally())


def play(task, until_ns):
    """Feed every topic from where the task stands up to a time; alerts and signals."""
    for stream in STREAMS:
        start = task.aligner.read(stream)
        events = [event for event in LOGS[stream][start:] if event.ts_event < until_ns]
        task.feed(stream, events, first_offset=start, next_offset=start + len(events))
    output = task.advance()
    return output.alerts, output.signals


def place(signal):
    return (signal.ts_event, signal.symbol)


def learned(task):
    """The baselines and tails of each symbol, without the alarms that count against its budget."""
    return {
        symbol: {
            name: msgspec.msgpack.encode(its.model)
            for name, its in task.snapshot(symbol).state.scorers.items()
        }
        for symbol in task.monitors
    }


@pytest.mark.parametrize("after", [READY, OWN, IN_WORK], ids=["budget", "own budget", "window"])
def test_thresholds_are_those_of_a_start_with_the_new_settings(after):
    always, changed = new(after), new(QUIET)
    play(always, CHANGE)
    assert play(changed, CHANGE)[0] == []
    reconfigure_task(changed, after)
    (expected_alerts, expected), (alerts, signals) = (play(task, END) for task in (always, changed))
    assert len(signals) > 150
    assert [signal.detectors for signal in signals] == [signal.detectors for signal in expected]
    assert any(reading.alarm for signal in signals for reading in signal.detectors.values())
    assert learned(changed) == learned(always)
    assert bool(alerts) == (after is not IN_WORK)
    # An incident that ran already at the change began there earlier, and has its own id.
    assert {a.alert_id for a in alerts if a.starts_at > CHANGE + 15 * SECOND} == {
        a.alert_id for a in expected_alerts if a.starts_at > CHANGE + 15 * SECOND
    }


def test_a_window_that_is_taken_away_or_put_in_force_acts_on_the_next_bar():
    assert play(new(READY), CHANGE)[0], "there must be something to suppress"
    task = new(READY)
    play(task, CHANGE - 30 * SECOND)
    reconfigure_task(task, IN_WORK)
    alerts, signals = play(task, CHANGE)
    assert alerts == []
    alarms = [its for signal in signals for its in signal.detectors.values() if its.alarm]
    assert {its.suppressed for its in alarms} == {"maintenance: upgrade"}
    reconfigure_task(task, READY)
    assert "firing" in {alert.status for alert in play(task, END)[0]}


def test_a_symbol_that_comes_later_is_watched_by_the_new_settings():
    task = new(QUIET)
    play(task, CHANGE)
    reconfigure_task(task, OWN)
    late = msgspec.structs.replace(LOGS["orders"][0], symbol="LATE", ts_event=CHANGE)
    at = task.aligner.read("orders")
    task.feed("orders", [late], first_offset=at, next_offset=at + 1)
    for stream in STREAMS:
        task.aligner.set_idle(stream)
    task.advance()
    budgets = {name: its.parameters.false_alarms_per_day for name, its in task.monitors.items()}
    assert budgets == {"AAA": 1_000, "BBB": 1.0, "LATE": 1_000}
    assert budget_per_day(task.parameters.suppression, "LATE", 1.0) == 1_000


@pytest.mark.parametrize("after", [READY, IN_WORK], ids=["budget", "window"])
def test_saved_at_the_change_and_restored_it_goes_on_alike(after):
    before = READY if after is IN_WORK else QUIET
    first = new(before)
    out, _ = play(first, CHANGE)
    reconfigure_task(first, after)
    kept = [msgspec.msgpack.encode(first.snapshot(symbol)) for symbol in first.changed()]
    for symbol in list(first.monitors):
        first.saved(symbol)
    position = first.resume_position()
    assert position == first.aligner.position()

    again = new(after)
    snapshots = [msgspec.msgpack.decode(raw, type=Snapshot) for raw in kept]
    again.resume(position.streams, snapshots, PublishedUntil(), map(alert_key, out))
    for stream in STREAMS:
        start = position.streams[stream].start
        events = [event for event in LOGS[stream][start:] if event.ts_event < END]
        again.feed(
            stream,
            events,
            first_offset=start,
            next_offset=start + len(events),
            offsets=range(start, start + len(events)),
        )
    output = again.advance()
    alerts, signals = play(first, END)
    assert output.alerts == alerts
    # Within a bar the symbols may come in another order.
    assert sorted(output.signals, key=place) == sorted(signals, key=place)
    assert ("firing" in {alert.status for alert in alerts}) == (after is READY)
    assert learned(again) == learned(first)


def test_snapshots_outlive_a_change_of_what_judges():
    hashes = {settings_hash(its) for its in (QUIET, READY, IN_WORK, OWN)}
    assert len(hashes) == 1
    assert settings_hash(Settings()) not in hashes


def test_what_would_change_what_is_learned_is_refused():
    task = new(QUIET)
    play(task, CHANGE)
    with pytest.raises(ValueError, match="cannot reconfigure"):
        reconfigure_task(task, Settings())
    assert parameters(QUIET).warmup_bars == 60
