"""What is counted in recorded sessions with many episodes, on outcomes that are known."""

import json
import subprocess
import sys

import msgspec
import pytest

from detectors.catalogue import CATALOGUE
from service.errors import OperatorError
from service.exchange.measures import Truth
from service.pipeline.wire import Decoder
from service.scorecard import sessions, sessions_report
from service.scorecard.background import recorded_events
from service.scorecard.matrix import Trial
from service.scorecard.mixed import load
from service.scorecard.page import to_html
from service.scorecard.recorded import sessions_scorecard
from service.scorecard.report import Scorecard, to_markdown
from service.scorecard.score import INCIDENTS
from service.scorecard.sessions import ALL, BETWEEN, DRAWN, KNOWN, UNTOUCHED, Ran, results
from service.scorecard.statistics import poisson
from service.scorecard.trial import Alarm, Outcome, watch, watch_events
from tests.scorecard.calm import calm

SECOND = 1_000_000_000
BEGAN = 1_767_225_600 * SECOND


def at(seconds):
    return BEGAN + round(seconds * SECOND)


def truth(kind, begin, end, symbol="A"):
    return Truth(kind=kind, symbol=symbol, starts_at=at(begin), ends_at=at(end), strength=1.0)


def outcome(alarms=(), truths=(), baseline=(), symbols=("A",)):
    """An hour with alarms of `cancel_burst`, or of the named detector, at these seconds."""
    by_detector = {"cancel_burst": [], "thin_book": [], "baseline": list(map(alarm, baseline))}
    for its in alarms:
        name, seconds = its if isinstance(its, tuple) else ("cancel_burst", its)
        by_detector[name].append(alarm(seconds))
    return Outcome(
        trial=Trial("mixed" if truths else "calm", 1),
        began_ns=BEGAN,
        ended_ns=at(3_600),
        symbols=list(symbols),
        truths=list(truths),
        incidents=[],
        alarms=by_detector,
        scored_bars={},
    )


def alarm(seconds, **changes):
    return msgspec.structs.replace(Alarm("A", at(seconds)), **changes)


def ran(mixed, calm=None, recording="one", **changes):
    made = Ran(recording, 1, calm or outcome(), {}, mixed)
    return msgspec.structs.replace(made, **changes)


def found(*runs, watcher=INCIDENTS, kind=ALL, recording="one"):
    (row,) = (
        row
        for row in results(runs).found
        if (row.watcher, row.kind, row.recording) == (watcher, kind, recording)
    )
    return row


def false(part, *runs, watcher=INCIDENTS, recording="one"):
    (row,) = (
        row
        for row in results(runs).false
        if (row.part, row.watcher, row.recording) == (part, watcher, recording)
    )
    return row


def test_an_episode_is_found_by_an_alarm_from_its_start_until_shortly_after_its_end():
    for seconds, finds in ((1_200, 0), (1_201, 1), (1_290, 1), (1_291, 0)):
        row = found(ran(outcome([seconds], [truth("layering", 1_200, 1_260)])))
        assert (row.episodes, row.found) == (1, finds), seconds


def test_an_incident_that_was_open_before_an_episode_needs_another_alarm_in_it():
    episode = [truth("layering", 1_200, 1_260)]
    assert found(ran(outcome([1_190, 1_199], episode))).found == 0
    row = found(ran(outcome([1_190, 1_199, 1_210], episode)))
    assert (row.found, row.delay_median_seconds) == (1, 10.0)


def test_a_suppressed_alarm_finds_nothing_and_is_not_false():
    made = outcome([], [truth("layering", 1_200, 1_260)])
    made.alarms["thin_book"] = [alarm(1_210, effective=False), alarm(2_000, effective=False)]
    assert found(ran(made)).found == 0
    assert false(BETWEEN, ran(made)).incidents == 0


def test_an_alarm_of_another_symbol_finds_nothing():
    made = outcome([1_210], [truth("layering", 1_200, 1_260, "B")], symbols=("A", "B"))
    assert found(ran(made)).found == 0


def test_an_alarm_that_the_untouched_recording_has_too_finds_nothing():
    episode = [truth("layering", 1_200, 1_260)]
    assert found(ran(outcome([1_210], episode), outcome([1_205]))).found == 0
    assert found(ran(outcome([1_210], episode), outcome([1_100]))).found == 1


