"""A partition whose market ends: by time, by expiry, many symbols at once."""

from operator import attrgetter

import msgspec
import pytest

from detectors.catalogue import CATALOGUE
from detectors.feed.checks import FeedLimits
from detectors.kill_switch.machine import COOLING_NS
from detectors.market_data.events import Cancel, Order, Status, Trade
from detectors.parameters import Parameters
from detectors.venue.calendar import Calendar, Expiry
from service.pipeline.output import PublishedUntil, Tally, alert_key
from service.pipeline.task import PartitionTask, Snapshot
from tests.pipeline.events import BEGIN, SECOND, market

STREAMS = ("orders", "cancels", "trades", "statuses")
KINDS = {Order: "orders", Cancel: "cancels", Trade: "trades", Status: "statuses"}
PARAMETERS = Parameters(
    warmup_bars=60,
    false_alarms_per_day=50.0,
    quiet_ns=20 * SECOND,
    feed=FeedLimits(quiet_ns=30 * SECOND),
)
HOUR = 3_600 * SECOND
FOREVER = 10_000 * HOUR
ENDS = BEGIN + 302 * SECOND + SECOND // 2
"""Within a bar that prolongs the incident of the shock in AAA."""
EVENTS = [event for event in market(seed=1, seconds=400) if event.ts_event < ENDS]
LATER = market(seed=3, seconds=20)
OPENED = [("AAA", "firing", "warning"), ("AAA", "firing", "critical")]
RESOLVED = [*OPENED, ("AAA", "resolved", "critical")]


class Market:
    """A task that is fed event by event."""

    def __init__(self, parameters=PARAMETERS, **bounds):
        self.parameters = parameters
        self.task = PartitionTask(
            STREAMS,
            parameters,
            CATALOGUE,
            max_disorder_ns=100_000_000,
            max_symbols=1_000,
            tally=Tally(),
            **bounds,
        )
        self.fed = dict.fromkeys(STREAMS, 0)
        self.alerts = []
        self.switches = []
        self.forgotten = []

    def feed(self, events, step_ns=SECOND):
        """Feed events in steps of event time."""
        events = sorted(events, key=attrgetter("ts_event"))
        start = 0
        while start < len(events):
            end_ns = events[start].ts_event // step_ns * step_ns + step_ns
            stop = start
            while stop < len(events) and events[stop].ts_event < end_ns:
                stop += 1
            for stream in STREAMS:
                batch = [e for e in events[start:stop] if KINDS[type(e)] == stream]
                self._feed(stream, batch)
                self.task.aligner.set_idle(stream, idle=stream == "statuses" or not batch)
            self._take(self.task.advance())
            start = stop
        return self

    def silence(self, *idle_ns):
        """Every topic is idle; the market is silent for so long."""
        for stream in STREAMS:
            self.task.aligner.set_idle(stream)
        self._take(self.task.advance())
        for its in idle_ns:
            self._take(self.task.rest(its))
        return self

    def _feed(self, stream, batch):
        first = self.fed[stream]
        self.fed[stream] += len(batch)
        self.task.feed(stream, batch, first_offset=first, next_offset=self.fed[stream])

    def _take(self, output):
        self.alerts += output.alerts
        self.switches += output.switches
        self.forgotten += output.forgotten

    @property
    def statuses(self):
        return [(alert.symbol, alert.status, alert.severity) for alert in self.alerts]


def switched(market):
    """The states that the kill switches of symbols moved to."""
    return [its.state for its in market.switches if its.cause == "transition"]


def moved(events, by_ns):
    return [msgspec.structs.replace(event, ts_event=event.ts_event + by_ns) for event in events]


# By time.


def test_an_incident_resolves_when_the_market_falls_silent():
    market = Market().feed(EVENTS)
    assert market.statuses == OPENED
    market.silence(PARAMETERS.quiet_ns - 1)
    assert market.statuses == OPENED
    market.silence(PARAMETERS.quiet_ns + SECOND)
    assert market.statuses == RESOLVED
    assert switched(market) == ["reduce_only"]
    market.silence(PARAMETERS.quiet_ns + COOLING_NS)
    assert switched(market) == ["reduce_only", "armed"]
    assert market.task.open_alerts() == []


