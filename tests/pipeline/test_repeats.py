"""An event that a producer sends twice counts once, where the sequence numbers show it."""

import pytest

from tests.pipeline.events import SECOND, by_stream, market
from tests.pipeline.test_task import STREAMS, new_task

EVENTS = market(seed=5, seconds=400, symbols=("AAA",))
LEARNED_AFTER = 1_500


def played(events):
    task = new_task()
    for stream, log in by_stream(events).items():
        task.feed(stream, log, first_offset=0, next_offset=len(log))
    for stream in STREAMS:
        task.aligner.set_idle(stream)
    output = task.advance()
    return task, output


@pytest.fixture(scope="module")
def once():
    return played(EVENTS)[1]


@pytest.mark.parametrize("later_seconds", [0, 3])
def test_a_repeat_changes_nothing_and_is_counted(once, later_seconds):
    repeats, sent = 0, []
    waiting = []
    for number, event in enumerate(EVENTS):
        while waiting and waiting[0].ts_event + later_seconds * SECOND <= event.ts_event:
            sent.append(waiting.pop(0))
        sent.append(event)
        if number > LEARNED_AFTER and number % 7 == 0:
            waiting.append(event)
            repeats += 1
    task, output = played([*sent, *waiting])
    assert task.tally.repeated == repeats
    assert output.alerts == once.alerts
    assert output.signals == once.signals


def test_late_events_that_were_missing_are_no_repeats():
    """What comes seconds late fills its gap, also after the gap was declared lost."""
    held = EVENTS[2_000:2_010]
    late = [*EVENTS[:2_000], *EVENTS[2_010:2_100], *held, *EVENTS[2_100:]]
    task, _ = played(late)
    assert task.tally.repeated == 0
    assert task.tally.late == len(held)


def test_a_venue_that_starts_its_numbers_again_loses_nothing():
    again = [
        type(event)(**{**fields(event), "sequence": event.sequence - 2_000})
        for event in EVENTS[2_000:]
    ]
    task, _ = played([*EVENTS[:2_000], *again])
    assert task.tally.repeated == 0


def fields(event):
    return {name: getattr(event, name) for name in event.__struct_fields__}
