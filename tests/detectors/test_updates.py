"""What an incident says: the worst that is true now, how it began, and when it is told again."""

from functools import cache
from itertools import groupby, pairwise

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.incidents.market_effect import NOTICEABLE, SEVERE, MarketNow, grades
from detectors.incidents.symbol_incidents import PERSISTENT_BARS, SEVERE_BARS, Incidents
from detectors.incidents.symbol_incidents import Incident as OpenIncident
from detectors.incidents.updates import UPDATE_NS, Told, needs_update
from detectors.judging.surprise import Contribution
from detectors.market_data.bar import Bar, book_state
from detectors.market_data.book import Book, bands_of
from detectors.market_data.flow import Flow
from detectors.market_data.market_noise import MarketNoiseState
from detectors.parameters import Parameters
from detectors.scorer import NO_INPUT, Reading
from detectors.state import SymbolState, capture, revive
from detectors.symbol import SymbolMonitor
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import simulate
from service.pipeline.output import opens_or_escalates
from service.presentation.incidents import Incident, fold, incident_rows
from tests.simulated import run_scenario
from tests.steps import NOTHING

SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND
QUIET = 300 * SECOND
SPREAD_BPS = 2.0
NOISE = MarketNoiseState(600, price=0.2, depth=0.1, spread=0.1)
LEVERAGE = "leverage_jump: accounts are taking on leverage"


class Market:
    """A symbol with a book that a test shapes, and detectors that alarm when it says so."""

    def __init__(self, scale=1.0, *, price=100.0):
        self.incidents = Incidents("S", QUIET)
        self.scale = scale
        self.book = Book(10_000)
        self.book.bands = bands_of(SPREAD_BPS)
        self.at = BEGIN
        self.alerts = []
        self.shape(price)
        self.closed = book_state(self.book, None)
        self.usual = self.closed.depth[1]

    def shape(self, price, *, bids=1.0, asks=1.0, spread=1.0):
        """Rest ten orders a side within the near band, and more beyond it."""
        self.book.clear(LATER)
        for side, quantity in ((1.0, bids), (-1.0, asks)):
            for number in range(20):
                bps = SPREAD_BPS * (0.5 * spread + 0.45 * number)
                if quantity > 0.0:
                    level = price * self.scale * (1.0 - side * bps / 1e4)
                    self.book.add(f"{side}{number}", side > 0.0, level, quantity, 0)

    def bars(self, count, *alarmed, p_value=1e-7, suppressed=(), trades=True):
        """Close bars with the book as it is; return the alerts of the last one."""
        told = []
        for _ in range(count):
            self.at += SECOND
            opened, self.closed = self.closed, book_state(self.book, self.closed.mid)
            bar = Bar(
                symbol="S",
                starts_at=self.at - SECOND,
                ends_at=self.at,
                flow=Flow(),
                span_sums=[],
                opened=opened,
                closed=self.closed,
                usual_depth=self.usual,
                typical_spread=SPREAD_BPS,
                smooth_log_depth=(0.0, 0.0, 0.0),
                recent=NOTHING,
                layered=0.0,
                spoofed=0.0,
            )
            its = readings(alarmed, p_value, suppressed)
            market = MarketNow(bar, self.book, NOISE) if trades else None
            told = self.incidents.step(self.at, CATALOGUE, its, (), market)
            self.alerts += told
        return told


LATER = BEGIN * 2


def readings(alarmed, p_value=1e-7, suppressed=()):
    its = dict.fromkeys((d.name for d in CATALOGUE), NO_INPUT)
    for name in (*alarmed, *suppressed):
        detector = next(d for d in CATALOGUE if d.name == name)
        feature = next(iter(detector.phrases))
        why = [Contribution(feature, 0.9, 0.1, 1.0)]
        reason = "maintenance: upgrade" if name in suppressed else None
        its[name] = Reading("scoring", {feature: 0.9}, 7.0, p_value, True, why, reason)
    return its


