"""Symbols that share columns: each is judged as if it were alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.catalogue import CATALOGUE
from detectors.closing import Columns
from detectors.counts import Counts
from detectors.market_data.running_median import RunningMedians
from detectors.parameters import Parameters
from detectors.state import capture, revive
from detectors.symbol import SymbolMonitor
from detectors.table import RowNumbers, Writes
from tests.pipeline.events import BEGIN, SECOND, market

PARAMETERS = Parameters(warmup_bars=60, false_alarms_per_day=5_000.0)
SECONDS = 260
NAMES = ("AAA", "BBB", "CCC")
EVENTS = [
    [event for event in market(3, SECONDS, symbols=NAMES) if event.symbol == name] for name in NAMES
]


def new(name, columns=None):
    return SymbolMonitor(name, PARAMETERS, CATALOGUE, Counts(), columns)


def close(monitors, columns, bar_end):
    """Close a bar of several monitors at once; return their signals and alerts."""
    ended = [its.end_bar(bar_end) for its in monitors]
    summed = columns.sum_up(ended)
    closings = [
        its.measure(end, sums) for its, end, sums in zip(monitors, ended, summed, strict=True)
    ]
    verdicts = columns.judge(closings)
    return [
        its.conclude(closing, verdict)
        for its, closing, verdict in zip(monitors, closings, verdicts, strict=True)
    ]


def bars(events):
    """Yield the ends of the bars with events, and the events."""
    for second in range(SECONDS + 1):
        begin = BEGIN + second * SECOND
        its = [event for event in events if begin <= event.ts_event < begin + SECOND]
        if its:
            yield begin + SECOND, its


def alone(name, events, columns=None):
    """Return the signals and alerts of one symbol."""
    monitor = new(name, columns)
    results = []
    for bar_end, its in bars(events):
        for event in its:
            monitor.apply(event)
        results.append(monitor.close_bar(bar_end))
    return monitor, results


@pytest.fixture(scope="module")
def expected():
    return {n: alone(n, its)[1] for n, its in zip(NAMES, EVENTS, strict=True)}


def test_some_are_judged_and_some_alarm(expected):
    readings = [r for its in expected.values() for s, _ in its for r in s.detectors.values()]
    assert any(reading.p_value is not None for reading in readings)
    assert any(reading.alarm for reading in readings)


@pytest.mark.parametrize("restored", [False, True])
def test_symbols_that_share_columns_get_the_results_that_each_gets_alone(expected, restored):
    columns = Columns(PARAMETERS, CATALOGUE)
    monitors = {name: new(name, columns) for name in NAMES}
    results = {name: [] for name in NAMES}
    for number, (bar_end, its) in enumerate(bars([e for of_one in EVENTS for e in of_one])):
        for event in its:
            monitors[event.symbol].apply(event)
        present = list(dict.fromkeys(event.symbol for event in its))
        closed = close([monitors[name] for name in present], columns, bar_end)
        for name, result in zip(present, closed, strict=True):
            results[name].append(result)
        if restored and number % 50 == 0:
            name = NAMES[number % 3]
            state = capture(monitors[name], None)
            monitors[name].release()
            monitors[name] = revive(name, state, PARAMETERS, CATALOGUE, Counts(), columns)
    assert results == expected


def test_a_symbol_in_the_row_of_another_begins_anew(expected):
    columns = Columns(PARAMETERS, CATALOGUE)
    first, _ = alone("AAA", EVENTS[0], columns)
    row = first.row
    first.release()
    second, results = alone("BBB", EVENTS[1], columns)
    assert second.row == row
    assert results == expected["BBB"]


@given(st.lists(st.booleans(), max_size=200))
def test_no_row_is_given_to_two_at_once_and_free_rows_are_used_first(steps):
    numbers, taken = RowNumbers(), []
    most = 0
    for takes in steps:
        if takes or not taken:
            row = numbers.take()
            assert row not in taken
            assert 0 <= row < numbers.capacity
            taken.append(row)
        else:
            numbers.give_back(taken.pop(0))
        most = max(most, len(taken))
        assert numbers.capacity <= most + max(1, most // 4)


@given(
    st.lists(st.tuples(st.floats(0.0, 1e6), st.floats(0.0, 1e6)), min_size=1, max_size=800),
)
@settings(max_examples=30, deadline=None)
def test_a_running_median_is_the_median_of_the_last_samples_at_every_thirtieth(samples):
    medians = RunningMedians()
    medians.resize(2)
    kept, values = ([], []), [0.0, 0.0]
    for pair in samples:
        with Writes() as writes:
            learned = medians.learn_many(np.array([0, 1]), np.array(pair), writes)
        for row, sample in enumerate(pair):
            if sample <= 0.0:
                continue
            kept[row].append(sample)
            if len(kept[row]) <= 30 or len(kept[row]) % 30 == 0:
                last = sorted(kept[row][-360:])
                values[row] = last[len(last) // 2]
        assert medians.value.tolist() == learned.tolist() == values
