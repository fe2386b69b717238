"""What a scorecard says of feeds, on outcomes that are known."""

from service.exchange.measures import Truth
from service.scorecard.feeds import feed_false, feed_found
from service.scorecard.matrix import Trial
from service.scorecard.trial import Alarm, Outcome

SECOND = 1_000_000_000
BEGAN = 1_767_225_600 * SECOND


def outcome(scenario, kind, feeds, incidents=()):
    alarms = [Alarm("A", BEGAN + t * SECOND, "net_withdrawal") for t in incidents]
    return Outcome(
        trial=Trial(scenario, 1),
        began_ns=BEGAN,
        ended_ns=BEGAN + 3_600 * SECOND,
        symbols=["A"],
        truths=[
            Truth(
                kind=kind,
                symbol="A",
                starts_at=BEGAN + 1_800 * SECOND,
                ends_at=BEGAN + 1_920 * SECOND,
                strength=1.0,
            )
        ],
        incidents=alarms,
        alarms={},
        scored_bars={},
        feeds=[Alarm("A", BEGAN + t * SECOND, check) for t, check in feeds],
        distrusted=alarms[:1],
    )


def test_a_fault_is_found_within_it_and_the_markets_alerts_after_that_should_say_so():
    (row,) = feed_found(
        [
            outcome(
                "frozen_cancels",
                "frozen_cancels",
                [(1_805, "cancels_frozen_seconds")],
                [1_810, 1_820],
            ),
            outcome("frozen_cancels", "frozen_cancels", [(1_700, "crossed_book_seconds")]),
        ]
    )
    assert (row.episodes, row.recall.value, row.delay_median_seconds) == (2, 0.5, 5.0)
    assert row.explained.value == 1.0
    assert (row.market_alerts, row.distrusted.value) == (2, 0.5)


def test_what_is_found_before_a_fault_is_false_and_a_gap_that_is_no_stress_is_a_fault_too():
    false = feed_false(
        [
            outcome("frozen_cancels", "frozen_cancels", [(1_700, "x"), (1_810, "x")]),
            outcome("feed_gap", "feed_gap", [(1_900, "sequence_gap_events")]),
        ]
    )
    assert false.incidents == 1
    assert feed_found([outcome("feed_gap", "feed_gap", [(1_900, "sequence_gap_events")])])
    assert feed_found([outcome("surge", "surge", [(1_900, "x")])]) == []