def told(market):
    return [(alert.severity, alert.update, alert.reason) for alert in market.alerts]


# The demo's cascade.


@cache
def cascade(seed):
    output, truths = run_scenario("cascade", seed=seed, seconds=1_800)
    first = next(truth for truth in truths if truth.kind == "cascade")
    return output.alerts, first


@pytest.mark.parametrize("seed", [1, 7])
def test_at_the_end_of_a_cascade_the_headline_is_the_book_or_the_price_not_what_it_began_with(seed):
    alerts, truth = cascade(seed)
    during = [a for a in alerts if truth.starts_at < a.ts_event <= truth.ends_at]
    last = [alert for alert in during if alert.status == "firing"][-1]
    assert last.severity == "critical"
    lead, _, began = last.summary.removeprefix("BTC-PERP: ").partition(". It began at ")
    assert lead.startswith(("the mid price has fallen", "the book", "the bid side"))
    assert "the mid price has fallen" in lead
    assert "market sale" in lead or "market purchase" in lead
    assert began.endswith(last.opening)
    assert f"with {last.detector}: " in began
    assert last.market.price_change < 0.0


@pytest.mark.parametrize("seed", [1, 7])
def test_an_incident_is_told_at_most_once_a_minute_except_when_it_becomes_critical(seed):
    alerts, _ = cascade(seed)
    incidents = groupby(
        sorted(alerts, key=lambda a: (a.alert_id, a.ts_event)), key=lambda a: a.alert_id
    )
    updates = 0
    for _, records in incidents:
        firing = [alert for alert in records if alert.status == "firing"]
        for before, after in pairwise(firing):
            if after.reason == "severity":
                assert (before.severity, after.severity) == ("warning", "critical")
                assert after.update == 0
            else:
                assert after.ts_event >= before.ts_event + UPDATE_NS
                assert after.update == before.update + 1
                updates += 1
    assert updates > 0


def test_the_same_events_give_the_same_alerts_to_the_byte():
    again, _ = run_scenario("cascade", seed=1, seconds=1_800)
    assert msgspec.json.encode(again.alerts) == msgspec.json.encode(cascade(1)[0])


def test_a_monitor_that_is_restored_after_every_bar_tells_the_same():
    market = scenario("cascade")
    published = simulate(market, seed=1, symbols=1, duration_ns=1_600 * SECOND)
    bars = groupby(
        (event for event in published if not isinstance(event, Truth)),
        key=lambda event: event.ts_event // SECOND,
    )
    parameters, counts = Parameters(), Counts()
    steady = SymbolMonitor("BTC-PERP", parameters, CATALOGUE, counts)
    restored = SymbolMonitor("BTC-PERP", parameters, CATALOGUE, Counts())
    expected, alerts = [], []
    for second, events in bars:
        its = list(events)
        for monitor, results in ((steady, expected), (restored, alerts)):
            for event in its:
                monitor.apply(event)
            results.extend(monitor.close_bar((second + 1) * SECOND)[1])
        if steady.with_incident:
            state = msgspec.msgpack.encode(capture(restored, None))
            state = msgspec.msgpack.decode(state, type=SymbolState)
            restored = revive("BTC-PERP", state, parameters, CATALOGUE, Counts())
    assert any(alert.update for alert in expected)
    assert msgspec.json.encode(alerts) == msgspec.json.encode(expected)


# The headline and the severity.


def test_what_it_began_with_is_history_once_the_bids_are_gone_and_the_price_has_fallen():
    market = Market()
    market.bars(1, "leverage_jump")
    opened = market.alerts[0]
    assert opened.summary.startswith("S: accounts are taking on leverage")
    assert "the book holds 100 % of its usual depth" in opened.summary
    market.shape(97.0, bids=0.0)
    market.book.add("last", True, 96.93, 1.0, 0)
    market.bars(SEVERE_BARS, "leverage_jump")
    (critical,) = market.alerts[1:]
    assert (critical.severity, critical.reason, critical.update) == ("critical", "severity", 0)
    lead, history = critical.summary.split(". It began at ")
    assert lead.startswith("S: the mid price has fallen 3 % (1")
    assert "leverage" not in lead
    assert "the bid side holds 8.8 % of a side's usual depth" in lead
    assert "a market sale of 1 moves the price by 10 bps or more, which usually takes 11" in lead
    assert history.startswith("22:13:21 UTC with " + LEVERAGE)
    assert critical.alarming == ["leverage_jump"]