@pytest.mark.parametrize("waits", [(21 * SECOND,), (30 * SECOND, HOUR), (FOREVER,)])
def test_the_alerts_are_those_that_the_next_event_would_cause(waits):
    monday = moved(LATER, 60 * HOUR)
    undisturbed = Market().feed(EVENTS).feed(monday).silence(FOREVER)
    weekend = Market().feed(EVENTS).silence(*waits)
    assert weekend.statuses == RESOLVED
    weekend.feed(monday).silence(FOREVER)
    assert weekend.alerts == undisturbed.alerts
    assert weekend.switches == undisturbed.switches


def test_the_last_bar_counts_before_the_end_although_nothing_closes_it():
    open_bar = BEGIN + 302 * SECOND
    without = Market().feed([event for event in EVENTS if event.ts_event < open_bar])
    without.silence(HOUR)
    market = Market().feed(EVENTS).silence(HOUR)
    assert market.alerts[-1].ends_at == BEGIN + 303 * SECOND + PARAMETERS.quiet_ns
    assert without.alerts[-1].ends_at < market.alerts[-1].ends_at


def test_where_nothing_is_open_silence_changes_nothing():
    market = Market().feed(LATER)
    position = market.silence().task.aligner.position()
    market.silence(FOREVER)
    assert market.task.aligner.position() == position


def test_what_comes_into_the_last_bar_after_all_is_late_and_counted():
    market = Market().feed(EVENTS).silence(HOUR)
    events = [event for event in LATER if event.symbol == "AAA"][:8]
    market.feed([msgspec.structs.replace(events[0], ts_event=ENDS + 1_000)])
    market.feed(moved(events[1:], HOUR))
    assert market.task.tally.late == 1


def test_after_a_restart_the_end_is_not_told_again():
    market = Market().feed(EVENTS)
    snapshots = [msgspec.msgpack.encode(market.task.snapshot(s)) for s in ("AAA", "BBB")]
    for symbol in ("AAA", "BBB"):
        market.task.saved(symbol)
    position = market.task.resume_position()
    market.silence(HOUR)
    told = [alert_key(alert) for alert in market.alerts]
    again = Market()
    again.task.resume(
        position.streams,
        [msgspec.msgpack.decode(its, type=Snapshot) for its in snapshots],
        PublishedUntil(),
        told,
    )
    again.fed = {stream: position.streams[stream].start for stream in STREAMS}
    unread = [event for stream in STREAMS for event in _from(again.fed[stream], stream)]
    again.feed(unread).silence(HOUR)
    assert again.alerts == []
    assert again.task.open_alerts() == []


def _from(offset, stream):
    return [event for event in EVENTS if KINDS[type(event)] == stream][offset:]


# By statuses and by the calendar.


def test_the_kill_switch_is_armed_when_a_symbol_expires():
    market = Market().feed(EVENTS)
    market.feed([Status(ts_event=ENDS + SECOND, symbol="AAA", state="expired")])
    market.feed(moved([e for e in LATER if e.symbol == "BBB"], ENDS + 2 * SECOND - BEGIN))
    assert market.statuses == RESOLVED
    assert market.alerts[-1].ends_at == BEGIN + 304 * SECOND
    assert switched(market) == ["reduce_only"]
    market.feed(moved([e for e in LATER if e.symbol == "BBB"], ENDS + 400 * SECOND - BEGIN))
    assert switched(market) == ["reduce_only", "armed"]


@pytest.mark.parametrize("by_calendar", [True, False])
def test_an_expired_symbol_is_forgotten_after_its_retention(by_calendar):
    calendar = Calendar(
        expiries=(Expiry(symbols=("AAA*",), name_format="-%Y%m%d", time_ns=310 * SECOND),)
    )
    name = "AAA-20260101" if by_calendar else "AAA"
    market = Market(
        msgspec.structs.replace(PARAMETERS, calendar=calendar), expired_retention_ns=HOUR
    )
    market.feed(
        [
            msgspec.structs.replace(event, symbol=name) if event.symbol == "AAA" else event
            for event in EVENTS
        ]
    )
    if not by_calendar:
        market.feed([Status(ts_event=ENDS + SECOND, symbol=name, state="expired")])
    others = [event for event in LATER if event.symbol == "BBB"]
    market.feed(moved(others, HOUR))
    assert market.forgotten == []
    market.feed(moved(others, HOUR + 400 * SECOND))
    assert market.forgotten == [name]
    assert list(market.task.monitors) == ["BBB"]
    assert market.task.tally.evicted_symbols == 0, "no bound was reached"


