"""What the demonstration says and draws, given what there is to see."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from rich.console import Console

from detectors.catalogue import ALARMING
from detectors.closing import Signal
from detectors.incidents.alerts import Alert, Evidence
from detectors.market_data.events import Trade
from detectors.risk_watch.records import Interval, RiskRecord, cascade_of
from detectors.scorer import Reading
from service.demo.captions import Totals, money, summary
from service.demo.lines import Lines
from service.demo.observations import Observations
from service.demo.plan import Plan, make_plan
from service.demo.producer import Lookahead, Progress
from service.demo.screen import page
from service.demo.status import Status
from service.exchange.measures import Truth
from tests.risk_watch.venue import near

SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND
STATUS = Status(
    "monitoring: no open incidents", 100, 10.0, 0, 0, "127.0.0.1:1", "http://x/", "/log"
)
TOTALS = Totals(produced=100, scored=99, late=1, rejected=0, seconds=90.0)


@pytest.fixture
def plan() -> Plan:
    return make_plan("cascade", seed=1, seconds=90, speed=None, now_ns=NOW)


@pytest.fixture
def observations(plan: Plan) -> Observations:
    its = Observations(plan.symbols, plan.start_ns)
    its.progress(Progress(plan.end_ns, 100, [], done=True))
    return its


@pytest.fixture(scope="module")
def record() -> RiskRecord:
    """Longs that a fall of 0.8 % liquidates."""
    venue = near()
    venue.run(60)
    return replace(venue.last(), symbol="BTC-PERP")


def at(plan: Plan, seconds: float) -> int:
    return plan.start_ns + int(seconds * SECOND)


def alert(plan: Plan, seconds: float, symbol: str = "BTC-PERP", **changes: str) -> Alert:
    fields = {
        "alert_id": f"{symbol} {seconds:g}",
        "detector": "thin_book",
        "severity": "warning",
        "status": "firing",
        **changes,
    }
    return Alert(
        symbol=symbol,
        starts_at=at(plan, seconds),
        ends_at=None,
        ts_event=at(plan, seconds),
        score=9.0,
        p_value=1e-9,
        evidence=[Evidence("thin_book", "shallow_near", 1.2, 0.1, 0.8)],
        summary=f"{symbol}: depth is 3 times less than usual",
        runbook="docs/runbook.md#thin_book",
        **fields,
    )


def cascade(plan: Plan, seconds: float) -> Truth:
    return Truth(
        kind="cascade",
        symbol="BTC-PERP",
        starts_at=at(plan, seconds),
        ends_at=at(plan, seconds + 100),
        strength=0.05,
        peak_drawdown_ratio=0.05,
        liquidated_notional=7.5e6,
        liquidation_steps=200,
    )


def told(plan: Plan, observations: Observations, totals: Totals = TOTALS) -> str:
    return "\n".join(f"{heading}: {text}" for heading, text in summary(plan, observations, totals))


def test_the_default_fits_half_an_hour_of_market_time_that_is_over_by_now(plan: Plan):
    assert (plan.speed, plan.market_seconds, plan.end_ns) == (20.0, 1_800.0, NOW)
    slow = make_plan("cascade", seed=1, seconds=3_600, speed=None, now_ns=NOW)
    assert slow.speed == 1.0
    lull = make_plan("long_lull", seed=1, seconds=90, speed=None, now_ns=NOW)
    assert lull.market_seconds > lull.scenario.episodes[-1].end_seconds, "its end is shown too"


def test_the_lead_is_from_the_first_warning_after_the_build_up_began(
    plan: Plan, observations: Observations
):
    observations.cascades.append(cascade(plan, 1_490))
    for seconds in (500, 1_000, 1_200):
        observations.alert(alert(plan, seconds))
    observations.alert(alert(plan, 900, symbol="ETH-PERP"))
    text = told(plan, observations)
    assert "thin_book at 16:40: 490 s before the cascade began, 160 s after its build-up" in text
    assert "1 of them before the injection in their symbol" in text
    assert "1 of them in symbols without an injection" in text
    assert "BTC-PERP from 24:50: the mark price moved 5.0%, 7.5 M liquidated in 200" in text


def test_the_incident_of_positions_has_lines_and_a_lead_of_its_own(
    plan: Plan, observations: Observations
):
    observations.cascades.append(cascade(plan, 1_490))
    near_one = alert(plan, 1_400, detector="cascade", severity="critical")
    observations.alert(near_one)
    written: list[str] = []
    Lines(plan, observations, written.append).update(STATUS, 0.0)
    assert any(line.startswith("[23:20] critical: cascade: ") for line in written), written
    text = told(plan, observations)
    assert "positions: cascade at 23:20: 90 s before the cascade began" in text
    assert "warning: none before the cascade began: missed" in text
    assert "incidents: none" in text


def test_a_cascade_ends_with_what_was_predicted_and_what_happened(
    plan: Plan, observations: Observations, record: RiskRecord
):
    observations.cascades.append(cascade(plan, 1_490))
    far = replace(record, ts_event=at(plan, 1_400), side="short", runs=[])
    after = replace(record, ts_event=at(plan, 1_500), runs=[])
    for its in (replace(record, ts_event=at(plan, 1_484)), far, after):
        observations.risk(its)
    text = told(plan, observations)
    run = cascade_of(record)
    fall = f"{run.distance_bps.p50 / 100:.2f}%"
    impact = record.impact
    end = run.distance_bps.p50 + impact.flow_bps.p50 * run.notional.p50 / impact.notional
    assert f"predicted: at 24:44, 6 s before it began: a fall of {fall}" in text
    assert f"{money(run.notional.p50)} forced out, a fall of {end / 100:.1f}% in all" in text
    assert "happened: 7.5 M forced out, a fall of 5.0% in all" in text


def test_a_cascade_that_was_not_to_be_seen_is_said_to_be_so(plan: Plan, observations: Observations):
    observations.cascades.append(cascade(plan, 1_490))
    assert "predicted: no run of liquidations over 40 %" in told(plan, observations)


def test_a_cascade_that_nobody_warned_of_is_called_missed(plan: Plan, observations: Observations):
    observations.cascades.append(cascade(plan, 1_490))
    observations.alert(alert(plan, 1_500))
    assert "warning: none before the cascade began: missed" in told(plan, observations)


def test_it_says_why_there_is_no_cascade(plan: Plan, observations: Observations):
    assert "none with this seed: cascades are not scripted" in told(plan, observations)
    observations.market_ns = at(plan, 600)
    assert "none yet: the demo stopped earlier" in told(plan, observations)
    short = make_plan("cascade", seed=1, seconds=30, speed=20, now_ns=NOW)
    over = Observations(short.symbols, short.end_ns)
    assert "increase --seconds or --speed" in told(short, over)
    calm = make_plan("calm", seed=1, seconds=90, speed=None, now_ns=NOW)
    assert "none: scenario calm has no cascade" in told(calm, observations)


def test_it_says_what_was_not_read_and_that_the_machine_was_too_slow(
    plan: Plan, observations: Observations
):
    text = told(
        plan, observations, Totals(produced=100, scored=90, late=1, rejected=2, seconds=120.0)
    )
    assert "100 produced: 90 scored, 1 late, 2 rejected, 7 not yet read" in text
    assert "took 120 s instead of 90 s" in text


def test_lines_tell_each_thing_once_and_in_order(plan: Plan, observations: Observations):
    written: list[str] = []
    lines = Lines(plan, observations, written.append)
    observations.alert(alert(plan, 1_000))
    observations.alert(alert(plan, 1_000, severity="critical"))
    observations.alert(alert(plan, 1_000, severity="critical", update=1))
    observations.alert(alert(plan, 1_000, status="resolved"))
    observations.cascades.append(cascade(plan, 1_490))
    for second in range(4):
        lines.update(STATUS, float(second))
    news = [line for line in written if line.startswith("[") and "monitoring" not in line]
    assert len(news) == len(set(news))
    assert [line[:7] for line in news] == sorted(line[:7] for line in news)
    for state in ("warning", "critical", "critical, update 1", "resolved"):
        assert sum(f"] {state}: thin_book: " in line for line in news) == 1
    assert sum("ground truth, begins: BTC-PERP, liquidations" in line for line in news) == 1
    assert sum("] monitoring" in line for line in written) == 1
    assert any("kcat -b 127.0.0.1:1 " in line for line in written)


def test_lines_tell_how_near_a_cascade_comes_once_for_each_distance(
    plan: Plan, observations: Observations, record: RiskRecord
):
    written: list[str] = []
    lines = Lines(plan, observations, written.append)
    run = cascade_of(record)

    def nearing(seconds: float, bps: float) -> None:
        moved = replace(run, distance_bps=Interval(bps, bps, bps))
        observations.risk(replace(record, ts_event=at(plan, seconds), runs=[moved]))
        lines.update(STATUS, seconds)

    for seconds, bps in ((10, 900), (20, 390), (30, 380), (40, 90), (50, 150), (60, 95), (70, 45)):
        nearing(seconds, bps)
    told_ = [line for line in written if "] risk: " in line]
    assert [line[:35] for line in told_] == [
        f"[{clock}] risk: BTC-PERP: a fall of {fall}"
        for clock, fall in (("00:20", "3"), ("00:40", "0"), ("01:10", "0"))
    ]
    assert "would set off a cascade of longs, and would force out" in told_[-1]


@pytest.mark.parametrize(("width", "rows"), [(80, 24), (112, 30), (200, 60)])
def test_the_page_fits_the_terminal_and_keeps_the_ground_truth_apart(
    plan: Plan, observations: Observations, record: RiskRecord, width: int, rows: int
):
    observations.risk(record)
    observations.alert(alert(plan, 1_000))
    observations.cascades.append(cascade(plan, 1_490))
    reading = Reading("scoring", {}, 3.0, 0.1)
    observations.signal(Signal("BTC-PERP", at(plan, 1), 0.7, dict.fromkeys(ALARMING, reading)))
    observations.trade(
        Trade(
            ts_event=plan.end_ns,
            symbol="BTC-PERP",
            trade_id="1",
            price=59_000.5,
            quantity=1.0,
            side="sell",
            liquidation=True,
        )
    )
    console = Console(width=width, height=rows, record=True, quiet=False, file=None)
    with console.capture() as capture:
        console.print(page(plan, observations, STATUS, width=width, rows=rows))
    lines = capture.get().splitlines()
    assert len(lines) <= rows
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    truth = text.index("ground truth, not visible to the detectors")
    assert truth < text.index("leverage buildup") < text.index("alerts BTC-PERP")
    assert truth < text.index("incidents, from the topic")
    assert f"{cascade_of(record).distance_bps.p50:.0f} bps" in text
    assert "0.70" in text
    assert "warning since 16:40" in text
    assert "59.0 k" in text


def test_readings_are_the_highest_of_half_a_minute(plan: Plan, observations: Observations):
    for second, stress in ((1, 0.9), (20, 0.2), (35, 0.3)):
        reading = Reading("scoring", {}, 10 * stress, 0.1, alarm=stress > 0.5)
        observations.signal(
            Signal("BTC-PERP", at(plan, second), stress, dict.fromkeys(ALARMING, reading))
        )
        view = observations.symbols["BTC-PERP"]
        assert (view.stress_ratio, view.score("thin_book")) == (
            (0.3, 3.0) if second == 35 else (0.9, 9.0)
        )
        assert view.alarmed("thin_book") == (second < 35)


def test_the_exchange_works_ahead_and_hands_out_only_what_is_due(plan: Plan):
    def stream() -> Iterator[Trade | Truth]:
        for second in range(1_000):
            if second == 700:
                yield cascade(plan, 300)
            yield Trade(
                ts_event=at(plan, second),
                symbol="BTC-PERP",
                trade_id=str(second),
                price=1.0,
                quantity=1.0,
                side="buy",
            )

    lookahead = Lookahead(stream(), plan.start_ns)
    lookahead.advance(at(plan, 200), until=float("inf"))
    assert at(plan, 800) <= lookahead.until_ns <= at(plan, 1_000)
    assert len(list(lookahead.events(at(plan, 200)))) == 200
    assert lookahead.cascades(at(plan, 200)) == []
    assert lookahead.cascades(at(plan, 301)) == [cascade(plan, 300)]
    lookahead.advance(at(plan, 1_000), until=float("inf"))
    assert lookahead.ended
    assert len(list(lookahead.events(at(plan, 2_000)))) == 800