def test_the_order_that_crosses_the_near_band_is_in_the_feeds_quantities():
    market = Market()
    market.shape(100.0, bids=0.1)
    market.bars(1)
    (alert,) = market.bars(1, "thin_book")
    resting = sum(0.1 for number in range(20) if 0.5 + 0.45 * number <= 5.0)
    assert f"a market sale of {resting:.2g} moves the price by 10 bps or more" in alert.summary
    assert f"which usually takes {10.0 * resting:.0f}" in alert.summary


def test_an_incident_without_an_effect_on_the_market_stays_a_warning_however_long_it_lasts():
    market = Market()
    market.bars(20 * PERSISTENT_BARS, "leverage_jump")
    market.bars(20 * PERSISTENT_BARS, "leverage_jump", "spoofing")
    assert {alert.severity for alert in market.alerts} == {"warning"}
    assert told(market)[:2] == [("warning", 0, "opened"), ("warning", 1, "detector")]


def test_an_effect_to_notice_makes_it_critical_when_it_lasts_or_is_confirmed():
    for alarms in (["thin_book"], ["thin_book", "cancel_burst"]):
        market = Market()
        market.shape(100.0, bids=0.4, asks=0.4)
        market.bars(2, *alarms)
        assert market.incidents.open.alert.severity == ("critical" if alarms[1:] else "warning")
        market.bars(PERSISTENT_BARS, *alarms)
        assert market.incidents.open.alert.severity == "critical"


def test_a_severe_effect_makes_it_critical_within_seconds_and_a_gap_of_a_second_does_not():
    market = Market()
    market.bars(1, "cancel_burst")
    market.shape(100.0, bids=0.1, asks=0.1)
    market.bars(2)
    market.shape(100.0)
    market.bars(30)
    assert told(market) == [("warning", 0, "opened")]
    market.shape(100.0, bids=0.1, asks=0.1)
    market.bars(1 + SEVERE_BARS)
    assert told(market)[1:] == [("critical", 0, "severity")]


def test_it_is_critical_with_the_effect_even_if_no_detector_alarms_in_that_bar():
    market = Market()
    market.bars(1, "leverage_jump")
    market.shape(95.0)
    alerts = market.bars(SEVERE_BARS)
    assert alerts[0].severity == "critical"
    assert "the mid price has fallen 5 %" in alerts[0].summary


def test_an_effect_under_suppressed_alarms_is_not_told():
    market = Market()
    market.bars(1, "leverage_jump")
    market.shape(95.0)
    market.bars(120, suppressed=["thin_book"])
    assert told(market) == [("warning", 0, "opened")]


def test_a_book_that_fills_again_after_a_halt_is_no_effect():
    market = Market()
    market.bars(1, "leverage_jump")
    market.shape(100.0, bids=0.01, asks=0.01)
    market.bars(120, trades=False)
    market.shape(100.0)
    market.bars(60)
    assert told(market) == [("warning", 0, "opened")]


