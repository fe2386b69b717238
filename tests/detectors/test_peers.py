"""A new symbol starts from the priors of its peers, and always from the same ones."""

import msgspec
import pytest

from detectors.catalogue import ALARMING, CATALOGUE
from detectors.counts import Counts
from detectors.judging.calibration import Tail
from detectors.judging.peers import HOURS_KEPT, MAX_PEERS, PeerPrior, priors_from_peers
from detectors.parameters import Parameters
from detectors.symbol import SymbolMonitor
from service.pipeline.output import Tally
from service.pipeline.task import PartitionTask
from tests.pipeline.events import BEGIN, SECOND, by_stream, market

HOUR = BEGIN // (3_600 * SECOND)


def peer_prior(threshold, square=0.04):
    return PeerPrior({"spread": square}, Tail(threshold, 0.003, 0.0, 1.0))


def given(*thresholds, hour=HOUR - 1):
    return {
        f"S{number:03}": [(hour, {"thin_book": peer_prior(threshold)})]
        for number, threshold in enumerate(thresholds)
    }


def test_a_new_symbol_borrows_the_median_of_its_peers():
    (priors,) = priors_from_peers(given(3.0, 4.0, 90.0), HOUR).values()
    assert priors.tail.threshold == 4.0


def test_two_peers_may_both_be_odd():
    assert priors_from_peers(given(3.0, 4.0), HOUR) == {}


def test_what_is_given_in_an_hour_is_lent_from_the_next_on():
    """The progress of the peers within the hour has no effect."""
    assert priors_from_peers(given(3.0, 4.0, 5.0, hour=HOUR), HOUR) == {}
    assert priors_from_peers(given(3.0, 4.0, 5.0, hour=HOUR), HOUR + 1) != {}


def test_peers_that_are_an_hour_ahead_lend_what_they_lent_before():
    now = given(3.0, 4.0, 5.0)
    ahead = {
        name: [
            *its,
            (HOUR, {"thin_book": peer_prior(50.0)}),
            (HOUR + 1, {"thin_book": peer_prior(60.0)}),
        ]
        for name, its in now.items()
    }
    assert len(ahead["S000"]) <= HOURS_KEPT
    assert priors_from_peers(ahead, HOUR) == priors_from_peers(now, HOUR)


def test_a_market_of_many_symbols_asks_a_bounded_number_of_them():
    many = given(*([3.0] * MAX_PEERS), *([9.0] * 10 * MAX_PEERS))
    assert priors_from_peers(many, HOUR)["thin_book"].tail.threshold == 3.0


def test_the_task_lends_to_a_symbol_that_is_new_in_a_later_hour():
    task = PartitionTask(
        ("orders", "cancels", "trades"),
        Parameters(),
        CATALOGUE,
        max_disorder_ns=100_000_000,
        max_symbols=100,
        tally=Tally(),
    )
    for name, its in given(3.0, 4.0, 5.0).items():
        peer = task.monitors[name] = SymbolMonitor(name, Parameters(), CATALOGUE, Counts())
        peer.hourly_priors = its
    for stream, events in by_stream(market(seed=1, seconds=5)).items():
        task.feed(stream, events, first_offset=0, next_offset=len(events))
    task.advance()
    new = [m for name, m in task.monitors.items() if not name.startswith("S0")]
    assert new
    for monitor in new:
        priors = {s.detector.name: s.calibration.state.prior for s in monitor.scorers}
        assert priors["thin_book"] == peer_prior(4.0).tail
        assert priors["cancel_burst"] is None


def test_a_borrowed_tail_is_kept_with_the_symbols_own_state():
    monitor = SymbolMonitor("A", Parameters(), CATALOGUE, Counts(), {"thin_book": peer_prior(4.0)})
    (scorer,) = (s for s in monitor.scorers if s.detector.name == "thin_book")
    state = msgspec.msgpack.decode(
        msgspec.msgpack.encode(scorer.state()), type=type(scorer.state())
    )
    fresh = SymbolMonitor("A", Parameters(), CATALOGUE, Counts())
    (other,) = (s for s in fresh.scorers if s.detector.name == "thin_book")
    other.restore(state)
    assert other.calibration.state.prior == peer_prior(4.0).tail
    # Also for a feature without a value at the time of the snapshot.
    for model in (scorer.model, other.model):
        for spread in (1.0, 1.5):
            model.learn_one({"spread": spread})
    assert other.model.deviation("spread") == scorer.model.deviation("spread")


def test_what_was_borrowed_of_a_feature_that_is_met_later_survives_a_restart():
    priors = {"leverage_jump": peer_prior(4.0, square=9.0)}
    monitor = SymbolMonitor("A", Parameters(), CATALOGUE, Counts(), priors)
    (scorer,) = (s for s in monitor.scorers if s.detector.name == "leverage_jump")
    fresh = SymbolMonitor("A", Parameters(), CATALOGUE, Counts())
    (restored,) = (s for s in fresh.scorers if s.detector.name == "leverage_jump")
    restored.restore(scorer.state())
    restored.model.learn_one({"spread": 1.0})
    (stranger,) = (
        s
        for s in SymbolMonitor("A", Parameters(), CATALOGUE, Counts()).scorers
        if s.detector.name == "leverage_jump"
    )
    stranger.model.learn_one({"spread": 1.0})
    assert restored.model.deviation("spread") > stranger.model.deviation("spread")


@pytest.mark.parametrize("name", ALARMING)
def test_a_symbol_that_has_been_watched_for_minutes_has_nothing_to_teach(name):
    monitor = SymbolMonitor("A", Parameters(), CATALOGUE, Counts())
    (scorer,) = (s for s in monitor.scorers if s.detector.name == name)
    assert scorer.peer_prior() is None