def test_found_episodes_are_counted_per_kind_detector_and_recording():
    first = ran(
        outcome(
            [1_210, ("thin_book", 1_204), ("thin_book", 2_030)],
            [truth("layering", 1_200, 1_260), truth("spoofing", 2_000, 2_060)],
            baseline=[1_250],
        )
    )
    second = ran(outcome([], [truth("layering", 1_200, 1_260)]), recording="two")
    assert found(first, second, kind="layering", recording=ALL).recall.value == 0.5
    assert found(first, second, recording=ALL).episodes == 3
    row = found(first, second)
    assert row.detectors == {"thin_book": 2, "cancel_burst": 1}
    assert row.delay_median_seconds == 17.0
    assert row.delay_p90_seconds == pytest.approx(27.4)
    assert found(first, kind="layering", watcher="baseline").delay_median_seconds == 50.0
    assert found(first, second, recording="two").delay_median_seconds is None


def test_alarms_between_episodes_are_false_once_an_incident():
    episode = [truth("layering", 1_200, 1_260)]
    made = outcome([1_250, 1_295, 1_340, 2_000, 2_030, 3_000], episode)
    row = false(BETWEEN, ran(made))
    assert row.incidents == 2, "what goes on after an episode opens nothing"
    assert row.symbol_days == pytest.approx((3_600 - 300 - 90) / 86_400)
    assert row.detectors == {"cancel_burst": 2}


def test_alarms_during_the_warm_up_are_not_false():
    assert false(BETWEEN, ran(outcome([200], [truth("layering", 1_200, 1_260)]))).incidents == 0


def test_alarms_that_the_untouched_recording_has_too_are_not_false_twice():
    episode = [truth("layering", 1_200, 1_260)]
    runs = [
        ran(outcome([2_004, 3_000], episode), outcome([2_000])),
        Ran("one", None, outcome([2_000]), {}),
    ]
    counts = {part: false(part, *runs).incidents for part in (UNTOUCHED, DRAWN, BETWEEN, KNOWN)}
    assert counts == {UNTOUCHED: 1, DRAWN: 1, BETWEEN: 1, KNOWN: 1}
    days = {part: false(part, *runs).symbol_days for part in (UNTOUCHED, BETWEEN)}
    assert days[UNTOUCHED] == pytest.approx(3_300 / 86_400)
    assert days[BETWEEN] < days[UNTOUCHED]


def test_the_interval_of_a_rate_is_exact():
    assert poisson(0, 0.0) is None
    rate = poisson(10, 2.0)
    # Garwood's table: 4.795 to 18.390 for ten events.
    assert (rate.low, rate.value, rate.high) == pytest.approx((2.3977, 5.0, 9.1952), abs=1e-3)


def test_the_drift_of_a_threshold_is_its_ratio_at_the_end():
    made = ran(
        outcome([], [truth("layering", 1_200, 1_260)]),
        calm_thresholds={"A": {"spread": 8.0, "shallow_side": 4.0, "cancels": 0.0}},
        mixed_thresholds={"A": {"spread": 12.0, "cancels": 9.0}, "B": {"shallow_side": 1.0}},
    )
    (row,) = results([made]).drift
    assert (row.symbol, row.statistic, row.ratio) == ("A", "spread", 1.5)


def card(runs):
    return Scorecard(
        command="foreshock scorecard",
        version="0",
        purpose="tuning",
        false_alarms_per_day=1.0,
        trials=1,
        seconds=1.0,
        found=[],
        false_alarms=[],
        sessions=results(runs),
    )


def test_the_tables_come_first_in_markdown_and_html():
    episode = [truth("layering", 1_200, 1_260)]
    made = card([ran(outcome([1_210], episode)), Ran("one", None, outcome([2_000]), {})])
    text = to_markdown(made)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[:3] == [
        "# Scorecard",
        "## On recorded flow: found",
        "## On recorded flow: false alarms",
    ]
    assert "| one | layering | 1 | 1 | 100% (21% to 100%) | 10 s | 10 s | cancel_burst 1 |" in text
    assert "| one | untouched | 0.04 | 1 | 26.18 (0.66 to 145.88) | cancel_burst 1 |" in text
    assert "| layering | 1 of 1 | 0 of 1 |" in text
    page = to_html(made)
    assert "<td>layering</td><td>1</td><td>1</td>" in page
    assert "plot-0" not in page


