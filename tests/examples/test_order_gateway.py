"""The example of an order gateway: it fails closed, waits with jitter, and logs what it does."""

import asyncio
import json
import random

import pytest

from detectors.kill_switch.conditions import CALM, Conditions
from detectors.kill_switch.switch import VALID_NS, Heartbeat, Switch, encode
from detectors.kill_switch.table import LEVELS
from examples.order_gateway import (
    FAIL_SAFES,
    STRICTNESS,
    Gateway,
    Limits,
    Order,
    RateLimit,
    Switches,
    TryAgainError,
    Verdict,
)

SECOND = 1_000_000_000
BEGIN = 1_800_000_000 * SECOND
BOTH = Conditions(flow_until_ns=2 * BEGIN, tightened_until_ns=2 * BEGIN)
OPEN, REDUCE = Order("S"), Order("S", reduce_only=True)
CANCEL = Order("S", cancel=True)


class Desk:
    """A gateway's switches on a clock, and the owner whose records it reads."""

    def __init__(self, fail_safe="reduce_only", *, skew=0.0, tolerance=2.0, read=True):
        self.seconds = 0.0
        self.skew = skew
        self.switches = Switches(
            fail_safe,
            tolerance_seconds=tolerance,
            now_ns=lambda: self.now_ns + round(self.skew * SECOND),
            monotonic=lambda: self.seconds,
        )
        if read:
            self.switches.read.set()
        self.owner = Switch("S")
        self.venue = Switch("*")
        self.heartbeat = Heartbeat()
        self.tell(*self.owner.start(BEGIN), *self.venue.start(BEGIN))

    @property
    def now_ns(self):
        return BEGIN + round(self.seconds * SECOND)

    def tell(self, *records):
        for record in records:
            self.switches.take(0, (record.symbol or "__heartbeat/0").encode(), encode(record))

    def beat(self):
        beat = self.heartbeat.beat(self.now_ns)
        if beat is not None:
            self.tell(beat)

    def permits(self, order=OPEN):
        return self.switches.verdict(order.symbol).permits(order)

    def permitted(self):
        return [self.permits(order) for order in (OPEN, REDUCE, CANCEL)]


ALL, REDUCING, ONLY_CANCELS = [True, True, True], [False, True, True], [False, False, True]
BY_STATE = {
    "armed": ALL,
    "caution": ALL,
    "reduce_only": REDUCING,
    "tripped": REDUCING,
    "held": ONLY_CANCELS,
}


def test_the_gateway_knows_the_states_that_there_are_and_how_strict_they_are():
    assert STRICTNESS == LEVELS


@pytest.mark.parametrize("state", BY_STATE)
def test_each_state_permits_what_it_says(state):
    verdict = Verdict(state, "")
    assert [verdict.permits(order) for order in (OPEN, REDUCE, CANCEL)] == BY_STATE[state]


@pytest.mark.parametrize("fail_safe", FAIL_SAFES)
def test_what_cannot_be_relied_on_is_the_fail_safe_and_reduce_only_by_default(fail_safe):
    expected = BY_STATE[FAIL_SAFES[fail_safe]]
    assert Desk(fail_safe, read=False).permitted() == expected, "not read yet"
    desk = Desk(fail_safe)
    assert desk.permitted() == ALL
    verdict = desk.switches.verdict("OTHER")
    assert [verdict.permits(o) for o in (OPEN, REDUCE, CANCEL)] == expected, "no switch of it"
    desk.seconds = 12.9
    assert desk.permitted() == ALL
    desk.seconds = 13.1
    assert desk.permitted() == expected, "nobody confirms it"
    desk.beat()
    assert desk.permitted() == ALL, "a heartbeat confirms it"
    assert Switches().fail_safe == "reduce_only"


@pytest.mark.parametrize("fail_safe", FAIL_SAFES)
def test_a_state_that_the_gateway_does_not_know_is_its_fail_safe(fail_safe):
    desk = Desk(fail_safe)
    record = json.loads(encode(desk.owner.reaffirm(BEGIN + SECOND)[0]))
    desk.switches.take(0, b"S", json.dumps(record | {"state": "sideways"}).encode())
    assert desk.permitted() == BY_STATE[FAIL_SAFES[fail_safe]]
    desk.switches.take(0, b"S", b"no JSON at all")
    assert desk.permitted() == BY_STATE[FAIL_SAFES[fail_safe]]