def test_the_end_says_the_worst_that_was():
    market = Market()
    market.bars(1, "thin_book")
    market.shape(97.0)
    market.bars(2)
    market.shape(100.0)
    market.bars(QUIET // SECOND)
    resolved = market.alerts[-1]
    assert "at worst the mid price had fallen 3 %" in resolved.summary
    assert (resolved.status, resolved.reason, resolved.update) == ("resolved", "resolved", 0)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_effect_has_no_instrument_in_it(scale):
    def played(scale):
        market = Market(scale)
        market.bars(1, "cancel_burst")
        market.shape(99.5, bids=0.2, spread=3.0)
        market.bars(90, "cancel_burst")
        return market

    scaled, plain = played(scale), played(1.0)
    assert told(scaled) == told(plain)
    for one, other in zip(scaled.alerts, plain.alerts, strict=True):
        assert grades(one.market) == pytest.approx(grades(other.market), abs=1e-6)
    assert grades(plain.alerts[-1].market)["price"] >= NOTICEABLE


@given(
    bids=st.floats(0.0, 4.0),
    asks=st.floats(0.0, 4.0),
    price=st.floats(50.0, 200.0),
    spread=st.floats(0.0, 50.0),
)
def test_whatever_the_market_does_the_headline_is_its_worst_effect(bids, asks, price, spread):
    market = Market()
    market.bars(1, "leverage_jump")
    market.shape(price, bids=bids, asks=asks, spread=spread)
    market.bars(75, "leverage_jump")
    last = market.alerts[-1]
    graded = grades(last.market)
    leads = {
        "depth": ("S: the book", "S: the bid side", "S: the ask side"),
        "spread": ("S: the spread",),
        "price": ("S: the mid price",),
    }
    highest = max(graded.values())
    assert all(0.0 <= grade <= 10.0 for grade in graded.values())
    if highest >= NOTICEABLE:
        worst = [part for part, grade in graded.items() if grade == highest]
        assert last.summary.startswith(tuple(lead for part in worst for lead in leads[part]))
        assert last.summary.endswith(last.opening)
    else:
        assert last.summary.startswith("S: accounts are taking on leverage")
    if highest >= SEVERE:
        assert last.severity == "critical"


# When it is told again.

CALM = {"depth": 0.0, "spread": 0.0, "price": 0.0}
FIRST = Told(BEGIN, "warning", ["thin_book"], 1e-6, CALM)
MINUTE = BEGIN + UPDATE_NS


def later(at=MINUTE, **changes):
    return msgspec.structs.replace(FIRST, ts_event=at, **changes)


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        (FIRST, later(), None),
        (FIRST, later(BEGIN + 1, severity="critical"), "severity"),
        (FIRST, later(detectors=["thin_book", "cancel_burst"]), "detector"),
        (FIRST, later(MINUTE - 1, detectors=["thin_book", "cancel_burst"]), None),
        (FIRST, later(p_value=1e-8), "rarity"),
        (FIRST, later(p_value=2e-8), None),
        (FIRST, later(grades={**CALM, "price": 1.0}), "worse"),
        (FIRST, later(grades={**CALM, "price": 0.9}), None),
        (later(BEGIN, grades={**CALM, "depth": 3.0}), later(grades={**CALM, "depth": 3.9}), None),
        (
            later(BEGIN, grades={**CALM, "depth": 3.0}),
            later(grades={**CALM, "depth": 4.0}),
            "worse",
        ),
        # A second effect is told, although the first is still worse.
        (
            later(BEGIN, grades={**CALM, "depth": 9.0}),
            later(grades={**CALM, "depth": 9.0, "price": 2.0}),
            "worse",
        ),
        # An effect at its limit is not told again and again.
        (later(BEGIN, grades={**CALM, "spread": 1.1}), later(grades={**CALM, "spread": 0.9}), None),
        (
            later(BEGIN, grades={**CALM, "spread": 1.1}),
            later(grades={**CALM, "spread": 0.4}),
            "better",
        ),
        (
            later(BEGIN, grades={"depth": 9.0, "spread": 0.0, "price": 5.0}),
            later(grades={"depth": 2.0, "spread": 0.0, "price": 5.0}),
            "better",
        ),
    ],
)
def test_what_is_told_again(before, now, reason):
    assert needs_update(before, now) == reason


