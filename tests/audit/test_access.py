"""Acknowledgements, halts, kill switches and alerts: each rule kept, and each broken."""

from pathlib import Path

import msgspec
import pytest

from detectors.audit.beside import Beside, Warned
from detectors.audit.claims import (
    AccessClaims,
    AutomationClaims,
    Book,
    Claims,
    ExecutionClaims,
    FairnessClaims,
    MonitoringClaims,
)
from detectors.audit.execution import joint_stress
from detectors.audit.monitoring import warnings
from detectors.audit.outcome import Finding
from detectors.audit.tape import Evidence
from detectors.kill_switch.switch import KillSwitch
from detectors.market_data.events import Cancel, Order, Reference, Status, Trade
from detectors.market_data.risk_events import Account, Ack
from service.cli.main import main
from tests.audit.made import SECOND, audited, cascade, evidence
from tests.audit.test_by_hand import START, liquidated

MINUTE = 60 * SECOND


def ack(number: int, at: int, account: str = "a", *, reason: str = "", **fields) -> Ack:
    """An answer, half a millisecond after the request."""
    answer = {"rejected_at": at + 500_000, "reason": reason} if reason else {
        "accepted_at": at + 500_000
    }  # fmt: skip
    return Ack(
        ts_event=at + 500_000, symbol="X", order_id=f"{account}{number}", account=account,
        received_at=at, **{**answer, **fields},
    )  # fmt: skip


def burst(accepted: int, refused: int, account: str = "a") -> list:
    """Orders within a second: the first ones are accepted, and the others refused."""
    return [
        ack(n, START + n * 1_000_000, account, reason="" if n < accepted else "rate_limit")
        for n in range(accepted + refused)
    ]


LIMITED = Book(Claims(access=AccessClaims(orders_per_second=10.0)))


def test_a_limit_that_binds_where_it_should_passes_and_another_fails():
    assert audited(burst(10, 5), LIMITED)["rejects"].outcome == "pass_weak"
    early = audited(burst(8, 5), LIMITED)["rejects"]
    assert early.outcome == "fail"
    assert early.cases[0].story == "order a8 was refused for its rate as number 9 within a second"
    late = audited(burst(21, 0), LIMITED)["rejects"]
    assert late.outcome == "fail"
    assert "accepted as number 21 within a second" in late.cases[0].story
    assert late.borderline == 10  # 11 to 20: a second may have begun between them
    assert audited(burst(8, 5), Book())["rejects"].outcome == "inferred"


def test_a_cancel_that_is_refused_for_its_rate_fails_without_any_claim():
    events = [*burst(3, 0), ack(3, START + SECOND, reason="rate_limit", request="cancel")]
    finding = audited(events, Book())["rejects"]
    assert finding.outcome == "fail"
    assert finding.cases[0].story == "the cancel of order a3 was refused for its rate"


def test_a_limit_that_binds_one_class_only_fails():
    equal = Book(Claims(fairness=FairnessClaims(equal_treatment=True)))

    def classes(makers: int) -> list:
        segments = [
            Account(ts_event=START, account=name, segment=segment)
            for name, segment in (("a", "retail"), ("m", "maker"))
        ]
        events = [*segments, *burst(10, 5), *burst(makers, 1, "m")]
        return sorted(events, key=lambda e: e.ts_event)

    assert audited(classes(12), equal)["rejects"].outcome == "pass_weak"
    finding = audited(classes(40), equal)["rejects"]
    assert finding.outcome == "fail"
    assert "class maker had 40 orders within a second accepted" in finding.cases[0].story
    assert "class retail was refused from 11 on" in finding.cases[0].story


def rush(slow_ms: float) -> list:
    """Two hundred orders in calm, and as many in the minute of a liquidation."""

    def answered(number: int, at: int, after_ms: float) -> Ack:
        return ack(number, at, accepted_at=at + round(after_ms * 1e6))

    calm = [answered(n, START - 10 * MINUTE + n * SECOND, 1.0) for n in range(200)]
    stress = [answered(200 + n, START + SECOND + n * 1_000_000, slow_ms) for n in range(200)]
    return sorted([*calm, *stress, *liquidated(1.0)], key=lambda e: e.ts_event)


def test_answers_that_are_much_slower_under_stress_fail():
    claimed = Book(Claims(access=AccessClaims(stress_latency_factor=5.0)))
    assert audited(rush(4.0), claimed)["latency"].outcome == "pass_weak"
    finding = audited(rush(8.0), claimed)["latency"]
    assert finding.outcome == "fail"
    assert finding.cases[0].size == pytest.approx(8.0, rel=0.05)
    assert audited(rush(8.0), Book())["latency"].outcome == "inferred"
    few = [e for e in rush(8.0) if not isinstance(e, Ack)][:50]
    assert audited(few, claimed)["latency"].outcome == "not_tested"


