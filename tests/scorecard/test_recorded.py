"""Episodes put into recorded flow: it stays what it is, but for what the episode does."""

import json
import statistics
import subprocess
import sys

import msgspec
import pytest

from detectors.market_data.book import Book
from detectors.market_data.events import Cancel, Order, Trade
from service.errors import OperatorError
from service.exchange.recording import read_truths
from service.replay.files import STREAM_NAMES, stream_path
from service.scorecard import recorded, score
from service.scorecard.background import SECOND, apply_event, recorded_events, survey
from service.scorecard.injections import KINDS, LENGTH_SECONDS, Injection, inject
from service.scorecard.matrix import first_seed
from service.scorecard.trial import Alarm
from tests.scorecard.calm import calm, without_accounts

BY_AN_ACCOUNT = ("quote_stuffing", "layering", "spoofing")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Twenty minutes of two calm symbols, without accounts, as public recordings are."""
    whole = calm(tmp_path_factory.mktemp("whole"), seed=7, symbols=2, seconds=1_200.0, rate=30.0)
    return without_accounts(whole, tmp_path_factory.mktemp("recorded", numbered=False))


@pytest.fixture(scope="module")
def usual(source):
    return survey(source)


@pytest.fixture(scope="module")
def injected(source, usual, tmp_path_factory):
    """Every kind, put into the first symbol after ten minutes; its directory and its truth."""
    found = {}
    for kind in KINDS:
        out = tmp_path_factory.mktemp(kind)
        found[kind] = out, inject(source, out, injection(usual, kind), usual["BTC-PERP"])
    return found


def injection(usual, kind, **changes):
    start_ns = usual["BTC-PERP"].began_ns + 600 * SECOND
    made = Injection(kind, "BTC-PERP", start_ns, LENGTH_SECONDS[kind])
    return msgspec.structs.replace(made, **changes)


def near(directory, usual, start_ns, end_ns):
    """The medians of what rests near the middle from one time to another: bids and asks."""
    book, seen = Book(100_000), []
    its = usual["BTC-PERP"]
    for event in recorded_events(directory):
        if event.symbol == its.symbol:
            apply_event(book, event)
            if start_ns <= event.ts_event < end_ns and book.mid is not None:
                band = (its.near_ratio * 1e4,)
                seen.append(
                    (book.bids.depth(book.mid, band)[0], book.asks.depth(book.mid, band)[0])
                )
    bids, asks = zip(*seen, strict=True)
    return statistics.median(bids), statistics.median(asks)


def left_of(directory, source, usual, truth, since, until):
    """What rests near the middle as a share of what does without the episode, at these seconds."""
    span = (truth.starts_at + since * SECOND, truth.starts_at + until * SECOND)
    there, before = near(directory, usual, *span), near(source, usual, *span)
    return there[0] / before[0], there[1] / before[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_is_beside_the_streams_and_names_who_did_it(injected, kind):
    out, truth = injected[kind]
    assert read_truths(out) == [truth]
    assert (truth.kind, truth.symbol) == (kind, "BTC-PERP")
    assert (truth.ends_at - truth.starts_at) / SECOND == LENGTH_SECONDS[kind]
    assert len(truth.accounts) == (1 if kind in BY_AN_ACCOUNT else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_before_and_in_other_symbols_is_as_recorded(injected, source, kind):
    out, truth = injected[kind]

    def elsewhere(directory):
        return [
            event
            for event in recorded_events(directory)
            if event.symbol != truth.symbol or event.ts_event < truth.starts_at
        ]

    assert elsewhere(out) == elsewhere(source)


@pytest.mark.parametrize("kind", KINDS)
def test_every_stream_is_in_order_of_time_and_no_trade_is_lost(injected, source, kind):
    out, _ = injected[kind]
    for stream in STREAM_NAMES.values():
        lines = stream_path(out, stream).read_bytes().splitlines()
        times = [json.loads(line)["ts_event"] for line in lines]
        assert times == sorted(times)
    traded = [event for event in recorded_events(source) if isinstance(event, Trade)]
    there = {event.trade_id for event in recorded_events(out) if isinstance(event, Trade)}
    assert {event.trade_id for event in traded} <= there


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_withdrawn_that_does_not_rest(injected, source, kind):
    """A cancel of what the episode withdrew is not there a second time."""

    def unknown(directory):
        resting, count = {}, 0
        for event in recorded_events(directory):
            book = resting.setdefault(event.symbol, Book(100_000))
            if isinstance(event, Cancel) and event.order_id not in book.orders:
                count += 1
            apply_event(book, event)
        return count

    # The account's purchases use up recorded orders, which the recording then cancels.
    allowed = 200 if kind in ("layering", "spoofing") else 0
    if kind == "draining_book":
        allowed = 100  # and what is smaller is used up by the trades sooner
    assert unknown(injected[kind][0]) <= unknown(source) + allowed


def test_a_burst_empties_the_book_near_the_middle_and_it_fills_again(injected, source, usual):
    out, truth = injected["cancel_burst"]
    assert max(left_of(out, source, usual, truth, 2, 15)) < 0.4
    assert min(left_of(out, source, usual, truth, 200, 300)) > 0.6
    cancels = [
        event
        for event in recorded_events(out)
        if isinstance(event, Cancel)
        and truth.starts_at <= event.ts_event < truth.starts_at + 2 * SECOND
    ]
    assert len(cancels) > 20


def test_a_pulled_book_has_no_bids_until_the_end(injected, source, usual):
    out, truth = injected["pulled_book"]
    band = (2e4 * usual["BTC-PERP"].near_ratio,)

    def bids(directory, since, until):
        """What is bid within twice the near distance of the best ask, at the median."""
        book, seen = Book(100_000), []
        for event in recorded_events(directory):
            if event.symbol == truth.symbol:
                apply_event(book, event)
                seconds = (event.ts_event - truth.starts_at) / SECOND
                if since <= seconds < until and book.asks.best is not None:
                    seen.append(book.bids.depth(book.asks.best, band)[0])
        return statistics.median(seen)

    for since, until in ((1, 30), (200, 299)):
        assert bids(out, since, until) < 0.05 * bids(source, since, until)
    assert bids(out, 360, 480) > 0.5 * bids(source, 360, 480)


def test_a_draining_book_shrinks_evenly_and_is_as_before_after_it(injected, source, usual):
    out, truth = injected["draining_book"]
    shares = [min(left_of(out, source, usual, truth, t, t + 20)) for t in (10, 210, 390)]
    assert shares[0] > 0.85
    assert shares[0] > shares[1] > shares[2]
    assert max(left_of(out, source, usual, truth, 390, 420)) < 0.4
    assert min(left_of(out, source, usual, truth, 480, 600)) > 0.6


def test_a_weaker_episode_leaves_more(source, usual, injected, tmp_path):
    weak = inject(
        source, tmp_path, injection(usual, "draining_book", strength=0.5), usual["BTC-PERP"]
    )
    out, truth = injected["draining_book"]
    strong = left_of(out, source, usual, truth, 390, 420)
    assert min(left_of(tmp_path, source, usual, weak, 390, 420)) > max(strong) + 0.1


def test_stuffing_multiplies_orders_that_live_for_milliseconds(injected, usual):
    out, truth = injected["quote_stuffing"]
    mine = {
        event.order_id: event.ts_event
        for event in recorded_events(out)
        if isinstance(event, Order) and event.account in truth.accounts
    }
    usual_rate = usual["BTC-PERP"].orders / usual["BTC-PERP"].seconds
    assert len(mine) / 30 == pytest.approx(4 * usual_rate, rel=0.2)
    lives = [
        event.ts_event - mine[event.order_id]
        for event in recorded_events(out)
        if isinstance(event, Cancel) and event.order_id in mine
    ]
    assert len(lives) == len(mine)
    assert statistics.mean(lives) / SECOND == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize("kind", ["layering", "spoofing"])
def test_asks_that_are_not_meant_are_large_withdrawn_and_never_the_best(injected, usual, kind):
    out, truth = injected[kind]
    book, mine, bought, largest = Book(100_000), set(), 0.0, 0.0
    for event in recorded_events(out):
        if event.symbol != truth.symbol:
            continue
        apply_event(book, event)
        if isinstance(event, Order) and event.account in truth.accounts:
            if event.side == "sell":
                mine.add(event.order_id)
                largest = max(largest, event.quantity)
        elif isinstance(event, Trade):
            assert event.maker_order_id not in mine
            bought += event.quantity if event.taker_account in truth.accounts else 0.0
    assert len(mine) > 30
    assert not mine & book.orders.keys(), "all are withdrawn"
    assert largest > 0.25 * usual["BTC-PERP"].near_quantity
    assert bought > 0


def test_the_same_injection_gives_the_same_bytes_and_another_seed_others(source, usual, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        made = injection(usual, "layering", seed=seed)
        inject(source, tmp_path / name, made, usual["BTC-PERP"], until_ns=made.end_ns)
    written = [(tmp_path / name / "orders.ndjson").read_bytes() for name in "abc"]
    assert written[0] == written[1] != written[2]


def test_what_is_usual_is_measured_for_each_symbol(usual):
    assert set(usual) == {"BTC-PERP", "ETH-PERP"}
    its = usual["BTC-PERP"]
    assert its.seconds == pytest.approx(1_200, abs=5)
    assert its.events == pytest.approx(2 * its.orders, rel=0.2)
    assert 2e-4 < its.near_ratio < 5e-3
    assert (its.price_decimals, its.quantity_decimals) == (0, 4)


def test_a_recording_that_cannot_be_used_is_refused_in_words(source, usual, tmp_path):
    with pytest.raises(OperatorError, match="lacks orders"):
        survey(tmp_path)
    short = {
        name: msgspec.structs.replace(its, ended_ns=its.began_ns + 300 * SECOND)
        for name, its in usual.items()
    }
    with pytest.raises(OperatorError, match="too short for draining_book: 960 s of one symbol"):
        recorded.trials(source, short, ["draining_book"], 1, 1, 1.0)


def test_episodes_lie_within_the_recording_after_a_warm_up_at_times_of_their_own(source, usual):
    _, wanted = recorded.trials(source, usual, KINDS, first_seed("tuning"), 4, 1.0)
    assert len(wanted) == len(KINDS) * 2 * 4
    for trial in wanted:
        made = trial.injection
        assert trial.survey.began_ns + 590 * SECOND < made.start_ns
        assert made.end_ns < trial.survey.ended_ns
    assert len({trial.injection.start_ns for trial in wanted}) == len(wanted)
    assert {trial.injection.symbol for trial in wanted} == {"BTC-PERP", "ETH-PERP"}


def test_an_alarm_that_the_untouched_recording_has_too_finds_nothing(source, usual):
    untouched, (wanted, *_) = recorded.trials(source, usual, ["pulled_book"], 1, 1, 1.0)
    outcome, calm = recorded.run(wanted), recorded.run(untouched)
    assert calm.scored_bars, "the untouched recording was watched"
    assert outcome == recorded.run(wanted)
    (row,) = (
        row
        for row in score.found([recorded.without(outcome, calm)])
        if row.watcher == score.INCIDENTS
    )
    assert row.recall.value == 1.0
    same = msgspec.structs.replace(calm, incidents=outcome.incidents)
    assert recorded.without(outcome, same).incidents == []
    other = [Alarm(alarm.symbol, alarm.ts_event + 1) for alarm in outcome.incidents]
    assert recorded.without(outcome, msgspec.structs.replace(calm, incidents=other)).incidents


def test_the_command_labels_its_rows_and_leaves_the_recording_alone(source, tmp_path):
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    done = subprocess.run(
        [sys.executable, "-m", "service", "scorecard", "--recorded", source, "--out", tmp_path,
         "--one-episode", "--scenarios", "pulled_book,cascade", "--seeds", "1", "--jobs", "1"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "scorecard.json").read_bytes())
    assert {row["kind"] for row in card["found"]} == {"pulled_book (recorded)"}
    (false,) = (row for row in card["false_alarms"] if row["watcher"] == "foreshock")
    assert false["scenario"] == "recorded"
    assert false["symbol_days"] == pytest.approx(2 * (1_200 - 300) / 86_400, rel=0.02)
    assert "2 episodes in recorded flow" in (tmp_path / "scorecard.md").read_text()
    assert before == {path.name: path.read_bytes() for path in source.iterdir()}
    surge = ["--recorded", source, "--one-episode", "--scenarios", "surge"]
    refused = subprocess.run(
        [sys.executable, "-m", "service", "scorecard", *surge],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert refused.returncode == 1
    assert "injected into recorded flow; choose from cancel_burst" in " ".join(
        refused.stderr.split()
    )
