"""What a scorecard counts, on outcomes that are known."""

import subprocess
import sys

import msgspec
import pytest

from detectors.catalogue import CATALOGUE
from service.cli.main import main
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import SCENARIOS, scenario
from service.scorecard import score
from service.scorecard.budgets import realised
from service.scorecard.cells import UNDEFINED
from service.scorecard.matrix import (
    CONDUCT,
    FEEDS,
    MUST_ALARM,
    MUST_NOT_ALARM,
    POSITIONS,
    REGIMES,
    Trial,
    trials,
)
from service.scorecard.page import to_html
from service.scorecard.report import Scorecard, to_markdown
from service.scorecard.trial import Alarm, Outcome, run

SECOND = 1_000_000_000
BEGAN = 1_767_225_600 * SECOND


def at(seconds):
    return BEGAN + round(seconds * SECOND)


def truth(kind, begin, end, symbol="A"):
    return Truth(kind=kind, symbol=symbol, starts_at=at(begin), ends_at=at(end), strength=1.0)


def outcome(scenario, truths, incidents, baseline=(), seconds=3_600.0):
    return Outcome(
        trial=Trial(scenario, 1),
        began_ns=BEGAN,
        ended_ns=at(seconds),
        symbols=["A", "B"],
        truths=truths,
        incidents=[Alarm(symbol, at(t), "x") for symbol, t in incidents],
        alarms={"baseline": [Alarm(symbol, at(t)) for symbol, t in baseline]},
        scored_bars={},
    )


def found(*outcomes, watcher=score.INCIDENTS):
    (row,) = (row for row in score.found(outcomes) if row.watcher == watcher)
    return row


def false_alarms(*outcomes, watcher=score.INCIDENTS):
    (row,) = (row for row in score.false_alarms(outcomes) if row.watcher == watcher)
    return row


def test_an_episode_is_found_by_an_alarm_of_its_symbol_within_it():
    burst = [truth("cancel_burst", 1_800, 1_920)]
    row = found(
        outcome("cancel_burst", burst, [("A", 1_803), ("A", 1_850)]),
        outcome("cancel_burst", burst, [("A", 1_805)]),
        outcome("cancel_burst", burst, [("B", 1_803), ("A", 1_700), ("A", 2_000)]),
    )
    assert row.episodes == 3
    assert row.recall is not None
    assert row.recall.value == pytest.approx(2 / 3)
    assert row.delay_median_seconds == pytest.approx(4.0)


def test_precision_is_the_share_of_incidents_that_tell_of_an_episode():
    truths = [truth("makers_left", 1_000, 1_050), truth("cancel_burst", 1_800, 1_920)]
    row = found(
        outcome("cancel_burst", truths, [("A", 1_803), ("A", 1_810), ("A", 1_900), ("B", 1_500)]),
        # What the market did by itself, and what came of what was done, is neither.
        outcome("cancel_burst", truths, [("A", 1_010), ("A", 2_500), ("A", 700)]),
    )
    assert row.precision.value == pytest.approx(2 / 4)


def test_precision_is_undefined_where_nothing_was_raised():
    burst = [truth("cancel_burst", 1_800, 1_920)]
    assert (
        found(outcome("cancel_burst", burst, [("A", 1_803)]), watcher="baseline").precision is None
    )


def test_a_cascade_is_led_by_the_first_alarm_before_its_onset():
    truths = [truth("leverage_buildup", 1_800, 2_400), truth("cascade", 2_420, 2_500)]
    row = found(
        outcome("cascade", truths, [("A", 1_920)]),
        outcome("cascade", truths, [("A", 2_430)]),
    )
    assert row.recall.value == 1.0
    assert row.warned_before_onset.value == 0.5
    assert row.lead_median_seconds == pytest.approx(500.0)


def test_where_no_cascade_came_of_it_there_was_nothing_to_warn_of():
    truths = [truth("leverage_buildup", 1_800, 2_400)]
    assert score.found([outcome("cascade", truths, [("A", 1_920)])]) == []


def test_what_was_never_tried_is_undefined_and_not_zero():
    rows = [
        score.Found(name, "cancel_burst", 1.0, 30.0, 0, None, None, None, None)
        for name in (
            score.INCIDENTS, "cancel_burst", "leverage_jump", "thin_book", "fading_book",
            "spoofing",
            "quote_stuffing", "layering",
            "realised_volatility", "absolute_return", "cancel_count_z", "depth_threshold",
            "prototype",
        )
    ]  # fmt: skip
    shown = to_markdown(Scorecard("c", "0", "tuning", 1.0, 1, 1.0, rows, []))
    assert f"| cancel_burst | 1 | 30 | 0 | {UNDEFINED} | {UNDEFINED} | {UNDEFINED} |" in shown


def test_alarms_close_together_are_one_incident():
    row = false_alarms(
        outcome("surge", [truth("surge", 1_800, 2_100)], [("A", 1_900), ("A", 1_930), ("A", 2_500)])
    )
    assert row.incidents == 2


