"""How far a record may move the time of its topic: no further than the log itself justifies.

An event happens before Kafka has it. So an event that is dated after its record's own timestamp in
the log is wrong about the time, or a clock is. It is taken, and moves the topic's time less the
further ahead it is dated: to as much before the timestamp as it is dated after it. A venue whose
clock is ahead by some milliseconds loses that much; a record dated a minute ahead moves nothing.

A timestamp that the broker gave (``LogAppendTime``) is trusted. One that the producer gave
(``CreateTime``) may be as wrong as the event: it counts as far as ``WITNESSES`` records in a row
justify it. All this follows from the log alone: a restart decides the same.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]

WITNESSES = 4
"""So many records in a row, by their producers' clocks, show that time has come so far."""

SLACK_NS = 1_000_000_000
"""How far one record's timestamp may be ahead of what the witnesses show."""

_MILLISECOND_NS = 1_000_000
_DAY_MS = 86_400_000


def log_time_ns(timestamp_ms: int) -> int:
    """The last nanosecond of a record's millisecond: an event in it is not ahead.

    >>> log_time_ns(5)
    5999999
    """
    return timestamp_ms * _MILLISECOND_NS + _MILLISECOND_NS - 1


def usable_ms(timestamp_ms: int, now_ns: int) -> int:
    """A record's timestamp; the clock's where it has none, or one of a day after the clock or more.

    Brokers before Kafka 3.6 take any timestamp from a producer. One of another century would keep
    an event waiting until then.

    >>> usable_ms(-1, 7_000_000), usable_ms(5, 7_000_000), usable_ms(10**12, 7_000_000)
    (7, 5, 7)
    """
    now_ms = now_ns // _MILLISECOND_NS
    return timestamp_ms if 0 < timestamp_ms < now_ms + _DAY_MS else now_ms


class LogTime:
    """The log timestamps of one topic, as far as several records agree on them.

    ``evidence`` is all there is to it: what the witnesses show, and the last timestamps, in
    nanoseconds. A topic that is read on from somewhere begins with the evidence of that place.
    """

    __slots__ = ("evidence",)

    def __init__(self, evidence: tuple[int, ...] = ()) -> None:
        self.evidence = evidence

    def note(self, arrived_ms: Sequence[int], *, by_broker: bool) -> tuple[Times, Times]:
        """Take the timestamps of the next records.

        Returns for each the time that it shows by itself, and the time that is justified, in
        nanoseconds. Both are the same where the broker gave the timestamps.
        """
        own = np.array(arrived_ms, dtype=np.int64) * _MILLISECOND_NS + (_MILLISECOND_NS - 1)
        shown, *before = self.evidence or (int(own[0]),)
        recent = np.concatenate((np.array(before, dtype=np.int64), own))
        # The lowest of each run of witnesses, for the runs that end at these records.
        lowest = np.full(len(own), shown, dtype=np.int64)
        if (whole := len(recent) - WITNESSES + 1) > 0:
            runs = np.lib.stride_tricks.sliding_window_view(recent, WITNESSES).min(axis=1)
            count = min(whole, len(own))
            lowest[-count:] = runs[-count:]
        confirmed = np.maximum.accumulate(np.maximum(lowest, shown))
        self.evidence = (int(confirmed[-1]), *recent[1 - WITNESSES :].tolist())
        return own, own if by_broker else np.minimum(own, confirmed + SLACK_NS)


def moved_to(times: Times, justified: Times) -> Times:
    """The times to which events move their topic's time, given the log times that are justified.

    >>> moved_to(np.array([3, 9]), np.array([5, 5])).tolist()
    [3, 1]
    """
    moved: Times = np.minimum(times, 2 * justified - times)
    return moved
