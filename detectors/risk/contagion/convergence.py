"""Whether two symbols move together more in stress than fat tails make any two."""

import math
from typing import NamedTuple

import numpy as np

from detectors.risk.contagion.stress_beta import TAIL_SHARE
from detectors.table import Flags, Floats

DRAWS = 1000

_LEAST = 5
_FREEDOMS = (2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0, 50.0)
_STEPS = 30


class StudentT(NamedTuple):
    """A bivariate Student-t distribution: its correlation and its degrees of freedom."""

    correlation: float
    freedom: float


class Convergence(NamedTuple):
    """The correlation of joint large falls, against that of the fitted distribution.

    Attributes
    ----------
    observed
        The exceedance correlation; NaN with fewer than five joint exceedances.
    expected
        The median of the drawn ones.
    excess
        ``observed - expected``: only this is convergence in stress.
    p_value
        The share of draws with at least the observed correlation; NaN as ``observed``.
    fitted
        The distribution that was drawn from.
    """

    observed: float
    expected: float
    excess: float
    p_value: float
    fitted: StudentT


def exceedance_correlation(x: Floats, y: Floats, tail_share: float = TAIL_SHARE) -> float:
    """Return the correlation of those pairs in which both are below their own quantile.

    For rises pass the negative returns.

    Returns
    -------
    From -1 to 1; NaN with fewer than five such pairs or without variance.

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> falls = np.array([-9.0, -8.0, -7.0, -6.0, -5.0])
    >>> x, y = np.concatenate((falls, np.arange(5.0))), np.concatenate((2.0 * falls, np.ones(5)))
    >>> round(exceedance_correlation(x, y, tail_share=0.5), 6)
    1.0
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} returns: each minute needs both")
    both = _tails(x[np.newaxis], tail_share)[0] & _tails(y[np.newaxis], tail_share)[0]
    return float(_correlations(x[np.newaxis], y[np.newaxis], both[np.newaxis])[0])


def _tails(values: Floats, tail_share: float) -> Flags:
    """Return which values of each row are among its lowest."""
    count = max(1, int(tail_share * values.shape[1]))
    limit = np.partition(values, count - 1, axis=1)[:, count - 1 : count]
    lowest: Flags = values <= limit
    return lowest


def _correlations(x: Floats, y: Floats, chosen: Flags) -> Floats:
    """Return the correlation of the chosen pairs of each row."""
    count = chosen.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(chosen, x - ((x * chosen).sum(axis=1) / count)[:, np.newaxis], 0.0)
        y = np.where(chosen, y - ((y * chosen).sum(axis=1) / count)[:, np.newaxis], 0.0)
        root = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
        found = (x * y).sum(axis=1) / root
    return np.where((count >= _LEAST) & (root > 0.0), found, math.nan)


def fitted_t(x: Floats, y: Floats) -> StudentT:
    """Return the bivariate Student-t distribution, with a mean of 0, that fits best.

    For each of nine degrees of freedom the scale is found by expectation and maximisation; the most
    likely one is taken.

    Examples
    --------
    >>> generator = np.random.default_rng(1)
    >>> common = generator.standard_normal((3, 20_000))
    >>> tail = np.sqrt(4.0 / generator.chisquare(4.0, 20_000))
    >>> found = fitted_t(common[0] * tail, (0.6 * common[0] + 0.8 * common[1]) * tail)
    >>> round(found.correlation, 1), found.freedom
    (0.6, 4.0)

    References
    ----------
    [^1]: [Liu, C. and Rubin, D. B., 1995. ML estimation of the t distribution using EM and its
    extensions, ECM and ECME. Statistica Sinica, 5, pp.19-39.]
    """
    points = np.vstack((x, y))
    spread = np.sqrt((points * points).mean(axis=1))
    if not np.all(spread > 0.0):
        return StudentT(0.0, _FREEDOMS[-1])
    points = points / spread[:, np.newaxis]
    best, fitted = -math.inf, StudentT(0.0, _FREEDOMS[-1])
    for freedom in _FREEDOMS:
        scale = np.cov(points, bias=True)
        for _ in range(_STEPS):
            weight = (freedom + 2.0) / (freedom + _distances(points, scale))
            scale = (weight * points) @ points.T / points.shape[1]
        far = _distances(points, scale)
        likelihood = points.shape[1] * (
            math.lgamma(0.5 * freedom + 1.0) - math.lgamma(0.5 * freedom) - math.log(freedom)
            - 0.5 * math.log(max(float(np.linalg.det(scale)), 1e-300))
        ) - (0.5 * freedom + 1.0) * float(np.log1p(far / freedom).sum())  # fmt: skip
        if likelihood > best:
            correlation = scale[0, 1] / math.sqrt(scale[0, 0] * scale[1, 1])
            best, fitted = likelihood, StudentT(float(correlation), freedom)
    return fitted


def _distances(points: Floats, scale: Floats) -> Floats:
    """Return the squared Mahalanobis distance of each point from 0."""
    (a, b), (_, d) = scale
    determinant = max(a * d - b * b, 1e-12 * a * d)
    first, second = points
    squared: Floats = (d * first**2 - 2.0 * b * first * second + a * second**2) / determinant
    return squared


def convergence(
    x: Floats, y: Floats, seed: int, tail_share: float = TAIL_SHARE, draws: int = DRAWS
) -> Convergence:
    """Return whether two symbols fall together more than a Student-t distribution would.

    A rise of the correlation among large moves is largely a matter of fat tails and of looking at
    large moves. Only what a fitted distribution does not have is convergence.

    Parameters
    ----------
    x, y
        Returns of one minute.
    seed
        Of the draws.
    tail_share
        As for `exceedance_correlation`.
    draws
        How many samples of the same length.

    Examples
    --------
    Independent in calm, the same in their falls:

    >>> generator = np.random.default_rng(2)
    >>> x, y = generator.standard_normal((2, 1000))
    >>> y = np.where(x < -1.5, x, y)
    >>> found = convergence(x, y, seed=1, draws=100)
    >>> found.excess > 0.5, found.p_value
    (True, 0.0)

    References
    ----------
    [^1]: [Campbell, R. A. J., Forbes, C. S., Koedijk, K. G. and Kofman, P., 2008. Increasing
    correlations or just fat tails? Journal of Empirical Finance, 15(2), pp.287-309.]
    (https://doi.org/10.1016/j.jempfin.2007.01.001)
    """
    observed = exceedance_correlation(x, y, tail_share)
    fitted = fitted_t(x, y)
    generator = np.random.default_rng(seed)
    normal = generator.standard_normal((2, draws, len(x)))
    tail = np.sqrt(fitted.freedom / generator.chisquare(fitted.freedom, (draws, len(x))))
    rest = math.sqrt(max(0.0, 1.0 - fitted.correlation**2))
    first = normal[0] * tail
    second = (fitted.correlation * normal[0] + rest * normal[1]) * tail
    both = _tails(first, tail_share) & _tails(second, tail_share)
    drawn = _correlations(first, second, both)
    drawn = drawn[~np.isnan(drawn)]
    if math.isnan(observed) or not len(drawn):
        return Convergence(observed, math.nan, math.nan, math.nan, fitted)
    expected = float(np.median(drawn))
    p_value = float(np.mean(drawn >= observed))
    return Convergence(observed, expected, observed - expected, p_value, fitted)