def test_a_trip_outlives_its_owner_until_its_end_and_then_the_fail_safe_counts():
    desk = Desk("open")
    desk.tell(*desk.owner.observe(BOTH, BEGIN + SECOND))
    desk.seconds = 60.0
    assert desk.permitted() == REDUCING, "stale, but tripped until its end"
    desk.seconds = 121.5
    assert desk.permitted() == ALL, "this gateway chose to open"
    careful = Desk()
    careful.tell(*careful.owner.observe(BOTH, BEGIN + SECOND))
    careful.seconds = 10_000.0
    assert careful.permitted() == REDUCING


def test_the_venues_switch_counts_for_every_symbol():
    desk = Desk()
    desk.tell(*desk.venue.command("hold", BEGIN + SECOND, "ann", "why", "c"))
    assert desk.permitted() == ONLY_CANCELS
    assert "* is held" in desk.switches.verdict("S").why


def test_a_drill_changes_nothing():
    desk = Desk()
    desk.tell(*desk.owner.drill(BEGIN + SECOND, "ann", "monthly", "c"))
    assert desk.permitted() == ALL


def test_a_removed_switch_is_unknown():
    desk = Desk()
    desk.switches.take(0, b"S", None)
    assert desk.permitted() == REDUCING


def test_of_two_owners_the_stricter_counts_until_a_later_record_decides():
    desk = Desk()
    zombie = Switch("S", desk.owner.snapshot)
    desk.tell(*zombie.observe(BOTH, BEGIN + SECOND))
    desk.tell(*desk.owner.reaffirm(BEGIN + 2 * SECOND))  # the same number, another hash
    assert desk.permitted() == REDUCING
    desk.tell(*desk.owner.reaffirm(BEGIN + 3 * SECOND))
    assert desk.permitted() == ALL


def test_a_chain_that_begins_anew_is_followed():
    desk = Desk()
    for second in range(1, 5):
        desk.tell(*desk.owner.reaffirm(BEGIN + second * SECOND))
    fresh = Switch("S")
    desk.seconds = 30.0
    desk.beat()
    desk.tell(*fresh.start(desk.now_ns), *fresh.observe(BOTH, desk.now_ns + 1))
    assert desk.permitted() == REDUCING


@pytest.mark.parametrize("skew", [-2.0, -0.5, 0.0, 0.5, 2.0])
def test_with_a_clock_within_its_tolerance_no_order_passes_after_the_end_of_validity(skew):
    desk = Desk(skew=skew)
    desk.seconds = 7.0
    desk.beat()
    end = 7.0 + VALID_NS / SECOND
    passed = [s for s in (s / 10 for s in range(70, 400)) if _passes_at(desk, s)]
    assert max(passed) <= end
    assert max(passed) >= end - 2 * 2.0 - 0.1, "and it is not closed for nothing"


def _passes_at(desk, seconds):
    desk.seconds = seconds
    return desk.permits()


def test_a_clock_that_is_far_behind_is_found_out_by_the_records():
    desk = Desk(skew=-3_600.0)
    desk.seconds = 5.0
    desk.beat()
    desk.seconds = 25.0
    assert not desk.permits()


# A world of owners, deaths, cuts and clocks, by seed.


