"""Priors for a new symbol, learned from its peers, so that it is judged after minutes.

Features are dimensionless. How much they vary, and how long the tail of a score is, is therefore
much the same for all symbols of a venue. Each symbol that has been watched for long enough records
a prior at its first bar of every hour. A symbol that is admitted starts from the median of the
priors that were recorded in earlier hours (a hyperprior with few parameters: Gelman et al.,
Bayesian Data Analysis, 2013, section 5.1). Event time alone decides which priors those are, so a
service that is restored from snapshots uses the same ones.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from msgspec import Struct

from detectors.judging.calibration import Tail

HOUR_NS = 3_600_000_000_000
MIN_PEERS = 3
"""Fewer symbols may all be unusual."""
MAX_PEERS = 100
"""More symbols add nothing; the first by name are used."""
HOURS_KEPT = 3
"""A snapshot may be an hour ahead of a symbol that is admitted, so several hours are kept."""


class PeerPrior(Struct, frozen=True):
    """What one symbol has learned for one detector.

    ``squares`` are the mean squared deviations of its features, ``tail`` is the tail of its scores.
    """

    squares: dict[str, float]
    tail: Tail


PeerPriors = Mapping[str, PeerPrior]
"""A prior for each detector that has one, by the detector's name."""

HourlyPriors = list[tuple[int, dict[str, PeerPrior]]]
"""The hours in which a symbol recorded priors, ascending, and the priors."""


def priors_from_peers(recorded: Mapping[str, HourlyPriors], hour: int) -> dict[str, PeerPrior]:
    """The priors of a symbol that is admitted in ``hour``, pooled from those of its peers.

    ``recorded`` is by symbol. ``hour`` is counted from the epoch. A detector for which too few
    peers have a prior is left out.
    """
    latest = [
        earlier[-1]
        for _, hourly in sorted(recorded.items())
        if (earlier := [priors for at, priors in hourly if at < hour])
    ][:MAX_PEERS]
    return pool_by_detector(latest)


def pool_by_detector(by_symbol: Sequence[PeerPriors]) -> dict[str, PeerPrior]:
    """The priors of several symbols, pooled for each detector that enough of them have."""
    names = dict.fromkeys(name for priors in by_symbol for name in priors)
    by_detector = {name: [priors[name] for priors in by_symbol if name in priors] for name in names}
    return {name: pool(priors) for name, priors in by_detector.items() if len(priors) >= MIN_PEERS}


def pool(priors: Sequence[PeerPrior]) -> PeerPrior:
    """The median of each number.

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
