"""Many episodes in one recorded session: consistent flow, near the real touch, and repeatable."""

from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from detectors.market_data.book import Book
from detectors.market_data.events import Cancel, Order, Trade
from service.errors import OperatorError
from service.scorecard import mixed
from service.scorecard.accounts import with_accounts
from service.scorecard.background import SECOND, apply_event, recorded_events
from service.scorecard.injections import BY_AN_ACCOUNT
from service.scorecard.live_book import LiveBook, ghosts
from service.scorecard.mixed import MIXED_KINDS, background, load, mixed_session
from service.scorecard.numbering import numbering, renumbered
from tests.scorecard.calm import calm, without_accounts

MAX_ORDERS = 1_000_000
RECORDINGS = ("aapl-2012-06-21-open-hour", "aapl-2012-06-21-day-top", "goog-2012-06-21-day-10")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An hour of one calm symbol with accounts and leverages."""
    return calm(tmp_path_factory.mktemp("whole"), seed=7, seconds=3_600.0)


@pytest.fixture(scope="module")
def source(whole, tmp_path_factory):
    """The same hour without accounts and leverages, as public recordings are."""
    # The seeds of a session contain the name of its recording.
    return without_accounts(whole, tmp_path_factory.mktemp("mixed", numbered=False))


@pytest.fixture(scope="module")
def session(source):
    """A session with every kind."""
    return mixed_session(source, 1, 15)


@pytest.fixture(params=RECORDINGS)
def recording(request, data_dir):
    """Each of the real recordings."""
    directory = data_dir / request.param
    if not directory.is_dir():
        pytest.skip(f"no {directory}")
    return directory


def faults(events):
    """What a book cannot explain, by sort: ends of orders that do not rest, and ends too large."""
    books, count = {}, Counter()
    for event in events:
        book = books.setdefault(event.symbol, Book(MAX_ORDERS))
        named = event.order_id if isinstance(event, Cancel) else None
        if isinstance(event, Trade):
            named = event.maker_order_id
        if named is not None:
            order = book.orders.get(named)
            name = type(event).__name__
            if order is None:
                count[f"{name} unknown"] += 1
            elif event.quantity is not None and event.quantity > order.quantity + 1e-9:
                count[f"{name} too large"] += 1
        apply_event(book, event)
    return count


def check_consistent(events, recorded):
    places = [mixed._place(event) for event in events]
    assert places == sorted(places), "in the order of replay"
    assert faults(events) <= faults(recorded), "no fault that the recording does not have"
    kinds = [Order, Cancel, Trade]
    assert all(isinstance(event, tuple(kinds)) or event in recorded for event in events)
    ids = Counter(event.order_id for event in events if isinstance(event, Order))
    before = Counter(event.order_id for event in recorded if isinstance(event, Order))
    assert max((ids - before).values()) == 1, "injected orders have ids of their own"


def check_truths(truths, began_ns, ended_ns):
    assert truths[0].starts_at >= began_ns + 1_200 * SECOND
    assert truths[-1].ends_at <= ended_ns - 90 * SECOND
    for before, after in pairwise(truths):
        assert after.starts_at - before.starts_at >= 280 * SECOND
        assert after.starts_at - before.ends_at >= 100 * SECOND, "a quiet stretch"
    for truth in truths:
        assert len(truth.accounts) == 1 or truth.kind not in BY_AN_ACCOUNT
        assert truth.strength == 1.0


def test_the_injected_flow_is_consistent(session, source):
    check_consistent(session.events, load(str(source)).events)


def test_every_kind_occurs_before_one_occurs_again_and_each_has_a_quiet_stretch(session, source):
    recording = load(str(source))
    check_truths(session.truths, recording.began_ns, recording.ended_ns)
    assert len(session.truths) == 8, "an hour has room for no more"
    assert {truth.kind for truth in session.truths[:7]} == set(MIXED_KINDS)
    assert {truth.symbol for truth in session.truths} == {"BTC-PERP"}


def test_the_same_seed_gives_the_same_session_and_another_one_another(session, source):
    load.cache_clear()
    assert mixed_session(source, 1, 15) == session
    other = mixed_session(source, 2, 15)
    assert [t.starts_at for t in other.truths] != [t.starts_at for t in session.truths]
    assert [t.kind for t in other.truths] != [t.kind for t in session.truths]


def test_a_recording_is_read_once_and_not_changed(source):
    before = list(load(str(source)).events)
    mixed_session(source, 3, 15)
    assert load(str(source)) is load(str(source))
    assert load(str(source)).events == before == list(recorded_events(source))


def test_what_comes_before_the_first_episode_is_the_background(session, source):
    first = session.truths[0].starts_at
    events = background(load(str(source)), 1)
    assert [e for e in session.events if e.ts_event < first] == [
        e for e in events if e.ts_event < first
    ]


def test_injected_events_are_numbered_like_recorded_ones(session, source):
    recorded = load(str(source)).events
    lost = sum(numbering(recorded)["BTC-PERP"].lost.values())
    numbers = [event.sequence for event in session.events]
    gaps = [after - before - 1 for before, after in pairwise(numbers)]
    assert min(gaps) == 0
    assert 0 < sum(gaps) <= lost, "the gaps of the recording remain, and there are no others"


def test_streams_that_are_numbered_each_for_itself_remain_so():
    at = {"ts_event": 1_767_225_600_000_000_000, "symbol": "A"}
    recorded = [
        Order(**at, sequence=5, order_id="a", side="buy", price=1.0, quantity=1.0),
        Order(**at, sequence=6, order_id="b", side="buy", price=1.0, quantity=1.0),
        Cancel(**at, sequence=1, order_id="a"),
        Cancel(**at, sequence=4, order_id="b"),
    ]
    found = numbering(recorded)
    assert not found["A"].together
    injected = Cancel(**at, order_id="c")
    events = [*recorded[:3], injected, recorded[3]]
    assert [event.sequence for event in renumbered(events, found)] == [5, 6, 1, 2, 5]
    assert numbering([injected]) == {}
    assert numbering([recorded[1], recorded[0]]) == {}
    assert renumbered([injected], {}) == [injected]


def test_without_leverage_jumps_no_accounts_are_drawn(source):
    made = mixed_session(source, 1, 3, ("quote_stuffing",))
    by_others = {
        event.account
        for event in made.events
        if isinstance(event, Order) and event.account is not None
    }
    assert by_others == {account for truth in made.truths for account in truth.accounts}


def test_accounts_have_a_habit_and_few_place_most_orders(source):
    events = with_accounts(load(str(source)).events, 1)
    by_account, owners = {}, {}
    for event in events:
        if isinstance(event, Order):
            by_account.setdefault(event.account, []).append(event.leverage)
            owners[event.order_id] = event.account
        elif isinstance(event, Cancel):
            assert event.account == owners.get(event.order_id)
        elif isinstance(event, Trade):
            assert event.maker_account == owners.get(event.maker_order_id)
    sizes = sorted(map(len, by_account.values()), reverse=True)
    assert sum(sizes[:30]) > 0.5 * sum(sizes)
    for leverages in by_account.values():
        usual, count = Counter(leverages).most_common(1)[0]
        assert len(leverages) < 20 or count / len(leverages) > 0.7
        assert 1.0 <= usual <= 60.0
    assert with_accounts(events, 2) == events, "what is stated remains"
    assert with_accounts(load(str(source)).events, 2) != events


def test_stated_accounts_remain_when_leverages_are_drawn(whole):
    recorded = [
        msgspec.structs.replace(event, leverage=None) if isinstance(event, Order) else event
        for event in load(str(whole)).events
    ]
    made = with_accounts(recorded, 1)
    for before, after in zip(recorded, made, strict=True):
        if isinstance(before, Order):
            assert after.account == before.account
            assert (after.leverage is None) == (before.account is None)
        else:
            assert after == before


def test_a_leverage_jump_raises_the_leverage_of_many_accounts_for_its_length(session, source):
    usual = {
        event.order_id: event
        for event in background(load(str(source)), 1)
        if isinstance(event, Order)
    }
    jumps = [truth for truth in session.truths if truth.kind == "leverage_jump"]
    assert jumps
    assert all(len(truth.accounts) > 10 for truth in jumps)
    raised = orders = 0
    for event in session.events:
        if not isinstance(event, Order) or event.order_id not in usual:
            continue
        before = usual[event.order_id].leverage
        during = [truth for truth in jumps if truth.starts_at <= event.ts_event < truth.ends_at]
        orders += len(during)
        if any(event.account in truth.accounts for truth in during):
            raised += 1
            assert event.leverage == pytest.approx(min(3.0 * before, 100.0), abs=0.06)
        else:
            assert event.leverage == before
    assert 0.1 < raised / orders < 0.5


def test_an_emptied_book_has_lost_its_orders_and_fills_gradually(session, source):
    recorded = load(str(source))
    (survey,) = recorded.surveys.values()
    reach = 5.0 * survey.near_ratio

    def rest(events, at_ns):
        """The bids and asks within reach of the recorded mid price at a time, by number."""
        book, real = Book(MAX_ORDERS), Book(MAX_ORDERS)
        for target, its in ((book, events), (real, recorded.events)):
            for event in its:
                if event.ts_event >= at_ns:
                    break
                apply_event(target, event)
        near = [o for o in book.orders.values() if abs(o.price / real.mid - 1.0) <= reach]
        return sum(o.is_buy for o in near), sum(not o.is_buy for o in near)

    for truth in (truth for truth in session.truths if truth.kind == "pulled_book"):
        shares = []
        for seconds in (10, 150):
            at_ns = truth.starts_at + seconds * SECOND
            left, usual = rest(session.events, at_ns), rest(recorded.events, at_ns)
            shares.append(min(a / b for a, b in zip(left, usual, strict=True)))
        assert shares[0] < 0.2
        assert shares[1] > shares[0] + 0.2


def test_orders_that_a_feed_reports_no_end_of_do_not_make_the_touch(source):
    """Of a third of the orders no cancel is recorded, as on a feed of the best levels."""
    recorded = load(str(source)).events
    unreported = [
        event
        for event in recorded
        if not (isinstance(event, Cancel) and int(event.order_id) % 3 == 0)
    ]
    gone = ghosts(unreported)
    naive, real, live = Book(MAX_ORDERS), Book(MAX_ORDERS), LiveBook(gone)
    crossed = same = same_naively = seen = 0
    kept = {id(event) for event in unreported}
    for event in recorded:
        apply_event(real, event)
        if id(event) in kept:
            apply_event(naive, event)
            live.apply(event)
            seen += 1
            crossed += naive.crossed
            touch = real.bids.best, real.asks.best
            same += (live.bids.best, live.asks.best) == touch
            same_naively += (naive.bids.best, naive.asks.best) == touch
            assert not live.crossed or real.crossed
    assert crossed / seen > 0.5
    assert same / seen > 0.4 > 10 * same_naively / seen
    assert not gone & {event.order_id for event in unreported if isinstance(event, Cancel)}


def test_a_recording_that_is_too_short_is_refused_in_words(source):
    recording = load(str(source))
    short = {
        symbol: msgspec.structs.replace(survey, ended_ns=survey.began_ns + 1_000 * SECOND)
        for symbol, survey in recording.surveys.items()
    }
    with pytest.raises(OperatorError, match="too short: 1470 s are needed"):
        mixed.planned(msgspec.structs.replace(recording, surveys=short), 1, 15, MIXED_KINDS)


def test_episodes_lie_in_symbols_that_are_recorded_long_enough(source):
    recording = load(str(source))
    (survey,) = recording.surveys.values()
    late = msgspec.structs.replace(survey, symbol="LATE", began_ns=survey.ended_ns - 1_800 * SECOND)
    both = msgspec.structs.replace(recording, surveys={"BTC-PERP": survey, "LATE": late})
    made = [mixed.planned(both, seed, 8, MIXED_KINDS) for seed in range(20)]
    assert {injection.symbol for its in made for injection in its} == {"BTC-PERP", "LATE"}
    for injection in (injection for its in made for injection in its):
        if injection.symbol == "LATE":
            assert injection.start_ns >= late.began_ns + 1_200 * SECOND


def test_sessions_of_real_recordings_are_consistent(recording):
    loaded = load(str(recording))
    made = mixed_session(recording, 1, 15)
    recorded = background(loaded, 1)
    assert faults(made.events) <= faults(recorded)
    places = [mixed._place(event) for event in made.events]
    assert places == sorted(places)
    check_truths(made.truths, loaded.began_ns, loaded.ended_ns)
    assert len(made.truths) == (8 if loaded.ended_ns - loaded.began_ns < 3_700 * SECOND else 15)


def test_injected_asks_are_near_the_real_touch_of_real_recordings(recording):
    loaded = load(str(recording))
    ((symbol, survey),) = loaded.surveys.items()
    made = mixed_session(recording, 1, 15, ("layering", "spoofing"))
    accounts = {account for truth in made.truths for account in truth.accounts}
    book, seen = LiveBook(loaded.ghosts[symbol]), 0
    recorded = {event.order_id for event in loaded.events if isinstance(event, Order)}
    for event in made.events:
        injected = isinstance(event, Order) and event.account in accounts
        if injected and event.price is not None and book.asks.best is not None:
            seen += 1
            away = event.price / book.asks.best - 1.0
            assert 0.0 < away <= 1.01 * survey.near_ratio + 0.02 / event.price
        elif not isinstance(event, Order) or event.order_id in recorded:
            book.apply(event)
    assert seen > 100


def test_trades_of_real_recordings_are_at_the_touch_without_ghosts(recording):
    loaded = load(str(recording))
    ((symbol, survey),) = loaded.surveys.items()
    live, naive = LiveBook(loaded.ghosts[symbol]), Book(MAX_ORDERS)
    at, at_naive, trades = 0, 0, 0
    for event in loaded.events:
        settled = event.ts_event > survey.began_ns + 600 * SECOND
        if isinstance(event, Trade) and event.maker_order_id is not None and settled:
            trades += 1
            for_sale = event.side == "buy"
            at += (live.asks.best if for_sale else live.bids.best) == event.price
            at_naive += (naive.asks.best if for_sale else naive.bids.best) == event.price
        apply_event(naive, event)
        live.apply(event)
    assert at / trades > (0.6 if "day-top" in recording.name else 0.9)
    assert at >= at_naive