class World:
    """An owner of the symbol, who may die or be doubled, and a gateway that may be cut off.

    Time goes in quarters of a second. At 200 s the evidence calls for a trip, for a minute.
    """

    def __init__(self, seed):
        rng = self.rng = random.Random(seed)
        self.desk = Desk(skew=rng.uniform(-2.0, 2.0))
        self.topic = []  # (published at, delivered at, key, value)
        self.read = 0
        self.passed = []
        self.deaths = []
        self.tripped_at = None
        self.last_valid = 0.0
        self.doubled_until = -1.0
        self.zombie = None
        self.cut = sorted(rng.uniform(0, 900) for _ in range(2))
        self.dead_until = -1.0
        self.kills = sorted(
            [rng.uniform(0, 900), rng.choice([rng.uniform(200, 260), rng.uniform(0, 900)])]
        )
        self.doubles = rng.uniform(0, 900)
        self.owner, self.venue, self.heartbeat = self.desk.owner, self.desk.venue, Heartbeat()
        self.snapshot = None
        for switch in (self.owner, self.venue):
            self.publish(switch.reaffirm(BEGIN))

    @property
    def now(self):
        return self.desk.seconds

    def conditions(self):
        return BOTH if 200 <= self.now < 260 else CALM

    def publish(self, records):
        for record in records:
            key = (record.symbol or "__heartbeat/0").encode()
            at = self.now + self.rng.uniform(0.0, 0.3)
            if self.topic:
                at = max(at, self.topic[-1][1])
            self.topic.append((self.now, at, key, encode(record)))
            self.last_valid = max(self.last_valid, (record.valid_until - BEGIN) / SECOND)
            if record.state == "tripped" and self.tripped_at is None:
                self.tripped_at = self.now

    def tick(self):
        self.desk.seconds += 0.25
        now = self.now
        if self.kills and now >= self.kills[0]:
            self.kills.pop(0)
            self.dead_until = now + self.rng.uniform(1, 90)
            self.deaths.append((now, self.last_valid, self.dead_until))
            self.owner = None
        if now >= self.doubles and self.owner is not None:
            # This owner is replaced, and does not know it for a while.
            self.doubles = 1e9
            self.zombie, self.doubled_until = self.owner, now + self.rng.uniform(1, 30)
            self.restart()
        if self.owner is None and now >= self.dead_until:
            self.restart()
        if now % 1 == 0:
            at_ns = self.desk.now_ns
            if self.zombie is not None and now < self.doubled_until:
                self.publish(self.zombie.observe(self.conditions(), at_ns))
                self.foreign = True
            if self.owner is not None:
                self.publish(self.owner.observe(self.conditions(), at_ns))
                self.publish(self.owner.renew(at_ns))
                beat = self.heartbeat.beat(at_ns)
                if beat is not None:
                    if self.zombie is not None and self.foreign:
                        self.foreign = False
                        self.publish(self.owner.reaffirm(at_ns))
                    self.publish([beat])
        self.deliver()
        if self.desk.permits():
            self.passed.append(now)

    foreign = False

    def restart(self):
        """A new owner: it reads the topic; the snapshot may be lost."""
        self.owner, self.venue, self.heartbeat = Switch("S"), Switch("*"), Heartbeat()
        for _, _, key, value in self.topic:
            if key == b"S":
                self.owner.adopt(value)
            elif key == b"__heartbeat/0":
                self.heartbeat.adopt(value)

    def deliver(self):
        if self.cut[0] <= self.now < self.cut[1] and self.cut[1] - self.cut[0] < 120:
            return
        while self.read < len(self.topic) and self.topic[self.read][1] <= self.now:
            _, _, key, value = self.topic[self.read]
            self.desk.switches.take(0, key, value)
            self.read += 1


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_no_order_passes_after_a_trip_or_a_death_and_none_is_stuck(first):
    trips = 0
    for seed in range(first, first + 10):
        world = World(seed)
        while world.now < 2_400:
            world.tick()
        passed = world.passed
        for died, valid_until, back in world.deaths:
            late = [at for at in passed if max(valid_until, died) < at < back]
            assert late == [], f"seed {seed}: died at {died}"
        trip = world.tripped_at
        if trip is not None:
            trips += 1
            # At most as long as the last record before it is valid, for a gateway that is cut off.
            late = [at for at in passed if trip + VALID_NS / SECOND < at < 260]
            assert late == [], f"seed {seed}: tripped at {trip}"
        assert passed[-1] == 2_400, f"seed {seed}: it is stuck in {world.owner.memory.state}"
    assert trips >= 5


# Requests.


