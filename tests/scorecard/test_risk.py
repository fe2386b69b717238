"""The scorecard of the risk of positions: what is warned of, predicted, and left alone."""

import json
import math

import pytest

from detectors.risk.quantiles import Quantiles
from service.cli.main import main
from service.exchange.measures import Truth
from service.exchange.recording import simulate_to_directory
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import START_NS
from service.scorecard.matrix import Trial
from service.scorecard.risk import calm, plan
from service.scorecard.risk.comparisons import compared
from service.scorecard.risk.forecast import STEPS, WHOLE, Forecast, Run
from service.scorecard.risk.predictions import FALL, NOTIONAL, predicted
from service.scorecard.risk.report import tables
from service.scorecard.risk.run import risk_card
from service.scorecard.risk.scores import NEAR, RUN, SIGMA, Sample
from service.scorecard.risk.trial import Incident, RiskOutcome, Told, watched
from service.scorecard.risk.warnings import spreading, unspread, warned

SECOND = 1_000_000_000
X, Y = "X", "Y"


def at(seconds):
    return START_NS + round(seconds * SECOND)


def truth(kind, symbol, begin, end, **more):
    return Truth(
        kind=kind, symbol=symbol, starts_at=at(begin), ends_at=at(end), strength=1.0, **more
    )


def incident(detector, symbol, begin, end, **more):
    return Incident(detector, symbol, at(begin), at(end), **more)


def outcome(name="cascade", truths=(), incidents=(), symbols=(X, Y), seed=1, **more):
    return RiskOutcome(
        trial=Trial(name, seed),
        began_ns=at(0),
        ended_ns=at(2_800),
        symbols=list(symbols),
        truths=list(truths),
        incidents=list(incidents),
        **more,
    )


BUILDUP = truth("leverage_buildup", X, 1_800, 2_400)
CASCADE = truth("cascade", X, 2_430, 2_500, peak_drawdown_ratio=0.05, liquidated_notional=5e6)


def test_a_cascade_is_announced_by_an_incident_that_is_open_at_its_onset():
    incidents = [
        incident("flow", X, 1_860, 1_950),  # resolved long before
        incident("cascade", Y, 2_000, 2_800),  # of another symbol
        incident("cascade", X, 2_250, 2_520, critical_ns=at(2_440)),
    ]
    (row,) = warned([outcome(truths=[BUILDUP, CASCADE], incidents=incidents)])
    assert (row.symbol, row.cascades, row.cascade.value) == ("first", 1, 1.0)
    assert row.lead_median_seconds == 180.0
    assert row.critical.value == 0.0  # only after the onset
    assert row.flow.value == 0.0
    assert (row.flow_opened.value, row.flow_opened_lead_median_seconds) == (1.0, 570.0)
    assert row.either.value == 1.0


def test_only_the_first_cascade_of_a_symbol_after_the_intervention_counts():
    again = truth("cascade", X, 2_700, 2_750, peak_drawdown_ratio=0.01)
    (row,) = warned([outcome(truths=[BUILDUP, again, CASCADE])])
    assert (row.cascades, row.fall_median, row.cascade.value) == (1, 0.05, 0.0)
    early = truth("cascade", X, 900, 950, peak_drawdown_ratio=0.01)
    assert warned([outcome(truths=[BUILDUP, early])]) == []


def test_calm_time_ends_with_the_intervention_and_begins_after_the_warm_up():
    incidents = [
        incident("cascade", X, 200, 450, whale_ratio=0.2),
        incident("cascade", X, 1_750, 2_500),
        incident("contagion", "*", 600, 750),
    ]
    (row,) = calm.calm_times([outcome(truths=[BUILDUP], incidents=incidents)])
    assert row.symbol_hours == pytest.approx(2 * 1_500 / 3_600)
    assert row.cascade_ratio == pytest.approx((150 + 50) / 3_000)
    assert row.contagion_ratio == pytest.approx(150 / 1_500)
    assert (row.cascade_incidents, row.whales, row.contagion_incidents) == (2, 1, 1)
    told = calm.explained([outcome(truths=[BUILDUP], incidents=incidents)])
    assert [round(its.seconds) for its in told] == [150, 50, 150]


