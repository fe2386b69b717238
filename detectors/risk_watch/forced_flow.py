"""What a symbol's own liquidations did to its price, against what ordinary flow predicts."""

import math

from msgspec import Struct

from detectors.market_data.book_summary import BookSummary
from detectors.risk.flow_impact import FACTOR_PRIOR, factor_learned
from detectors.risk.log_normal import LogNormal

QUIET_SECONDS = 10
"""An episode of forced flow ends after this time without any."""

LEAST_SIGMAS = 3.0
"""A smaller predicted move cannot be told from the noise of the price in that time."""


class Episode(Struct):
    """An episode: amounts count against the side that is closed; a sale of longs is positive.

    ``furthest`` is the largest move so far, without what the other flow explains.
    """

    sign: float
    slope: float
    mid: float
    forced: float = 0.0
    other: float = 0.0
    furthest: float = 0.0
    seconds: int = 0
    quiet: int = 0


class ForcedFlow:
    """Learns the factor of forced flow of one symbol.

    The factor is realised over predicted move. The rest of the flow in an episode is taken out of
    the realised move by the ordinary slope.

    Attributes
    ----------
    factor
        What is known of the factor.
    episode
        The episode that is going on.
    """

    __slots__ = ("episode", "factor")

    def __init__(self) -> None:
        self.factor: LogNormal = FACTOR_PRIOR
        self.episode: Episode | None = None

    def add(
        self,
        summary: BookSummary | None,
        before: float,
        now: float,
        slope: float,
        sigma_60s: float,
    ) -> None:
        """Let a second pass.

        Parameters
        ----------
        summary
            Of the bar that ended; None if there was none.
        before, now
            The mid price before and after it; NaN while unknown. The index follows a fall that
            lasts, so the whole move counts.
        slope, sigma_60s
            Of ordinary flow; NaN while unknown.
        """
        sold = summary.forced_sold - summary.forced_bought if summary is not None else 0.0
        episode = self.episode
        if episode is None:
            if sold == 0.0 or not slope > 0.0 or math.isnan(before):
                return
            episode = self.episode = Episode(math.copysign(1.0, sold), slope, before)
        episode.seconds += 1
        episode.quiet = 0 if sold * episode.sign > 0.0 else episode.quiet + 1
        if summary is not None:
            net = summary.sold - summary.bought
            episode.forced += episode.sign * sold
            episode.other += episode.sign * (net - sold)
        moved = episode.sign * math.log(episode.mid / now) - episode.slope * episode.other
        episode.furthest = max(episode.furthest, moved)
        if episode.quiet >= QUIET_SECONDS:
            self.episode = None
            self._learn(episode, sigma_60s)

    def _learn(self, episode: Episode, sigma_60s: float) -> None:
        predicted = episode.slope * episode.forced
        if predicted >= LEAST_SIGMAS * sigma_60s * math.sqrt(episode.seconds / 60.0):
            self.factor = factor_learned(self.factor, predicted, episode.furthest)
