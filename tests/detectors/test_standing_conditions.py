"""A feed fault that keeps returning is one standing condition, and so is a partial book."""

from detectors.catalogue import CATALOGUE
from detectors.counts import Counts
from detectors.feed.checks import FeedLimits
from detectors.feed.findings import Finding
from detectors.feed.incidents import LASTING_BARS, STANDING_NS, FeedIncidents
from detectors.feed.partial_book import PARTIAL_BOOK
from detectors.market_data.events import Cancel, Order
from detectors.parameters import Parameters
from detectors.symbol import SymbolMonitor

SECOND = 1_000_000_000
BEGIN = 1_767_225_600 * SECOND
HALF_AN_HOUR = 1_800 * SECOND
QUIET = FeedLimits().quiet_ns


def found(feature="cancels_frozen_seconds"):
    return Finding(feature, 10.0, 0.0, 4.0, 1e-50, f"{feature} found")


def a_day_of(feature, bars=1):
    """Return the incidents of a check that finds something every half an hour, and its alerts."""
    incidents, alerts = FeedIncidents("A", QUIET, ()), []
    for at in range(BEGIN, BEGIN + STANDING_NS, HALF_AN_HOUR):
        for bar in range(bars):
            alerts += incidents.step(at + bar * SECOND, [found(feature)])
        alerts += incidents.resolve(at + HALF_AN_HOUR - SECOND)
    return incidents, alerts


def test_a_check_that_returns_all_day_is_three_incidents_and_the_third_stays():
    incidents, alerts = a_day_of("cancels_frozen_seconds")
    assert [alert.status for alert in alerts] == [
        "firing", "resolved", "firing", "resolved", "firing",
    ]  # fmt: skip
    assert len({alert.alert_id for alert in alerts}) == 3
    assert "one incident until a day without it" in alerts[-1].summary
    last = incidents.findings.condition.last_ns
    assert incidents.resolve(last + STANDING_NS - 1) == []
    (over,) = incidents.resolve(last + STANDING_NS)
    assert (over.alert_id, over.status) == (alerts[-1].alert_id, "resolved")
    assert not incidents.active
    # It is a new fault then, and not a standing condition.
    assert len(incidents.step(over.ends_at + SECOND, [found()])) == 1
    assert incidents.findings.condition is None


def test_a_standing_condition_does_not_hide_another_fault():
    incidents, _ = a_day_of("crossed_book_seconds")
    at = BEGIN + STANDING_NS
    both = [found("crossed_book_seconds"), found("trades_frozen_seconds")]
    (opened,) = incidents.step(at, both)
    assert (opened.severity, opened.status) == ("warning", "firing")
    assert [its.feature for its in opened.evidence] == ["trades_frozen_seconds"]
    (over,) = incidents.resolve(at + QUIET)
    assert over.alert_id == opened.alert_id
    assert incidents.findings.open is None
    assert incidents.findings.condition is not None


def test_a_returning_fault_that_lasts_is_critical_once():
    _, alerts = a_day_of("crossed_book_seconds", bars=LASTING_BARS)
    severities = [alert.severity for alert in alerts if alert.status == "firing"]
    assert severities == ["warning", "critical"] * 3


def test_a_finding_of_hours_ago_is_not_held_against_an_alert():
    incidents, _ = a_day_of("crossed_book_seconds")
    last = incidents.findings.condition.last_ns
    assert incidents.inputs(last + QUIET - SECOND) != []
    assert incidents.inputs(last + QUIET) == []


def test_a_partial_book_is_one_warning_from_the_first_finding_on():
    _, alerts = a_day_of(PARTIAL_BOOK, bars=2 * LASTING_BARS)
    assert [alert.severity for alert in alerts] == ["warning"]


class DepthLimited:
    """A symbol whose price walks up and down; orders behind the touch end without a report.

    ``unreported`` is the share of entries and ends of orders that the feed does not report.
    """

    def __init__(self, ends=True, entries=True):
        self.monitor = SymbolMonitor("A", Parameters(), CATALOGUE, Counts())
        self.ends, self.entries = ends, entries
        self.alerts = []

    def run(self, seconds):
        for second in range(seconds):
            at = BEGIN + second * SECOND
            touch = 100.0 + abs(second % 20 - 10)
            for side, price in (("buy", touch - 1.0), ("sell", touch + 1.0)):
                its = {"ts_event": at, "symbol": "A", "order_id": f"{side}{second}"}
                self.monitor.apply(Order(**its, side=side, price=price, quantity=1.0))
                if second % 10 == 0 and self.entries:  # an order that entered unreported ends
                    self.monitor.apply(Cancel(**its | {"order_id": f"?{side}{second}"}))
                if second and not (second % 10 == 1 and self.ends):
                    its["order_id"] = f"{side}{second - 1}"
                    self.monitor.apply(Cancel(**its))
            _, alerts = self.monitor.close_bar(at + SECOND)
            self.alerts += [its for its in alerts if its.detector == "feed_integrity"]
        return self.alerts


def test_a_depth_limited_feed_is_one_explained_incident():
    market = DepthLimited()
    assert market.run(3_000)
    assert market.monitor.counts.stale_orders > 50
    (alert,) = market.alerts
    assert [its.feature for its in alert.evidence] == [PARTIAL_BOOK]
    assert alert.severity == "warning"
    assert alert.summary.startswith("A: the feed reports only part of the book (such as its best")


def test_a_feed_that_loses_cancels_and_one_read_from_the_middle_are_no_partial_book():
    for market in (DepthLimited(entries=False), DepthLimited(ends=False)):
        market.run(3_000)
        assert PARTIAL_BOOK not in market.monitor.counts.feed.findings