def switch(at: int, state: str, by: str = "foreshock", reason: str = "why", **fields) -> KillSwitch:
    return msgspec.structs.replace(
        KillSwitch(symbol="X", state="armed", ts_event=at, until=None, reason=reason, alert_id="",
                   valid_until=at, since=at, by=by, cause="transition", sequence=1, previous=""),
        state=state, **fields,
    )  # fmt: skip


def order(at: int, **fields) -> Order:
    return Order(ts_event=at, symbol="X", order_id=f"o{at}", account="c", side="buy", price=99.0,
                 quantity=2.0, **fields)  # fmt: skip


TRIPPED = Beside(
    switches=(switch(START, "tripped"), switch(START + 100 * SECOND, "armed", by="ann"))
)
OBEYS = Book(Claims(automation=AutomationClaims(accepts_nothing=True)))


def test_new_orders_after_a_trip_fail_and_reductions_do_not():
    late = START + 30 * SECOND
    quiet = [order(START + SECOND), order(late, reduce_only=True), order(START + 101 * SECOND)]
    assert audited(quiet, OBEYS, TRIPPED)["after_trip"].outcome == "pass_weak"
    finding = audited([order(late)], OBEYS, TRIPPED)["after_trip"]
    assert finding.outcome == "fail"
    assert finding.cases[0].story.endswith("of 2 was accepted 30.0 s after a trip")
    assert audited([order(late)], Book(), TRIPPED)["after_trip"].outcome == "inferred"
    drill = Beside(switches=(switch(START, "tripped", drill=True),))
    assert audited([order(late)], OBEYS, drill)["after_trip"].breaches == 0


def test_new_orders_in_a_halt_fail():
    halt = Status(ts_event=START, symbol="X", state="halted", until=START + MINUTE)
    found = audited([halt, order(START + SECOND)], OBEYS)
    assert found["after_trip"].outcome == "fail"
    assert audited([halt, order(START + 2 * MINUTE)], OBEYS)["after_trip"].outcome == "pass_weak"


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        (switch(START + 100 * SECOND, "reduce_only"), "pass_weak"),
        (switch(START + 100 * SECOND, "armed", by="ann"), "pass_weak"),
        (switch(START + 100 * SECOND, "armed"), "fail"),  # nobody re-armed it
        (switch(START + 5 * SECOND, "reduce_only"), "fail"),  # too soon
        (switch(START + 100 * SECOND, "armed", by="bob"), "fail"),  # who may not
        (switch(START + 100 * SECOND, "armed", by="ann", reason=""), "fail"),
    ],
    ids=str,
)
def test_a_switch_is_rearmed_as_declared(after: KillSwitch, outcome: str):
    book = Book(Claims(automation=AutomationClaims(rearmed_by=("ann",))))
    beside = Beside(switches=(switch(START, "tripped"), after))
    assert audited([order(START)], book, beside)["rearmed"].outcome == outcome


def test_a_halt_follows_a_trip_and_cancels_pass():
    def halted(after: int, *more) -> list:
        halt = Status(ts_event=START + after * SECOND, symbol="X", state="halted")
        return sorted([order(START - 5), halt, *more], key=lambda e: e.ts_event)

    assert audited(halted(4), Book(), TRIPPED)["reaction"].outcome == "pass_weak"
    finding = audited(halted(9), Book(), TRIPPED)["reaction"]
    assert finding.outcome == "fail"
    assert finding.cases[0].story == "tripped (why), and halted after 9.0 s"
    cancelled = Cancel(ts_event=START + 9 * SECOND, symbol="X", order_id=f"o{START - 5}")
    assert audited(halted(4, cancelled), Book())["reaction"].outcome == "pass_weak"
    refused = ack(1, START + 9 * SECOND, request="cancel", reason="halt")
    finding = audited(halted(4, refused), Book())["reaction"]
    assert finding.outcome == "fail"
    assert "the cancel of order a1 was refused in a halt: halt" in finding.cases[0].story


def refused_in_a_row(pauses: list[float]) -> list:
    at, events = START, []
    for number, pause in enumerate([0.0, *pauses]):
        at += round(pause * SECOND)
        events.append(ack(number, at, reason="margin"))
    return events


def test_a_client_that_retries_at_a_constant_rate_fails_and_one_that_backs_off_passes():
    book = Book(Claims(automation=AutomationClaims(backoff=True)))
    constant = audited(refused_in_a_row([0.1] * 30), book)["retries"]
    assert constant.outcome == "fail"
    assert "31 orders were refused in a row within 3.0 s" in constant.cases[0].story
    growing = refused_in_a_row([0.1 * 1.3**n for n in range(30)])
    assert audited(growing, book)["retries"].outcome == "pass_weak"
    few = audited(refused_in_a_row([0.1] * 10), book)["retries"]
    assert (few.outcome, few.population) == ("inferred", 11)