tolds = st.builds(
    Told,
    ts_event=st.integers(BEGIN, BEGIN + 3 * UPDATE_NS),
    severity=st.sampled_from(["warning", "critical"]),
    detectors=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True),
    p_value=st.floats(1e-300, 1.0),
    grades=st.fixed_dictionaries(dict.fromkeys(CALM, st.floats(0.0, 10.0))),
)


@given(tolds, tolds)
@example(FIRST, later())
def test_only_a_worse_severity_is_told_within_the_minute_and_what_was_just_said_never(one, other):
    same = msgspec.structs.replace(one, ts_event=one.ts_event + 10 * UPDATE_NS)
    assert needs_update(one, same) is None
    if one.severity != other.severity:
        assert needs_update(one, other) == "severity"
    elif other.ts_event < one.ts_event + UPDATE_NS:
        assert needs_update(one, other) is None


def test_a_rarer_alarm_within_the_minute_is_what_the_record_after_it_shows():
    market = Market()
    market.bars(1, "leverage_jump", p_value=1e-6)
    market.bars(9)
    market.bars(1, "thin_book", "leverage_jump", p_value=1e-14)
    market.bars(60, "leverage_jump", p_value=1e-6)
    # Both happened within the minute: a new detector is told first, with the rarest alarm.
    (joined,) = market.alerts[1:]
    assert (joined.reason, joined.p_value) == ("detector", 1e-14)
    assert "; thin_book joined" in joined.summary
    market.bars(1, "leverage_jump", p_value=1e-18)
    market.bars(59)
    rarer = market.alerts[-1]
    assert (rarer.reason, rarer.p_value, rarer.alarming) == ("rarity", 1e-18, [])
    assert [its.detector for its in rarer.evidence] == ["leverage_jump"]
    assert "; its rarest alarm so far: accounts are taking on leverage" in rarer.summary


def test_a_record_without_a_new_alarm_repeats_the_evidence_of_the_one_before():
    market = Market()
    market.bars(1, "leverage_jump", p_value=1e-9)
    market.shape(97.0)
    market.bars(SEVERE_BARS)
    critical = market.alerts[-1]
    assert (critical.reason, critical.p_value) == ("severity", 1e-9)
    assert critical.evidence == market.alerts[0].evidence


@pytest.mark.parametrize("between", [1, 30])
def test_the_rarest_alarm_since_the_record_survives_a_restart(between):
    market = Market()
    market.bars(1, "leverage_jump", p_value=1e-6)
    market.bars(1, "leverage_jump", p_value=1e-14)
    market.bars(between, "leverage_jump", p_value=1e-6)
    saved = msgspec.msgpack.encode(market.incidents.open)
    market.incidents.open = msgspec.msgpack.decode(saved, type=OpenIncident)
    market.bars(60)
    assert (market.alerts[-1].reason, market.alerts[-1].p_value) == ("rarity", 1e-14)


# Who reads it.


def test_updates_are_counted_as_no_incidents():
    alerts, _ = cascade(1)
    counted = [(a.alert_id, a.severity) for a in alerts if opens_or_escalates(a)]
    assert len(counted) == len(set(counted))
    assert set(counted) == {(a.alert_id, a.severity) for a in alerts if a.status == "firing"}
    assert len(counted) < sum(alert.status == "firing" for alert in alerts)


def test_the_row_of_an_incident_has_the_latest_summary_and_what_was_told_before():
    market = Market()
    market.bars(1, "leverage_jump")
    market.shape(97.0)
    market.bars(75, "leverage_jump")
    incidents: dict[str, Incident] = {}
    for alert in (*market.alerts, market.alerts[0]):  # the first one arrives again at the end
        fold(incidents, alert)
    (row,) = incident_rows(incidents.values())
    assert row.summary.startswith("the mid price has fallen 3 %")
    assert row.told_ms == market.alerts[-1].ts_event // 1_000_000
    assert [its.severity for its in row.before][-1] == "warning"
    assert len(row.before) == len(market.alerts) - 1
    assert not any("It began at" in its.text for its in row.before)
