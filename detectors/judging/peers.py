"""Priors for a new symbol, learned from its peers: it can be judged after minutes.

Features are dimensionless. Their variance, and the tail of the scores, are therefore similar for
all symbols of a venue. Each symbol that has been watched for long enough records a prior at its
first bar of every hour. A newly admitted symbol starts from the median of the priors that were
recorded in earlier hours (a hyperprior with few parameters: Gelman et al., Bayesian Data Analysis,
2013, section 5.1). Event time alone selects these priors, so a service that is restored from
snapshots uses the same ones.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from msgspec import Struct

from detectors.judging.calibration import Tail

HOUR_NS = 3_600_000_000_000
MIN_PEERS = 3
"""The smallest number of peers: fewer symbols may all be unusual."""
MAX_PEERS = 100
"""The largest number of peers, the first by name: more symbols add nothing."""
HOURS_KEPT = 3
"""The number of hours whose priors are kept. A snapshot may be an hour ahead of a symbol that is
admitted, so one hour is not enough."""


class PeerPrior(Struct, frozen=True):
    """The prior that one symbol records for one detector.

    ``squares`` holds the mean squared deviation of each feature. ``tail`` is the tail of the
    scores.
    """

    squares: dict[str, float]
    tail: Tail


PeerPriors = Mapping[str, PeerPrior]
"""Priors by the name of the detector."""

HourlyPriors = list[tuple[int, dict[str, PeerPrior]]]
"""The hours in which a symbol recorded priors, ascending, with these priors by detector."""


def priors_from_peers(recorded: Mapping[str, HourlyPriors], hour: int) -> dict[str, PeerPrior]:
    """Return the priors of a symbol that is admitted in ``hour``, pooled from its peers' priors.

    ``recorded`` is by symbol. ``hour`` is counted from the epoch. The result omits a detector for
    which fewer than `MIN_PEERS` peers have a prior.
    """
    latest = [
        earlier[-1]
        for _, hourly in sorted(recorded.items())
        if (earlier := [priors for at, priors in hourly if at < hour])
    ][:MAX_PEERS]
    return pool_by_detector(latest)


def pool_by_detector(by_symbol: Sequence[PeerPriors]) -> dict[str, PeerPrior]:
    """Pool the priors of several symbols, for each detector with at least `MIN_PEERS` priors."""
    names = dict.fromkeys(name for priors in by_symbol for name in priors)
    by_detector = {name: [priors[name] for priors in by_symbol if name in priors] for name in names}
    return {name: pool(priors) for name, priors in by_detector.items() if len(priors) >= MIN_PEERS}


def pool(priors: Sequence[PeerPrior]) -> PeerPrior:
    """Return the median of each number of the priors.

    >>> tails = [Tail(3.0, 0.002, 0.0, 1.0), Tail(4.0, 0.003, 0.1, 1.0), Tail(9.0, 0.5, 0.2, 7.0)]
    >>> pool([PeerPrior({"spread": float(i)}, tail) for i, tail in enumerate(tails)])
    PeerPrior(squares={'spread': 1.0}, tail=Tail(threshold=4.0, episodes_per_bar=0.003, shape=0.1, scale=1.0))
    """  # noqa: E501 - one line of output
    features = dict.fromkeys(feature for prior in priors for feature in prior.squares)
    squares = {
        feature: median(prior.squares[feature] for prior in priors if feature in prior.squares)
        for feature in features
    }
    tails = zip(*(prior.tail for prior in priors), strict=True)
    return PeerPrior(squares, Tail(*(median(numbers) for numbers in tails)))
