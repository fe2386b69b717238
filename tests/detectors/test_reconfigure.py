"""New parameters for a running symbol: judgement changes, the learned state stays."""

import pytest
from msgspec import msgpack
from msgspec.structs import replace

from detectors.catalogue import CATALOGUE
from detectors.feed.checks import FeedLimits
from detectors.incidents.suppression import Override, Suppression, Window
from detectors.parameters import Parameters
from detectors.reconfigure import judged_alike, reconfigure
from detectors.state import SymbolState, capture, revive
from detectors.symbol import Counts, SymbolMonitor
from tests.pipeline.events import BEGIN, SECOND, market

BASE = Parameters(warmup_bars=60, quiet_ns=10 * SECOND, max_accounts=4)
EVENTS = [event for event in market(seed=5, seconds=240) if event.symbol == "AAA"]
HALF = BEGIN + 160 * SECOND
END = BEGIN + 240 * SECOND


def new(parameters=BASE):
    return SymbolMonitor("AAA", parameters, CATALOGUE, Counts())


def play(monitor, begin=BEGIN, end=END):
    """Return the signals and alerts of the bars from ``begin`` to ``end``."""
    events = iter([event for event in EVENTS if begin <= event.ts_event < end])
    event = next(events)
    signals, alerts = [], []
    for bar_end in range(begin + SECOND, end + SECOND, SECOND):
        while event is not None and event.ts_event < bar_end:
            monitor.apply(event)
            event = next(events, None)
        signal, its = monitor.close_bar(bar_end)
        signals.append(signal)
        alerts += its
    return signals, alerts


def learned(monitor):
    """Return the learned state of the detectors, as bytes, without what bounds their alarms."""
    state = capture(monitor, None)
    return msgpack.encode([state.watches, {n: its.model for n, its in state.scorers.items()}])


def rarities(signals):
    """Return the p-values of the detectors in each bar."""
    return [{n: its.p_value for n, its in signal.detectors.items()} for signal in signals]


GENEROUS = replace(BASE, false_alarms_per_day=2_000.0)
OVERRIDE = Override(symbols=("AAA",), false_alarms_per_day=500.0)
WINDOW = Window(symbols=("*",), begins_ns=(BEGIN,), length_ns=3_600 * SECOND, reason="upgrade")


@pytest.mark.parametrize(
    "after",
    [
        GENEROUS,
        replace(BASE, suppression=Suppression((OVERRIDE,))),
        replace(GENEROUS, suppression=Suppression((), (WINDOW,))),
        replace(GENEROUS, suppression=Suppression((Override(symbols=("*",), only="rise"),))),
        replace(GENEROUS, feed=FeedLimits(silent_seconds=1.0)),
    ],
    ids=["budget", "own budget", "window", "direction", "feed"],
)
def test_from_the_next_bar_on_it_judges_as_if_it_had_never_judged_otherwise(after):
    always, changed = new(after), new()
    play(always, end=HALF)
    play(changed, end=HALF)
    before = learned(changed)
    reconfigure(changed, after)
    assert learned(changed) == before
    expected, signals = (play(monitor, HALF)[0] for monitor in (always, changed))
    assert rarities(signals) == rarities(expected)
    assert [signal.stress_ratio for signal in signals] == [s.stress_ratio for s in expected]
    assert any(reading.alarm for signal in signals for reading in signal.detectors.values())
    assert learned(changed) == learned(always)
    assert changed.parameters == always.parameters


def test_p_values_do_not_depend_on_the_budget():
    (generous, _), (mean, _) = play(new(GENEROUS)), play(new(BASE))
    for one, other in zip(generous, mean, strict=True):
        for name, reading in one.detectors.items():
            assert reading.p_value == other.detectors[name].p_value


def test_an_incident_has_the_id_that_it_would_have_had():
    changed = new()
    assert play(changed, end=HALF)[1] == []
    reconfigure(changed, GENEROUS)
    ids = {alert.alert_id for alert in play(changed, HALF)[1]}
    assert ids
    assert ids <= {alert.alert_id for alert in play(new(GENEROUS))[1]}


def test_a_window_lets_a_running_incident_become_quiet():
    monitor = new(GENEROUS)
    begin = next(alert.ts_event for alert in play(new(GENEROUS))[1])
    play(monitor, end=begin)
    assert monitor.incidents.open is not None
    incident = monitor.incidents.open.alert
    reconfigure(monitor, replace(GENEROUS, suppression=Suppression((), (WINDOW,))))
    alerts = play(monitor, begin, begin + 12 * SECOND)[1]
    assert [(a.alert_id, a.status, a.ends_at) for a in alerts] == [
        (incident.alert_id, "resolved", begin + BASE.quiet_ns)
    ]


def test_when_a_symbol_is_silent_follows_from_the_new_limits():
    monitor, strict = new(), replace(BASE, feed=FeedLimits(symbol_silent_seconds=300.0))
    play(monitor)
    due_ns = monitor.feed.checks.due_ns
    reconfigure(monitor, strict)
    assert monitor.feed.checks.due_ns == END + 300 * SECOND
    reconfigure(monitor, BASE)
    assert monitor.feed.checks.due_ns == due_ns


def test_a_snapshot_made_by_one_budget_goes_on_by_another():
    first = new(GENEROUS)
    play(first, end=HALF)
    state = msgpack.decode(msgpack.encode(capture(first, None)), type=SymbolState)
    again = revive("AAA", state, BASE, CATALOGUE, Counts())
    reconfigure(first, BASE)
    assert play(again, HALF) == play(first, HALF)


@pytest.mark.parametrize(
    "after",
    [
        replace(BASE, bar_ns=2 * SECOND),
        replace(BASE, warmup_bars=61),
        replace(BASE, quiet_ns=11 * SECOND),
        replace(BASE, max_orders=9),
        replace(BASE, max_accounts=9),
        replace(BASE, feed=FeedLimits(quiet_ns=9)),
    ],
)
def test_what_was_learned_under_other_parameters_is_refused(after):
    monitor = new()
    assert not judged_alike(BASE, after)
    with pytest.raises(ValueError, match="cannot reconfigure AAA from"):
        reconfigure(monitor, after)
    assert monitor.parameters == BASE