def stopped(price: float, pieces: int) -> list:
    """A sale that was triggered at 100 and filled in so many trades."""
    common = {"symbol": "X", "ts_event": START + SECOND}
    trades = [
        Trade(trade_id=str(n), price=price, quantity=1.0, side="sell", taker_order_id=f"child{n}",
              **common)
        for n in range(pieces)
    ]  # fmt: skip
    children = [
        Ack(order_id=f"child{n}", account="a", parent_id="stop", accepted_at=START + 9,
            symbol="X", ts_event=START + 9)
        for n in range(pieces)
    ]  # fmt: skip
    stop = Ack(ts_event=START + 8, symbol="X", order_id="stop", account="a", trigger_price=100.0,
               accepted_at=START + 8)  # fmt: skip
    return [stop, *children, *trades]


def test_stops_that_are_filled_far_from_their_trigger_or_in_many_pieces_fail():
    book = Book(Claims(execution=ExecutionClaims(stop_bps=20.0, stop_pieces=3)))
    assert audited(stopped(99.9, 3), book)["stops"].outcome == "pass_weak"
    far = audited(stopped(99.0, 3), book)["stops"]
    assert far.outcome == "fail"
    assert "filled 100.0 bps worse than its trigger in 3 trades in calm" in far.cases[0].story
    assert audited(stopped(99.9, 4), book)["stops"].outcome == "fail"
    inferred = audited(stopped(99.0, 3), Book())["stops"]
    assert inferred.outcome == "inferred"
    assert inferred.facts["shortfall in calm, median bps"] == pytest.approx(100.0)


@pytest.fixture(scope="module")
def fallen() -> Evidence:
    """What is left of a cascade."""
    return evidence(cascade())


def test_a_cascade_makes_spread_and_shortfall_rise_together(fallen: Evidence):
    def judged(ratio: float | None) -> Finding:
        fallen.claims = Book(Claims(execution=ExecutionClaims(joint_ratio=ratio)))
        return joint_stress(fallen)

    inferred = judged(None)
    assert inferred.outcome == "inferred"
    assert "rose together in" in inferred.sentence
    assert "without latency_ms" in inferred.sentence
    assert judged(0.01).outcome == "fail"
    assert judged(1.0).outcome.startswith("pass")


def test_a_cascade_without_a_warning_in_time_fails(fallen: Evidence):
    first = min(e.ts_event for e in cascade() if isinstance(e, Trade) and e.liquidation)

    def warned(before: float, symbol: str = "BTC-PERP", status: str = "firing") -> Warned:
        at = first - round(before * SECOND)
        return Warned(at, symbol, "thin_book", "warning", status, "1")

    def outcome(*alerts: Warned, ratio: float | None = 1.0) -> str:
        claimed = MonitoringClaims(warned_ratio=ratio, lead_seconds=60.0)
        fallen.claims, fallen.beside = Book(Claims(monitoring=claimed)), Beside(alerts=alerts)
        return warnings(fallen).outcome

    assert outcome(warned(90.0)) == "pass_weak"
    assert outcome(warned(90.0, symbol="*")) == "pass_weak"
    assert outcome() == "fail"
    assert outcome(warned(30.0)) == "fail"  # too late
    assert outcome(warned(-30.0)) == "fail"  # after it
    assert outcome(warned(90.0, symbol="ETH-PERP")) == "fail"
    assert outcome(warned(900.0), warned(600.0, status="resolved")) == "fail"
    assert outcome(ratio=None) == "inferred"
    fallen.beside = Beside()
    assert warnings(fallen).outcome == "not_tested"


def test_files_beside_the_record_are_read(tmp_path: Path):
    (tmp_path / "references.ndjson").write_bytes(
        msgspec.json.encode(Reference(ts_event=START, symbol="X", mark_price=1.0))
    )
    switches = (switch(START, "tripped"), switch(START + SECOND, "armed"))
    (tmp_path / "switches.ndjson").write_bytes(
        b"\n".join(map(msgspec.json.encode, switches)) + b"\nnone\n"
    )
    (tmp_path / "margins.ndjson").write_text(
        f'{{"ts_event":{START},"symbol":"X","tiers":[{{"up_to_notional":100,"maintenance_rate":'
        '0.02},{"maintenance_rate":0.01}]}\n'
    )
    out = tmp_path / "audit.json"
    assert main(["audit", str(tmp_path), "--json", str(out)]) == 1
    found = msgspec.json.decode(out.read_bytes())
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["rearmed"]["outcome"] == "fail"
    assert "without an operator" in rows["rearmed"]["cases"][0]["story"]
    # A list of tiers that falls is no event; the check of tiers says so.
    assert rows["requirements"]["outcome"] == "fail"
    assert "tiers[1].maintenance_rate" in rows["requirements"]["cases"][0]["story"]
    files = {its["name"]: its["refused"] for its in found["files"]}
    assert files == {"margins.ndjson": 1, "references.ndjson": 0, "switches.ndjson": 1}
