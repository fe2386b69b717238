"""What the console says of the market and of its feeds, which are told apart."""

import pytest

from detectors.feed.findings import CHECKS
from detectors.incidents.alerts import Evidence
from detectors.incidents.kind import FEED_INTEGRITY
from service.console.detail import detail
from service.console.health import checks
from service.exchange.scenarios.catalogue import scenario
from service.presentation.phrases import describe_feature
from tests.console.desk import Desk, restarted
from tests.steps import alert

LOST = Evidence(FEED_INTEGRITY, "sequence_gap_events", 12.0, 0.0, 1.0)
THIN = Evidence("thin_book", "shallow_15s", 2.0, 0.0, 1.0)


def test_a_symbol_is_shown_with_all_its_incidents_and_the_evidence_of_each():
    desk = restarted(
        alert(1, evidence=[THIN]),
        alert(2, detector=FEED_INTEGRITY, severity="critical", evidence=[LOST]),
    )
    shown, _ = detail(desk.view(), desk.history, "S", 0)
    told = {its.kind: [cause.text for cause in its.causes] for its in shown.incidents}
    assert told == {
        "alarm": ["depth near the touch has been 7.4 times less than usual over 15 s"],
        "feed": ["12 events are missing (gap in the sequence numbers)"],
    }


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_found_against_a_feed_is_told_in_words(check: str):
    assert check not in describe_feature(FEED_INTEGRITY, check, 0.3, 1.0)


def test_what_is_found_against_a_feed_is_no_part_of_the_budget_of_false_alarms():
    desk = Desk(script=scenario("calm"), symbols=["S"], rate=5.0)
    desk.counters.incidents.update({("thin_book", "warning"): 2, (FEED_INTEGRITY, "warning"): 5})
    found = checks(desk.view(), desk.health, desk.history, desk.settings, 0.0)
    (budget,) = (check.text for check in found if check.name == "budget")
    assert budget.startswith("2 incidents")
