"""How long records are under way: a delay that grew, and a clock that runs apart.

The delay of a record is its timestamp in the log less its event time: both are in the log, so a
replay finds the same. Of a stream the fastest record of a bar counts, which no straggler moves.
"""

from msgspec import Struct

NOT_LIVE_SECONDS = 3_600.0
"""Records that far from their events are played back: their delay says nothing."""

LEARNED_BARS = 60
"""The usual delay is known after so many bars."""

LASTING_BARS = 5
"""A delay counts when so many bars with records in a row have it."""

NEW_BASELINE_BARS = 1_800
"""A delay that has lasted for so many bars is the new usual one."""

MEMORY_BARS = 300.0
DEVIATIONS = 8.0


class Transport(Struct):
    """What is usual of the delays of one stream; a snapshot keeps it as it is.

    ``usual``, its mean absolute ``deviation`` and the ``last`` are in seconds.
    """

    usual: float = 0.0
    deviation: float = 0.0
    bars: int = 0
    late_bars: int = 0
    skewed_bars: int = 0
    last: float = 0.0

    @property
    def known(self) -> bool:
        """Whether there are delays at all."""
        return self.bars > 0

    @property
    def late(self) -> bool:
        """Whether records have been under way for longer than usual for some bars now."""
        return self.late_bars >= LASTING_BARS

    @property
    def skewed(self) -> bool:
        """Whether records have been logged before their events took place for some bars now."""
        return self.skewed_bars >= LASTING_BARS

    def close_bar(self, delay: float, rise_seconds: float, skew_seconds: float) -> None:
        """Take the delay of a bar.

        Parameters
        ----------
        delay
            Of the bar's fastest record, in seconds.
        rise_seconds
            More than so much above the usual is late, if it is out of the ordinary as well.
        skew_seconds
            A record logged so long before its event is a clock that is wrong.
        """
        if abs(delay) > NOT_LIVE_SECONDS:
            self.bars = self.late_bars = self.skewed_bars = 0
            return
        self.skewed_bars = self.skewed_bars + 1 if delay < -skew_seconds else 0
        self.last = delay
        limit = self.usual + max(rise_seconds, DEVIATIONS * self.deviation)
        if self.bars >= LEARNED_BARS and delay > limit:
            self.late_bars += 1
            if self.late_bars < NEW_BASELINE_BARS:
                return
            self.bars = 0
        self.late_bars = 0
        if self.bars == 0:
            self.usual, self.deviation = delay, 0.0
        self.bars += 1
        weight = max(1.0 / self.bars, 1.0 / MEMORY_BARS)
        self.deviation += weight * (abs(delay - self.usual) - self.deviation)
        self.usual += weight * (delay - self.usual)