def test_an_alarm_in_the_warm_up_or_of_what_the_market_did_itself_is_not_false():
    row = false_alarms(
        outcome(
            "calm",
            [truth("makers_left", 2_000, 2_050)],
            [("A", 100), ("A", 2_010), ("A", 2_100), ("B", 2_010)],
        )
    )
    assert row.incidents == 1
    watched = 2 * (3_600 - 300) - (50 + 120)
    assert row.symbol_days == pytest.approx(watched / 86_400)


def test_after_a_provocation_its_symbol_is_no_longer_calm():
    row = false_alarms(
        outcome(
            "cancel_burst",
            [truth("cancel_burst", 1_800, 1_920)],
            [("A", 1_000), ("A", 1_805), ("A", 2_500), ("B", 2_500)],
        )
    )
    assert row.incidents == 2
    assert row.scenario == "untouched"


def test_in_several_symbols_at_once_each_is_an_episode_to_find():
    both = [truth("market_wide", 1_800, 2_100, symbol) for symbol in ("A", "B")]
    row = found(outcome("market_wide", both, [("B", 1_810)]))
    assert (row.episodes, row.recall.value) == (2, 0.5)


def test_only_what_is_about_the_first_minutes_is_judged_from_the_first_event_on():
    for name, incidents in (("first_minutes", 2), ("quiet_listing", 1)):
        labels = [truth(name, 0, 300)]
        row = false_alarms(outcome(name, labels, [("A", 60), ("A", 600)]))
        assert row.incidents == incidents


def test_every_scenario_is_either_to_be_told_of_or_not_and_fits_its_trial():
    told, quiet = {*MUST_ALARM, *FEEDS}, {*MUST_NOT_ALARM, *REGIMES}
    assert not told & quiet
    assert not (told | quiet) & set(POSITIONS)
    assert told | quiet | {"calm", *POSITIONS, *CONDUCT} == set(SCENARIOS)
    for name in told | quiet | {*POSITIONS, *CONDUCT}:
        trial = Trial(name, 1)
        (*_, last) = scenario(name, start_seconds=trial.start_seconds).episodes
        assert last.end_seconds + 300 <= trial.seconds


def test_new_scenarios_leave_the_seeds_of_the_others_alone():
    wanted = trials(
        ("surge", "cascade"), purpose="tuning", seeds=1, calm_days=0, false_alarms_per_day=1.0
    )
    assert {(trial.scenario, trial.seed) for trial in wanted} == {
        ("surge", 2_001), ("cascade", 26_001), ("cascade", 27_001),
    }  # fmt: skip


def test_tuning_and_reporting_never_share_a_seed():
    def seeds(purpose):
        wanted = trials(
            MUST_ALARM, purpose=purpose, seeds=50, calm_days=300, false_alarms_per_day=1.0
        )
        return {trial.seed for trial in wanted}

    assert not seeds("tuning") & seeds("reporting")


def test_the_causes_of_every_kind_are_statistics_that_there_are():
    names = {name for detector in CATALOGUE for name in detector.statistics}
    assert score.CAUSES.keys() >= {*MUST_ALARM, "makers_left"}
    for prefixes in score.CAUSES.values():
        for prefix in prefixes:
            assert any(name.startswith(prefix) for name in names), prefix


def test_the_realised_rate_of_a_budget_counts_what_would_alarm_at_it():
    made = outcome("calm", [], [])
    made.candidates = [Alarm("A", at(1_000), budget_per_day=0.8)]
    assert [(row.budget, row.incidents) for row in realised([made])] == [(0.5, 0), (1, 1), (10, 1)]


def test_a_trial_is_deterministic_and_finds_what_it_should():
    trial = Trial("leverage_jump", 1, events_per_second=5.0)
    first = run(trial)
    assert first == run(trial)
    assert first.symbols == ["BTC-PERP", "ETH-PERP"]
    assert first.scored_bars["leverage_jump"] > 1_000
    assert found(first).recall.value == 1.0


def test_the_command_writes_the_same_figures_as_json_markdown_and_html(tmp_path, capsys):
    options = ["--scenarios", "leverage_jump", "--seeds", "1", "--calm-days", "0", "--tuning"]
    options += ["--activities", "5", "--jobs", "1", "--out", str(tmp_path)]
    assert main(["scorecard", *options]) == 0
    assert f"written to {tmp_path}" in capsys.readouterr().out
    card = msgspec.json.decode((tmp_path / "scorecard.json").read_bytes(), type=Scorecard)
    assert card.trials == 2
    assert {row.watcher for row in card.found} >= {"foreshock", "depth_threshold"}
    assert "--scenarios leverage_jump" in card.command
    assert (tmp_path / "scorecard.md").read_text() == to_markdown(card)
    page = (tmp_path / "scorecard.html").read_text()
    assert page == to_html(card)
    assert "src=" not in page.split("</script>")[-1]


def test_an_unknown_scenario_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "service", "scorecard", "--scenarios", "tulips"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "unknown scenario tulips" in " ".join(done.stderr.split())
