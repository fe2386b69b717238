"""Fundamental values of the contracts: correlated, with changing volatility and jumps."""

from math import exp, sqrt
from random import Random

from service.exchange.venue.contracts import Contract

COMMON_SHARE = 0.6
"""Share of each contract's variance that is common to all contracts (correlation of returns). Large
coins move together, with pairwise correlations of 0.5 to 0.8 since 2018."""

VOLATILITY_SPREAD = 0.35
VOLATILITY_RETURN_SECONDS = 3_600.0
"""Log volatility is an Ornstein-Uhlenbeck process (Scott 1987) with this standard deviation and a
memory of about an hour: volatility clusters (Cont 2001)."""

JUMPS_PER_DAY = 12.0
JUMP_DEVIATIONS = 25.0
"""Jumps (Merton 1976) of this many one-second standard deviations: about 0.2 % for bitcoin, a dozen
times per day."""

FOLLOW_SECONDS = 90.0
RECOVER_SECONDS = 1_200.0
"""Spot follows the perpetual, where price discovery happens (Aleti & Mizrach 2021), within minutes.
Without new fundamental information it returns within tens of minutes."""

BURSTS = ((60.0, 0.4), (8.0, 0.6))
LIVELINESS = 0.7
"""Activity has bursts on several time scales; one memory is not enough (Hardiman, Bercot & Bouchaud
2013). The time constants (seconds) and the deviations of the logarithm give about the dispersion of
a public sample of Nasdaq flow: LOBSTER, AAPL, 2012-06-21, 09:30, where counts in windows of 5, 15
and 60 s have coefficients of variation of 0.8, 0.6 and 0.4 in excess of Poisson. Activity rises
with volatility, nearly in proportion (Karpoff 1987)."""


class Fundamental:
    """One contract's fundamental value.

    Attributes
    ----------
    index
        The price on the outside venues that make up the index.
    worth
        The fundamental value: the outside price if spot did not follow the perpetual.
    volatility
        Current volatility, relative to its average.
    liveliness
        Current activity of all participants, relative to the average.
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
        """Advance by ``seconds``, and let the index follow the contract's premium over it.

        ``common`` is the common factor's standard normal draw, ``scale`` multiplies volatility,
        ``premium`` is the contract's mid price over the index, minus one. Returns the log return by
        which the index followed.
        """
        forget = seconds / VOLATILITY_RETURN_SECONDS
        self._log_volatility += -forget * self._log_volatility + VOLATILITY_SPREAD * sqrt(
            2 * forget
        ) * rng.gauss(0.0, 1.0)
        self.volatility = scale * exp(self._log_volatility)
        self._update_liveliness(rng, seconds)
        shock = sqrt(COMMON_SHARE) * common + sqrt(1 - COMMON_SHARE) * rng.gauss(0.0, 1.0)
        self._log_worth += self._deviation * self.volatility * sqrt(seconds) * shock
        if rng.random() < JUMPS_PER_DAY * seconds / 86_400:
            self._log_worth += self._deviation * JUMP_DEVIATIONS * rng.gauss(0.0, 1.0)
        followed = premium * seconds / FOLLOW_SECONDS
        self._followed += followed - self._followed * seconds / RECOVER_SECONDS
        self.worth = self._start * exp(self._log_worth)
        self.index = self.worth * exp(self._followed)
        return followed

    def _update_liveliness(self, rng: Random, seconds: float) -> None:
        level = 0.0
        for position, (memory, spread) in enumerate(BURSTS):
            forget = min(seconds / memory, 1.0)
            self._bursts[position] += -forget * self._bursts[position] + spread * sqrt(
                2 * forget
            ) * rng.gauss(0.0, 1.0)
            level += self._bursts[position] - spread**2 / 2
        self.liveliness = self.volatility**LIVELINESS * exp(level)
