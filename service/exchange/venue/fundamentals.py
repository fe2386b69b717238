"""What contracts are worth outside the venue: correlated, with changing volatility and jumps."""

from math import exp, sqrt
from random import Random

from service.exchange.venue.contracts import Contract

COMMON_SHARE = 0.6
"""Share of each contract's variance that is common to all (correlation of returns): the large coins
move together, with pairwise correlations of 0.5 to 0.8 in the years since 2018."""

VOLATILITY_SPREAD = 0.35
VOLATILITY_RETURN_SECONDS = 3_600.0
"""Log volatility is an Ornstein-Uhlenbeck process (Scott 1987) with this standard deviation, which
forgets within about an hour: volatility clusters (Cont 2001)."""

JUMPS_PER_DAY = 12.0
JUMP_DEVIATIONS = 25.0
"""Jumps (Merton 1976) of this many one-second standard deviations: about 0.2 % for bitcoin, a dozen
times a day."""

FOLLOW_SECONDS = 90.0
RECOVER_SECONDS = 1_200.0
"""Spot follows the perpetual, where prices are made first (Aleti & Mizrach 2021), within minutes;
without a reason of its own it returns within tens of minutes."""

BURSTS = ((60.0, 0.4), (8.0, 0.6))
LIVELINESS = 0.7
"""Activity comes in bursts on several scales, one memory being not enough (Hardiman, Bercot &
Bouchaud 2013): time constants in seconds, and deviations of its logarithm, that give about the
dispersion of a public sample of Nasdaq flow (LOBSTER, AAPL, 2012-06-21, 09:30: counts in windows
of 5, 15 and 60 s have coefficients of variation of 0.8, 0.6 and 0.4 beyond the Poisson one). It
rises with volatility, nearly in proportion (Karpoff 1987)."""


class Fundamental:
    """One contract's worth.

    Attributes
    ----------
    index
        The price on the outside venues that the index is made of.
    worth
        Where that price would be if spot did not follow the perpetual.
    volatility
        What volatility is now, relative to its average.
    liveliness
        How much is going on now, relative to the average: everybody acts so much more often.
    """

    def __init__(self, contract: Contract) -> None:
        self._deviation = contract.deviation
        self.volatility = self.liveliness = 1.0
        self.index = self.worth = contract.price
        self._log_worth = 0.0
        self._log_volatility = 0.0
        self._followed = 0.0
        self._bursts = [0.0] * len(BURSTS)
        self._start = contract.price

    def advance(
        self, rng: Random, common: float, seconds: float, scale: float, premium: float
    ) -> float:
        """Move on by ``seconds``, and let the index follow the contract's premium over it.

        ``common`` is the common factor's standard normal draw, ``scale`` multiplies volatility,
        ``premium`` is the contract's middle price over the index, less one. Returns how much the
        index followed, as a log return.
        """
        forget = seconds / VOLATILITY_RETURN_SECONDS
        self._log_volatility += -forget * self._log_volatility + VOLATILITY_SPREAD * sqrt(
            2 * forget
        ) * rng.gauss(0.0, 1.0)
        self.volatility = scale * exp(self._log_volatility)
        self._enliven(rng, seconds)
        shock = sqrt(COMMON_SHARE) * common + sqrt(1 - COMMON_SHARE) * rng.gauss(0.0, 1.0)
        self._log_worth += self._deviation * self.volatility * sqrt(seconds) * shock
        if rng.random() < JUMPS_PER_DAY * seconds / 86_400:
            self._log_worth += self._deviation * JUMP_DEVIATIONS * rng.gauss(0.0, 1.0)
        followed = premium * seconds / FOLLOW_SECONDS
        self._followed += followed - self._followed * seconds / RECOVER_SECONDS
        self.worth = self._start * exp(self._log_worth)
        self.index = self.worth * exp(self._followed)
        return followed

    def _enliven(self, rng: Random, seconds: float) -> None:
        level = 0.0
        for position, (memory, spread) in enumerate(BURSTS):
            forget = min(seconds / memory, 1.0)
            self._bursts[position] += -forget * self._bursts[position] + spread * sqrt(
                2 * forget
            ) * rng.gauss(0.0, 1.0)
            level += self._bursts[position] - spread**2 / 2
        self.liveliness = self.volatility**LIVELINESS * exp(level)