class Venue:
    """A venue that answers as it is told, and a clock that goes on when somebody waits."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []
        self.waits = []
        self.desk = Desk()
        self.log = []

    async def send(self, order):
        self.sent.append((self.desk.seconds, order))
        answer = self.answers.pop(0) if self.answers else "accepted"
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds):
        self.waits.append(seconds)
        self.desk.seconds += seconds

    def gateway(self, **limits):
        return Gateway(
            self.desk.switches,
            self.send,
            self.log.append,
            Limits(**limits),
            rng=random.Random(1),
            sleep=self.sleep,
            monotonic=lambda: self.desk.seconds,
        )


async def test_a_request_is_sent_again_with_the_same_id_after_waits_with_jitter():
    venue = Venue(TryAgainError("busy"), TimeoutError(), ConnectionResetError(), "accepted")
    assert await venue.gateway().submit(OPEN) == "accepted"
    assert len({order.client_order_id for _, order in venue.sent}) == 1
    assert venue.sent[0][1].client_order_id
    assert len(venue.waits) == 3
    for wait, limit in zip(venue.waits, (0.2, 0.4, 0.8), strict=True):
        assert 0.0 <= wait <= limit
    assert len(set(venue.waits)) == 3
    assert [line["event"] for line in venue.log] == [*["sent", "retry"] * 3, "sent", "accepted"]
    assert {line["client_order_id"] for line in venue.log} == {venue.sent[0][1].client_order_id}
    assert [line["attempt"] for line in venue.log] == [1, 1, 2, 2, 3, 3, 4, 4]
    json.dumps(venue.log)


async def test_it_gives_up_after_its_attempts():
    venue = Venue(*[TryAgainError("busy")] * 9)
    assert await venue.gateway(attempts=3).submit(OPEN) == "failed"
    assert len(venue.sent) == 3


async def test_a_switch_that_trips_during_a_wait_stops_the_next_attempt():
    venue = Venue(TryAgainError("busy"))
    gateway = venue.gateway()

    async def sleep(seconds):
        venue.desk.seconds += seconds
        venue.desk.tell(*venue.desk.owner.observe(BOTH, venue.desk.now_ns + 1))

    gateway._sleep = sleep
    assert await gateway.submit(OPEN) == "refused"
    assert len(venue.sent) == 1
    last = venue.log[-1]
    assert (last["event"], last["state"], last["attempt"]) == ("refused", "tripped", 2)
    assert "the order flow is critical" in last["why"]


async def test_orders_are_limited_in_their_rate_and_more_so_in_caution():
    venue = Venue()
    gateway = venue.gateway(orders_per_second=10.0, burst=2, caution_cost=4.0)
    for _ in range(12):
        await gateway.submit(OPEN)
    times = [at for at, _ in venue.sent]
    assert times[-1] == pytest.approx(1.0)
    venue.desk.tell(*venue.desk.owner.observe(Conditions(ladder_warning=True), BEGIN + 2 * SECOND))
    began = venue.desk.seconds
    for _ in range(5):
        await gateway.submit(OPEN)
    assert venue.desk.seconds - began == pytest.approx(2.0)


async def test_cancels_wait_for_no_rate():
    venue = Venue()
    gateway = venue.gateway(orders_per_second=0.1, burst=1)
    for _ in range(5):
        assert await gateway.submit(CANCEL) == "accepted"
    assert venue.waits == []


def test_the_rate_limit_saves_up_no_more_than_its_burst():
    now = 0.0
    limit = RateLimit(1.0, 3, lambda: now)
    now = 1_000.0
    assert [limit.wait_seconds() for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


async def test_what_rests_is_cancelled_once_a_trip():
    venue = Venue()
    gateway = venue.gateway()
    cancelled = []

    async def cancel_all(symbol):
        cancelled.append(symbol)

    desk = venue.desk
    await gateway.cancel_what_is_tripped(cancel_all)
    assert cancelled == []
    desk.tell(*desk.owner.command("trip", BEGIN + SECOND, "ann", "why", "c1"))
    for _ in range(3):
        await gateway.cancel_what_is_tripped(cancel_all)
    assert cancelled == ["S"]
    desk.tell(*desk.owner.command("rearm", BEGIN + 2 * SECOND, "ann", "why", "c2"))
    desk.tell(*desk.owner.command("trip", BEGIN + 3 * SECOND, "ann", "why", "c3"))
    desk.tell(*desk.venue.command("trip", BEGIN + 3 * SECOND, "ann", "why", "c4"))
    await gateway.cancel_what_is_tripped(cancel_all)
    assert cancelled == ["S", "S", "*"]


def test_ids_differ_between_orders():
    venue = Venue()

    async def two():
        gateway = venue.gateway()
        await gateway.submit(OPEN)
        await gateway.submit(OPEN)

    asyncio.run(two())
    first, second = (order.client_order_id for _, order in venue.sent)
    assert first != second