@pytest.mark.parametrize("state", ["halted", "closed", "expired", "auction"])
def test_a_symbol_that_the_venue_pauses_is_not_frozen(state):
    silent = [event for event in crowd(3, 500) if stops(event, ("S000",), 300)]
    halt = Status(ts_event=BEGIN + 300 * SECOND, symbol="S000", state=state)
    assert Market().feed(silent).alerts != []
    assert Market().feed([*silent, halt]).alerts == []


# Many at once.


def crowd(symbols, seconds):
    """Some symbols with a few events a second each, and no shock."""
    events = []
    for second in range(seconds):
        for number in range(symbols):
            for part in range(3):
                at = BEGIN + second * SECOND + part * 300_000_000 + number
                side, price = ("buy", 99.0) if part % 2 else ("sell", 101.0)
                order_id = f"{number}-{second}-{part}"
                events.append(
                    Order(
                        ts_event=at,
                        symbol=f"S{number:03}",
                        order_id=order_id,
                        side=side,
                        price=price,
                        quantity=1.0,
                    )
                )
                if second >= 3:
                    gone = f"{number}-{second - 3}-{part}"
                    events.append(Cancel(ts_event=at, symbol=f"S{number:03}", order_id=gone))
    return events


def stops(event, symbols, second):
    return event.symbol not in symbols or event.ts_event < BEGIN + second * SECOND


OPTIONS = tuple(f"S{number:03}" for number in range(40))


def test_many_symbols_that_end_at_once_are_one_incident_that_counts_them():
    ended = [event for event in crowd(44, 420) if stops(event, OPTIONS, 300)]
    market = Market().feed(ended)
    firing = [alert for alert in market.alerts if alert.status == "firing"]
    assert {alert.alert_id for alert in firing} == {firing[0].alert_id}
    assert [alert.severity for alert in firing] == ["warning", "critical"]
    assert firing[0].starts_at == BEGIN + 301 * SECOND
    assert "40 symbols stopped at once: S000, S001 and 38 more" in firing[0].summary


def test_the_same_incident_after_a_restart_and_for_those_that_come_to_it_later():
    slow = [e for e in crowd(44, 420) if e.symbol > "S010" or e.ts_event % (7 * SECOND) < SECOND]
    ended = [event for event in slow if stops(event, OPTIONS, 300)]
    whole = Market().feed(ended)
    firing = {alert.alert_id for alert in whole.alerts if alert.status == "firing"}
    assert len(firing) == 1
    half = BEGIN + 330 * SECOND
    first = Market().feed([event for event in ended if event.ts_event < half])
    symbols = list(first.task.monitors)
    snapshots = [msgspec.msgpack.encode(first.task.snapshot(symbol)) for symbol in symbols]
    position = first.task.aligner.position()
    second = Market()
    second.task.resume(
        position.streams,
        [msgspec.msgpack.decode(its, type=Snapshot) for its in snapshots],
        PublishedUntil(),
    )
    second.fed = {stream: position.streams[stream].start for stream in STREAMS}
    logs = {stream: [e for e in ended if KINDS[type(e)] == stream] for stream in STREAMS}
    rest = [event for stream in STREAMS for event in logs[stream][second.fed[stream] :]]
    second.feed(rest)
    assert first.alerts + second.alerts == whole.alerts


def test_a_few_symbols_are_an_incident_each():
    few = OPTIONS[:3]
    ended = [event for event in crowd(8, 330) if stops(event, few, 300)]
    firing = [alert for alert in Market().feed(ended).alerts if alert.status == "firing"]
    assert sorted(alert.symbol for alert in firing) == list(few)


def test_when_they_are_back_and_one_stops_again_it_is_an_incident_of_its_own():
    back = [
        e for e in crowd(44, 420) if stops(e, OPTIONS, 300) or e.ts_event > BEGIN + 330 * SECOND
    ]
    alone = [event for event in back if stops(event, ("S007",), 390)]
    firing = [alert for alert in Market().feed(alone).alerts if alert.status == "firing"]
    assert [alert.symbol for alert in firing] == ["S000", "S007"]
