"""The typical change of a symbol's mid price from the beginning of a bar to its end."""

from msgspec import Struct

LEARNED_BARS = 60
"""The number of bars from which a change is clipped."""

CLIP = 5.0
"""The largest change that is learned, in typical changes: a crash does not teach its own noise."""


class PriceNoiseState(Struct):
    """The learned state of a PriceNoise; part of a snapshot.

    ``typical`` is the mean absolute change of a bar, in bps of the mid price, or in ticks.
    """

    bars: int = 0
    typical: float = 0.0


class PriceNoise:
    """The mean absolute change of the mid price in a bar with events, with exponential forgetting.

    Parameters
    ----------
    bar_seconds
        The length of a bar.
    memory_seconds
        The time over which it forgets.

    Examples
    --------
    >>> noise = PriceNoise(bar_seconds=1.0)
    >>> for change in (1.0, -1.0, 4.0):
    ...     noise.learn(change)
    >>> noise.state.typical
    2.0
    """

    __slots__ = ("_fading", "state")

    def __init__(self, bar_seconds: float, memory_seconds: float = 1_800.0) -> None:
        self._fading = bar_seconds / memory_seconds
        self.state = PriceNoiseState()

    def learn(self, change: float) -> None:
        """Learn the change of a bar, in bps of the mid price, or in ticks."""
        state = self.state
        size = abs(change)
        state.bars += 1
        if state.bars > LEARNED_BARS and state.typical > 0.0:
            size = min(size, CLIP * state.typical)
        # A plain mean at first: the first bar has no lasting weight.
        state.typical += max(self._fading, 1.0 / state.bars) * (size - state.typical)
