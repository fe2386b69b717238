"""Transport delays of records: growing delays and clock skew.

The delay of a record is its timestamp in the log minus its event time. Both are in the log, so a
replay gives the same delays. The delay of a stream in a bar is the delay of the fastest record,
which single late records do not change.
"""

from msgspec import Struct

NOT_LIVE_SECONDS = 3_600.0
"""The absolute delay above which records count as a playback: their delay is ignored."""

LEARNED_BARS = 60
"""The number of bars after which the usual delay is known."""

LASTING_BARS = 5
"""The number of consecutive bars with records after which a delay or a skew counts."""

NEW_BASELINE_BARS = 1_800
"""The number of bars after which a lasting delay becomes the usual delay."""

MEMORY_BARS = 300.0
DEVIATIONS = 8.0


class Transport(Struct):
    """The delay baseline of one stream; part of a snapshot.

    The ``usual`` delay, its mean absolute ``deviation`` and the ``last`` delay are in seconds.
    """

    usual: float = 0.0
    deviation: float = 0.0
    bars: int = 0
    late_bars: int = 0
    skewed_bars: int = 0
    last: float = 0.0

    @property
    def known(self) -> bool:
        """Whether a delay has been learned."""
        return self.bars > 0

    @property
    def late(self) -> bool:
        """Whether the delay has been above the usual delay for `LASTING_BARS` bars."""
        return self.late_bars >= LASTING_BARS

    @property
    def skewed(self) -> bool:
        """Whether records have had log times before their event times for `LASTING_BARS` bars."""
        return self.skewed_bars >= LASTING_BARS

    def close_bar(self, delay: float, rise_seconds: float, skew_seconds: float) -> None:
        """Process the delay of a bar.

        Parameters
        ----------
        delay
            The delay of the bar's fastest record, in seconds.
        rise_seconds
            The rise above the usual delay from which a delay is late. The rise must also exceed
            `DEVIATIONS` mean absolute deviations.
        skew_seconds
            The time by which a log time before the event time shows a wrong clock.
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
