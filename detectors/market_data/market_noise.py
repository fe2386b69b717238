"""How much the price, the depth and the spread of a symbol fluctuate in ordinary bars."""

import math

from msgspec import Struct

from detectors.market_data.bar import WIDEST_SPREAD_BPS, Bar

LEARNED_BARS = 60
"""The number of bars from which a fluctuation is clipped."""

CLIP = 5.0
"""The largest fluctuation that is learned, in typical ones: a crash does not teach its noise."""

LEAST_RATIO = 1e-3
"""The smallest share of the usual depth; a smaller share counts as this one."""


class MarketNoiseState(Struct):
    """The learned state of a MarketNoise; part of a snapshot.

    Each is a mean over bars with events. ``price`` is that of the absolute change of the mid within
    the bar, in bps or in ticks. ``depth`` is twice that of the halvings of depth near the touch
    below usual depth, and ``spread`` twice that of the doublings of the spread above the typical
    one. Only one direction counts, because a book may be deeper for hours; with a symmetric noise,
    twice that is its mean absolute value.
    """

    bars: int = 0
    price: float = 0.0
    depth: float = 0.0
    spread: float = 0.0


class MarketNoise:
    """The mean fluctuations of a symbol's market, with exponential forgetting.

    Parameters
    ----------
    bar_seconds
        The length of a bar.
    memory_seconds
        The time over which they forget.
    """

    __slots__ = ("_fading", "state")

    def __init__(self, bar_seconds: float, memory_seconds: float = 1_800.0) -> None:
        self._fading = bar_seconds / memory_seconds
        self.state = MarketNoiseState()

    def learn(self, bar: Bar, tick: float) -> MarketNoiseState:
        """Learn a bar and return the state. ``tick`` is that of a book in ticks, 0 for others."""
        state, opened, closed = self.state, bar.opened, bar.closed
        if opened is None or closed is None:
            return state
        state.bars += 1
        # A plain mean at first: the first bar has no lasting weight.
        weight = max(self._fading, 1.0 / state.bars)
        clip = CLIP if state.bars > LEARNED_BARS else math.inf
        mid = opened.mid
        change = (closed.mid - mid) / (tick or 1e-4 * mid)
        state.price = _mean(state.price, abs(change), weight, clip)
        usual, typical = bar.usual_depth, bar.typical_spread
        if usual > 0.0:
            # As for an effect: a quote that moves leaves a gap at one end of the bar.
            near = max(opened.near_depth, closed.near_depth)
            halvings = -math.log2(max(near / usual, LEAST_RATIO)) if near < usual else 0.0
            state.depth = _mean(state.depth, 2.0 * halvings, weight, clip)
        spread = min(opened.spread_bps, closed.spread_bps)
        if typical > 0.0 and spread < WIDEST_SPREAD_BPS:
            doublings = math.log2(spread / typical) if spread > typical else 0.0
            state.spread = _mean(state.spread, 2.0 * doublings, weight, clip)
        return state


def _mean(mean: float, size: float, weight: float, clip: float) -> float:
    if size > clip * mean > 0.0:
        size = clip * mean
    return mean + weight * (size - mean)