def test_what_must_stay_quiet_is_judged_to_the_end():
    sale = truth("far_leverage", X, 1_800, 1_860)
    loud = outcome("far_leverage", [sale], [incident("cascade", X, 1_850, 1_900)])
    (row,) = calm.safe([loud, outcome("far_leverage", [sale])])
    assert (row.rule, row.markets, row.cascade, row.critical) == ("no alarm", 2, 1, 0)


SPREAD = [
    BUILDUP,
    CASCADE,
    truth("cascade", Y, 2_450, 2_520, peak_drawdown_ratio=0.04),
    truth("contagion", Y, 2_450, 2_520, parent_symbol=X, channel="co_movement"),
]


@pytest.mark.parametrize(
    ("told", "named", "named_way"),
    [
        (Told(at(2_442), X, [Y, "Z"], back=False), 1.0, 1.0),
        (Told(at(2_442), X, ["Z"], back=True), 0.0, 0.0),
        (Told(at(2_442), Y, [X], back=True), 1.0, 1.0),
        (Told(at(2_442), Y, [X], back=False), 1.0, 0.0),
        (Told(at(2_442), "Z", [X, Y], back=True), 1.0, 0.0),
        (Told(at(2_460), X, [Y], back=False), 0.0, 0.0),  # too late
    ],
)
def test_a_spread_is_named_by_the_last_alert_before_it(told, named, named_way):
    incidents = [incident("contagion", "*", 2_440, 2_600)]
    (row,) = spreading([outcome("maker_cascade", SPREAD, incidents, told=[told])])
    assert (row.spreads, row.announced.value, row.before.value) == (1, 1.0, 0.0)
    assert row.lead_median_seconds == 10.0
    assert (row.named.value, row.named_way.value) == (named, named_way)


@pytest.mark.parametrize(
    ("begin", "end", "announced", "before"),
    [(2_300, 2_425, 0.0, 0.0), (2_300, 2_435, 1.0, 1.0), (2_455, 2_600, 0.0, 0.0)],
)
def test_an_incident_that_ends_while_the_first_cascade_runs_has_announced_it(
    begin, end, announced, before
):
    incidents = [incident("contagion", "*", begin, end)]
    (row,) = spreading([outcome("maker_cascade", SPREAD, incidents)])
    assert (row.announced.value, row.before.value) == (announced, before)


def test_an_announced_spread_that_does_not_come_is_counted():
    alone = outcome(truths=[BUILDUP, CASCADE], incidents=[incident("contagion", "*", 2_400, 2_600)])
    late = outcome(truths=[BUILDUP, CASCADE], incidents=[incident("contagion", "*", 2_440, 2_600)])
    (row,) = unspread([alone, late, outcome("maker_cascade", SPREAD)])
    assert (row.scenario, row.markets, row.contagion) == ("cascade", 2, 1)


def forecast(fall=0.05, notional=5e6):
    middle = Run(Quantiles(0.04, 0.05, 0.06), Quantiles(4e6, 1e7, 2e7))
    far = {0.02: Quantiles(0.01, 0.02, math.inf)}
    return Forecast(X, at(2_430), {WHOLE: middle}, fall, notional, far, 0.01)


def test_errors_are_logarithms_and_coverage_is_between_the_outer_quantiles():
    its = [outcome(truths=[BUILDUP, CASCADE], forecasts=[forecast(), forecast(fall=0.02)])]
    rows = {row.what: row for row in predicted(its) if row.group == "all"}
    assert rows[FALL].coverage.value == 0.5
    assert rows[FALL].error_median == pytest.approx(math.log(2.5) / 2)
    assert rows[FALL].pit == [1, 0, 1, 0]
    assert rows[NOTIONAL].bias_median == pytest.approx(math.log(0.5))
    assert (rows[NOTIONAL].cascades, rows[NOTIONAL].markets) == (2, 1)
    distance = rows["distance for 2 %"]
    assert distance.coverage.value == 1.0
    assert distance.bias_median == pytest.approx(math.log(0.5))


def test_each_number_is_compared_at_the_same_share_of_calm_time():
    def sample(seconds, run, sigma):
        return Sample(X, at(seconds), {RUN: run, SIGMA: sigma})

    before = [sample(300 + 10 * n, -0.02, 0.001 * (n % 2)) for n in range(100)]
    samples = [*before, sample(2_300, -0.005, 0.0), sample(2_420, -0.001, 0.01)]
    its = outcome(truths=[BUILDUP, CASCADE], samples=samples)
    rows = {row.name: row for row in compared([its], [0.02])}
    assert (rows[RUN].at_120s.value, rows[RUN].at_onset.value) == (1.0, 1.0)
    assert (rows[SIGMA].at_120s.value, rows[SIGMA].at_onset.value) == (0.0, 1.0)
    assert rows[NEAR].threshold is None
    assert rows[NEAR].at_onset is None


