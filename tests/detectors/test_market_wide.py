"""Incidents of several symbols at once: market-wide or by chance."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.incidents.alerts import Alert, alert_id
from detectors.incidents.market_wide import CHANCE_DAYS, MARKET, NAME, MarketMonitor
from detectors.incidents.scan_statistic import DAY_NS, at_least, clusters_per_day

SECOND = 1_000_000_000
WINDOW = 60 * SECOND
BEGIN = 1_700_000_000 * SECOND
BUDGET = 10.0  # ten symbols at one a day


def alert_of(symbol, at, *, since=None, status="firing", severity="warning", **other):
    """Return an alert about a symbol, ``at`` seconds after the beginning."""
    detector = other.pop("detector", "thin_book")
    ts_event = BEGIN + round(at * SECOND)
    starts_at = ts_event if since is None else BEGIN + round(since * SECOND)
    its_id = alert_id(symbol, detector, 1, starts_at)
    ends_at = ts_event if status == "resolved" else None
    return Alert(
        its_id, symbol, detector, severity, status, starts_at, ends_at, ts_event, 6.0, 1e-9, [],
        f"{symbol}: the book is thin", "docs/runbook.md#thin_book", **other,
    )  # fmt: skip


def over(symbol, at, since):
    return alert_of(symbol, at, since=since, status="resolved")


def play(alerts, budget=BUDGET, monitor=None):
    monitor = monitor or MarketMonitor(3, WINDOW)
    return [its for alert in alerts for its in monitor.step(alert, budget)]


def test_several_symbols_at_once_are_one_incident_of_the_market():
    names = ["BTC-PERP", "ETH-PERP", "SOL-PERP", "XRP-PERP", "ADA-PERP"]
    alerts = play(alert_of(name, 10 * i) for i, name in enumerate(names))
    (opened,) = alerts
    assert (opened.symbol, opened.detector, opened.severity) == (MARKET, NAME, "critical")
    assert opened.starts_at == BEGIN
    assert opened.ts_event == BEGIN + 20 * SECOND
    assert opened.alert_id == alert_id(MARKET, NAME, 1, BEGIN)
    assert opened.summary == (
        "BTC-PERP, ETH-PERP and SOL-PERP are under stress at once: 3 symbols within 20 s, "
        "usually 0.0069 in 60 s"
    )
    (evidence,) = opened.evidence
    assert (evidence.value, evidence.contribution) == (3, 1.0)
    assert evidence.expected == pytest.approx(BUDGET / 1440)
    assert opened.p_value < 1e-6


def test_it_ends_when_fewer_than_two_are_left():
    alerts = [alert_of(name, i) for i, name in enumerate("ABC")]
    alerts += [
        alert_of("D", 300),
        over("A", 400, 0),
        over("B", 410, 1),
        alert_of("C", 415, since=2),
    ]
    monitor = MarketMonitor(3, WINDOW)
    assert len(play(alerts, monitor=monitor)) == 1
    assert list(monitor.open.symbols) == list("ABCD")
    (resolved,) = play([over("D", 500, 300)], monitor=monitor)
    assert resolved.status == "resolved"
    assert resolved.ends_at == resolved.ts_event == BEGIN + 500 * SECOND
    assert resolved.summary == "A, B and 2 more are no longer under stress at once; C still is"
    # A member of the incident does not open the next one.
    assert play([alert_of("E", 501), alert_of("F", 502)], monitor=monitor) == []


@pytest.mark.parametrize(
    "others",
    [
        {"detector": "feed_integrity"},
        {"detector": "drift", "severity": "info"},
        {"symbol": "A"},
        {"at": 61.5},
    ],
    ids=["feeds", "drifts", "one symbol twice", "too far apart"],
)
def test_what_does_not_make_a_market(others):
    third = {"symbol": "C", "at": 2, **others}
    assert play([alert_of("A", 0), alert_of("B", 1), alert_of(**third)]) == []
    assert play([alert_of("A", 0), alert_of("B", 1), alert_of("C", 2)]) != []


def test_what_is_found_late_is_one_incident_all_the_same():
    """A partition that is far ahead of another has already reported the end of its incidents."""
    ahead = [alert_of("A", 0), alert_of("B", 1), over("A", 90, 0), over("B", 91, 1)]
    behind = [alert_of("C", 2), alert_of("D", 3), alert_of("E", 4), alert_of("F", 5)]
    opened, resolved = play([*ahead, *behind])
    assert (opened.status, opened.ts_event) == ("firing", BEGIN + 2 * SECOND)
    assert (resolved.status, resolved.ends_at) == ("resolved", BEGIN + 91 * SECOND)


def test_an_escalation_and_a_repeat_are_no_openings():
    first = alert_of("A", 0)
    worse = alert_of("A", 30, since=0, severity="critical")
    assert play([first, worse, first, alert_of("B", 31), worse]) == []


def test_the_more_symbols_open_by_chance_the_more_make_a_market():
    storm = [alert_of(f"S{i}", i) for i in range(12)]
    sizes = {}
    for budget in (10.0, 100.0, 1_000.0):
        (opened,) = play(storm, budget)
        sizes[budget] = opened.evidence[0].value
    assert sizes == {10.0: 3, 100.0: 4, 1_000.0: 8}


def test_the_last_day_counts_where_it_was_worse_than_the_budget():
    calm = [alert_of(f"C{i % 40}", 400 * i) for i in range(215)]  # a day of it
    storm = [alert_of(f"S{i}", 86_100 + i) for i in range(12)]
    (opened,) = play([*calm, *storm])
    assert opened.evidence[0].value == 5
    # Two days later, that day has no effect.
    later = [
        alert_of("X", 2 * 86_400 + 86_400),
        *(alert_of(f"T{i}", 3 * 86_400 + i) for i in range(12)),
    ]
    alerts = play([*calm, *later])
    assert alerts[0].evidence[0].value == 3


def test_what_is_known_against_the_inputs_is_told():
    alerts = [alert_of(name, i, inputs=["cancels frozen for 12 s"]) for i, name in enumerate("ABC")]
    (opened,) = play(alerts)
    assert opened.inputs == ["cancels frozen for 12 s"]
    assert opened.summary.endswith("; do not trust it: cancels frozen for 12 s")


def test_after_a_restart_it_goes_on_from_what_was_told():
    before = [alert_of(name, i) for i, name in enumerate("ABCD")]
    (opened,) = play(before)
    monitor = MarketMonitor(3, WINDOW)
    # More symbols now need a larger cluster; the published incident stays open.
    play([*before, opened], 10 * BUDGET, monitor)
    assert monitor.open.alert == opened
    assert play([over("A", 99, 0), over("B", 99, 1)], monitor=monitor) == []
    (resolved,) = play([over("C", 100, 2)], monitor=monitor)
    assert resolved.alert_id == opened.alert_id
    play([resolved], monitor=monitor)
    assert monitor.open is None


def test_what_was_told_of_symbols_that_are_known_no_more_is_ended():
    (opened,) = play([alert_of(name, i) for i, name in enumerate("ABC")])
    (resolved,) = play([opened, alert_of("D", 900)])
    assert resolved.summary == "the symbols are no longer under stress at once"


def test_members_that_never_end_do_not_hold_it_open_for_ever():
    monitor = MarketMonitor(3, WINDOW)
    play([alert_of(name, i) for i, name in enumerate("ABC")], monitor=monitor)
    (resolved,) = play([alert_of("D", 1.1 * 86_400)], monitor=monitor)
    assert resolved.status == "resolved"


openings = st.lists(
    st.tuples(st.sampled_from([f"S{i}" for i in range(8)]), st.integers(0, 59)),
    max_size=12,
    unique=True,
)


@given(openings, st.randoms(use_true_random=False), st.sampled_from([1.0, 60.0, 200.0]))
def test_the_order_of_arrival_within_a_window_does_not_matter(opened, rng, budget):
    alerts = [alert_of(symbol, at) for symbol, at in opened]
    in_order = play(sorted(alerts, key=lambda its: its.ts_event), budget)
    rng.shuffle(alerts)
    assert len(play(alerts, budget)) == len(in_order) <= 1


@given(
    st.lists(st.tuples(st.sampled_from("ABCDE"), st.integers(0, 600)), max_size=40),
    st.integers(3, 6),
)
def test_never_below_the_least_number_of_symbols(opened, least):
    monitor = MarketMonitor(least, WINDOW)
    for alert in play((alert_of(symbol, at) for symbol, at in opened), 1.0, monitor):
        if alert.status == "firing":
            assert alert.evidence[0].value >= least
            within = {s for s, at in opened if 0 <= BEGIN + at * SECOND - alert.starts_at <= WINDOW}
            assert len(within) >= least


def poisson_process(rng, per_day, days):
    """Return event times in seconds."""
    at = 0.0
    while (at := at + rng.expovariate(per_day / 86_400)) < days * 86_400:
        yield at


@pytest.mark.parametrize(("symbols", "per_day"), [(3, 600.0), (4, 900.0), (6, 2_500.0)])
def test_the_formula_agrees_with_a_simulation(symbols, per_day):
    days = 300
    times = list(poisson_process(random.Random(symbols), per_day, days))
    last = symbols - 1
    completed = sum(b - a <= 60 for a, b in zip(times, times[last:], strict=False))
    assert completed / days == pytest.approx(clusters_per_day(symbols, per_day, WINDOW), rel=0.1)


def test_the_tail_of_a_poisson_distribution():
    assert at_least(0, 3.0) == 1.0
    assert at_least(1, 0.0) == 0.0
    assert at_least(1, 1e-9) == pytest.approx(1e-9)
    assert at_least(200, 250.0) == pytest.approx(0.9995, abs=5e-4)
    assert at_least(1, 1_000.0) == pytest.approx(1.0)


@pytest.mark.parametrize("symbols", [50, 140, 500])
def test_independent_openings_at_the_budget_are_seldom_a_market(symbols):
    """At most once a month, also with the count of one day instead of the true rate."""
    rng = random.Random(symbols)
    days = 60_000 // symbols
    monitor = MarketMonitor(3, WINDOW)
    opened = 0
    open_until = []
    for at in poisson_process(rng, float(symbols), days):
        while open_until and open_until[0][0] <= at:
            monitor.step(over(open_until[0][1], *open_until.pop(0)[::2]), symbols)
        symbol = f"S{rng.randrange(symbols)}"
        open_until.append((at + 90, symbol, at))
        opened += len(monitor.step(alert_of(symbol, at), symbols))
    assert opened <= days / CHANCE_DAYS


def test_nothing_is_kept_for_longer_than_needed():
    monitor = MarketMonitor(3, WINDOW)
    for i in range(3_000):
        monitor.step(alert_of(f"S{i}", 600 * i), BUDGET)
    kept = (DAY_NS + 3 * WINDOW) // (600 * SECOND) + 1
    assert len(monitor._known) <= kept
    assert len(monitor._openings) <= kept