def test_tables_without_rows_are_left_out():
    assert sessions_report.tables(results([])) == []


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Half an hour of one calm symbol."""
    return calm(tmp_path_factory.mktemp("source"), seed=3, seconds=2_000.0)


def test_events_in_memory_give_what_files_give(source):
    by_files, in_memory = outcome(), outcome()
    watch(source, by_files)
    task = watch_events(list(recorded_events(source)), in_memory)
    assert in_memory == by_files
    assert in_memory.scored_bars
    assert sorted(task.monitors) == ["BTC-PERP"]


def test_a_session_gives_the_same_result_again(source):
    wanted = sessions.Session(
        "one", str(source), 1, 15, ("pulled_book", "leverage_jump"), 1.0, False
    )
    first = sessions.run(wanted)
    load.cache_clear()
    assert sessions.run(wanted) == first
    assert len(first.mixed.truths) == 3
    assert first.calm_thresholds.keys() == {"BTC-PERP"}
    of_statistics = first.calm_thresholds["BTC-PERP"]
    assert of_statistics.keys() == {name for its in CATALOGUE for name in its.statistics}
    assert min(of_statistics.values()) > 0.0
    untouched = sessions.run(msgspec.structs.replace(wanted, seed=None))
    assert untouched.mixed is None
    assert untouched.calm.scored_bars


def test_the_command_measures_every_recording(source, tmp_path):
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    other = tmp_path / source.name
    other.symlink_to(source)
    done = subprocess.run(
        [sys.executable, "-m", "service", "scorecard", "--recorded", source, other,
         "--out", tmp_path / "out", "--scenarios", "pulled_book,cascade", "--seeds", "1",
         "--episodes", "2", "--no-baselines", "--jobs", "1"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "out" / "scorecard.json").read_bytes())
    rows = {(row["recording"], row["kind"]): row for row in made["sessions"]["found"]}
    assert rows["all", "all"]["episodes"] == 4
    assert rows["all", "pulled_book"]["episodes"] == 4
    assert (
        rows[source.name, "all"]["episodes"] == rows[f"{source.name} (2)", "all"]["episodes"] == 2
    )
    parts = {row["part"] for row in made["sessions"]["false"]}
    assert parts == {UNTOUCHED, DRAWN, BETWEEN, KNOWN}
    assert "--episodes 2" in made["command"]
    assert (tmp_path / "out" / "scorecard.md").read_text().count("## On recorded flow") == 3
    assert before == {path.name: path.read_bytes() for path in source.iterdir()}


def test_one_episode_a_run_takes_one_recording(source, tmp_path):
    refused = subprocess.run(
        [sys.executable, "-m", "service", "scorecard", "--recorded", source, source,
         "--one-episode", "--out", tmp_path],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert refused.returncode != 0
    assert "--one-episode: name one directory" in " ".join(refused.stderr.split())


def test_kinds_that_cannot_be_injected_are_refused(source, tmp_path):
    with pytest.raises(OperatorError, match=r"choose from cancel_burst.*leverage_jump"):
        sessions_scorecard(
            tmp_path,
            [source],
            kinds=["surge"],
            purpose="tuning",
            seeds=1,
            episodes=1,
            false_alarms_per_day=1.0,
            baselines=False,
            jobs=1,
        )


def test_a_bad_line_is_told_in_the_words_of_replay(source, tmp_path):
    for path in source.glob("*.ndjson"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lines = (tmp_path / "orders.ndjson").read_bytes().splitlines()
    lines[6] = (
        b'{"ts_event":1767225600097988553,"symbol":"A","order_id":"1","side":"buy","price":-5,"quantity":1}'
    )
    (tmp_path / "orders.ndjson").write_bytes(b"\n".join(lines))
    # The decoder of replay tells why it rejects a line.
    (rejection,) = Decoder("orders", {}, "ns", 1 << 20).decode([lines[6]], [2**42]).rejections
    with pytest.raises(OperatorError) as error:
        load(str(tmp_path))
    words = "line 7 (without blank lines) is not an event of orders: "
    assert words + rejection.detail in str(error.value)