def test_no_two_trials_have_the_same_seed():
    planned = [
        trial
        for purpose in ("tuning", "reporting")
        for trial in plan.trials(
            plan.SCENARIOS, purpose=purpose, seeds=50, calm_days=300, activities=(30.0,),
            false_alarms_per_day=1.0,
        )
    ]  # fmt: skip
    seeds = [trial.seed for trial in planned]
    assert len(set(seeds)) == len(seeds)
    assert {trial.strength for trial in planned if trial.scenario == "cascade"} == set(plan.SIZES)


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """A cascade after seven minutes, and what is kept of its replay."""
    folder = tmp_path_factory.mktemp("cascade")
    recording = simulate_to_directory(
        folder,
        scenario=scenario("cascade", start_seconds=330, length_seconds=240),
        seed=3,
        symbols=1,
        duration_seconds=780.0,
        events_per_second=10.0,
    )
    return watched(folder, Trial("cascade", 3), recording.truths)


def test_a_market_is_watched_as_in_a_replay(market):
    (cascade,) = market.cascades
    (its,) = market.forecasts
    assert its.onset_ns == cascade.starts_at
    assert its.notional == cascade.liquidated_notional
    # From the mark price of the last record, up to ten seconds before the onset.
    assert its.fall >= cascade.peak_drawdown_ratio
    assert set(its.runs) == {WHOLE, STEPS}
    for run in its.runs.values():
        assert run.fall == Quantiles(*sorted(run.fall))
        assert run.notional.p50 > 0.0
    assert its.runs[STEPS].notional.p50 <= its.runs[WHOLE].notional.p50
    assert its.moved > 0.0
    assert market.liquidated["BTC-PERP"] >= 5
    assert {its.detector for its in market.incidents} >= {"flow", "cascade"}
    last = [its for its in market.samples if its.ts_event <= cascade.starts_at][-1]
    first = next(its for its in market.samples if RUN in its.scores)
    assert last.scores[RUN] > first.scores[RUN]


def test_every_table_has_a_cell_for_each_column(market):
    card = risk_card([market, outcome("maker_cascade", SPREAD), outcome("calm", symbols=[X])])
    made = tables(card)
    assert len({table.title for table in made}) == len(made) >= 6
    for table in made:
        assert all(len(row) == len(table.head) for row in table.rows), table.title


def test_the_command_writes_its_documents(tmp_path, capsys, monkeypatch):
    # A short market, in this process.
    monkeypatch.setattr("service.scorecard.matrix.START_SECONDS", 330.0)
    monkeypatch.setattr("service.scorecard.matrix.AFTERMATH_SECONDS", 30.0)
    monkeypatch.setattr(
        "service.scorecard.run.run_all", lambda run, trials, _jobs: [run(t) for t in trials]
    )
    argv = ["--scenarios", "far_leverage", "--seeds", "1", "--calm-days", "0", "--activities", "1"]
    assert main(["scorecard", "--risk", *argv, "--tuning", "--out", str(tmp_path)]) == 0
    assert "must stay quiet" in capsys.readouterr().out
    written = json.loads((tmp_path / "scorecard.json").read_text())
    assert written["command"] == (
        "foreshock scorecard --risk --seeds 1 --calm-days 0 --activities 1 --budget 1"
        " --scenarios far_leverage --tuning"
    )
    (safe,) = written["risk"]["safe"]
    assert (safe["scenario"], safe["markets"], safe["liquidated"]) == ("far_leverage", 1, 0)
    assert "## Positions: calm time in alarm" in (tmp_path / "scorecard.md").read_text()
    assert "Positions: calm time in alarm</h2>" in (tmp_path / "scorecard.html").read_text()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--recorded", "x"], "recorded flow has no positions"),
        (["--scenarios", "surge,cascade"], "does not measure surge"),
    ],
)
def test_what_it_cannot_measure_is_refused(more, says, tmp_path, capsys):
    assert main(["scorecard", "--risk", *more, "--out", str(tmp_path)]) == 2
    assert says in capsys.readouterr().err
