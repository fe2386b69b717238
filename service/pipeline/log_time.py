"""Limits how far a record moves the time of its topic: no further than the log itself justifies.

An event happens before Kafka stores it. If an event is dated after the timestamp of its own record
in the log, its time or a clock is wrong. The event is accepted, but it moves the time of its topic
less the further ahead it is dated: an event dated some time after the timestamp moves it to the
same time before the timestamp. A venue whose clock is ahead by some milliseconds loses that much. A
record dated a minute ahead moves nothing.

A timestamp that the broker set (``LogAppendTime``) is trusted. A timestamp that the producer set
(``CreateTime``) may be as wrong as the event. It counts as far as ``WITNESSES`` records in a row
justify it. All this depends on the log alone: after a restart, the decisions are the same.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]

BY_BROKER = 1
"""The type of a timestamp that the broker gave, ``LogAppendTime``."""

WITNESSES = 4
"""The number of records in a row, by the clocks of their producers, that justify a time."""

SLACK_NS = 1_000_000_000
"""How far the timestamp of one record may be ahead of the time that the witnesses justify."""

_MILLISECOND_NS = 1_000_000
_DAY_MS = 86_400_000


def log_time_ns(timestamp_ms: int) -> int:
    """Return the last nanosecond of a record's millisecond: an event within it is not ahead.

    >>> log_time_ns(5)
    5999999
    """
    return timestamp_ms * _MILLISECOND_NS + _MILLISECOND_NS - 1


def usable_ms(timestamp_ms: int, now_ns: int) -> int:
    """Return a record's timestamp; the clock if it is missing or a day or more after the clock.

    Brokers before Kafka 3.6 accept any timestamp from a producer. A timestamp of another century
    would make an event wait until then.

    >>> usable_ms(-1, 7_000_000), usable_ms(5, 7_000_000), usable_ms(10**12, 7_000_000)
    (7, 5, 7)
    """
    now_ms = now_ns // _MILLISECOND_NS
    return timestamp_ms if 0 < timestamp_ms < now_ms + _DAY_MS else now_ms


class LogTime:
    """The log timestamps of one topic, as far as several records agree on them.

    ``evidence`` is the complete state: the time that the witnesses justify, and the last
    timestamps, in nanoseconds. A topic that is read from some position starts with the evidence of
    that position.
    """

    __slots__ = ("evidence",)

    def __init__(self, evidence: tuple[int, ...] = ()) -> None:
        self.evidence = evidence

    def note(self, arrived_ms: Sequence[int], *, by_broker: bool) -> tuple[Times, Times]:
        """Take the timestamps of the next records.

        Returns two times for each record, in nanoseconds: its own, and the one that is justified.
        Both are equal if the broker set the timestamps.
        """
        own = np.array(arrived_ms, dtype=np.int64) * _MILLISECOND_NS + (_MILLISECOND_NS - 1)
        shown, *before = self.evidence or (int(own[0]),)
        recent = np.concatenate((np.array(before, dtype=np.int64), own))
        # The lowest timestamp of each run of witnesses, for the runs that end at these records.
        lowest = np.full(len(own), shown, dtype=np.int64)
        if (whole := len(recent) - WITNESSES + 1) > 0:
            runs = np.lib.stride_tricks.sliding_window_view(recent, WITNESSES).min(axis=1)
            count = min(whole, len(own))
            lowest[-count:] = runs[-count:]
        confirmed = np.maximum.accumulate(np.maximum(lowest, shown))
        self.evidence = (int(confirmed[-1]), *recent[1 - WITNESSES :].tolist())
        return own, own if by_broker else np.minimum(own, confirmed + SLACK_NS)


def moved_to(times: Times, justified: Times) -> Times:
    """Return the times to which events move the time of their topic, given the justified times.

    >>> moved_to(np.array([3, 9]), np.array([5, 5])).tolist()
    [3, 1]
    """
    moved: Times = np.minimum(times, 2 * justified - times)
    return moved
