"""Tests of differences between groups, and intervals, for samples that hang together.

Liquidations of one wave share their cause. So ranks are permuted within strata only, and intervals
are drawn from whole clusters. Every test takes its seed: the same numbers give the same result.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.table import Flags, Floats, Ints

Z = 1.959964
"""The 97.5 % quantile of the normal distribution, for 95 % intervals."""

PERMUTATIONS = 2_000
RESAMPLES = 1_000


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(part: int, whole: int) -> Estimate:
    """Return a share with Wilson's score interval (1927, eq. 4); 0 to 1 if ``whole`` is 0.

    >>> [round(number, 3) for number in wilson(9, 10)]
    [0.9, 0.596, 0.982]
    >>> round(wilson(0, 600).high, 4)
    0.0064
    """
    if whole == 0:
        return Estimate(0.0, 0.0, 1.0)
    p = part / whole
    centre = p + Z * Z / (2 * whole)
    spread = Z * math.sqrt(p * (1 - p) / whole + Z * Z / (4 * whole * whole))
    scale = 1 + Z * Z / whole
    low = 0.0 if part == 0 else max(0.0, (centre - spread) / scale)
    high = 1.0 if part == whole else min(1.0, (centre + spread) / scale)
    return Estimate(p, low, high)


def ranks(values: Floats) -> Floats:
    """Return the ranks of values from 1, ties at their mean.

    >>> ranks(np.array([30.0, 10.0, 10.0])).tolist()
    [3.0, 1.5, 1.5]
    """
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: Floats = last - (counts - 1) / 2.0
    return mean[group]


class Association(NamedTuple):
    """A rank correlation within strata.

    ``coefficient`` is from -1 to 1, ``p_value`` that of a two-sided permutation test, and ``cases``
    the number of observations in strata with at least two.
    """

    coefficient: float
    p_value: float
    cases: int


def rank_association(
    x: Floats, y: Floats, stratum: Ints, *, seed: int, permutations: int = PERMUTATIONS
) -> Association:
    """Return Spearman's rank correlation of ``x`` and ``y`` within strata.

    The ranks are taken within each stratum and centred, so that differences between strata do not
    count. ``y`` is permuted within the strata; the p-value counts the observed order as one of the
    permutations and is never 0.

    Examples
    --------
    Two strata in which y rises with x, although it falls from one stratum to the other:

    >>> x = np.array([1.0, 2.0, 3.0, 4.0, 11.0, 12.0, 13.0, 14.0])
    >>> y = np.array([5.0, 6.0, 7.0, 8.0, 1.0, 2.0, 3.0, 4.0])
    >>> found = rank_association(x, y, np.repeat([0, 1], 4), seed=1)
    >>> found.coefficient, found.p_value < 0.01, found.cases
    (1.0, True, 8)

    References
    ----------
    [^1]: [Phipson, B. & Smyth, G., 2010. Permutation P-values should never be zero.]
    (https://doi.org/10.2202/1544-6115.1585)
    """
    rank_x, rank_y = np.zeros_like(x), np.zeros_like(y)
    groups = [np.flatnonzero(stratum == name) for name in np.unique(stratum)]
    groups = [rows for rows in groups if len(rows) > 1]
    for rows in groups:
        rank_x[rows] = ranks(x[rows]) - (len(rows) + 1) / 2.0
        rank_y[rows] = ranks(y[rows]) - (len(rows) + 1) / 2.0
    count = sum(map(len, groups))
    scale = math.sqrt(float((rank_x**2).sum() * (rank_y**2).sum()))
    if scale == 0.0:
        return Association(0.0, 1.0, count)
    observed = float(rank_x @ rank_y)
    rng = np.random.default_rng(seed)
    total = np.zeros(permutations)
    for rows in groups:
        order = np.argsort(rng.random((permutations, len(rows))), axis=1)
        total += rank_y[rows][order] @ rank_x[rows]
    as_far = int((np.abs(total) >= abs(observed) * (1.0 - 1e-12)).sum())
    return Association(observed / scale, (1 + as_far) / (1 + permutations), count)


def class_difference(
    values: Floats, group: Flags, stratum: Ints, *, seed: int, permutations: int = PERMUTATIONS
) -> Association:
    """Return how the ranks of a group differ from those of the others within strata.

    This is van Elteren's comparison as a permutation test: the association of the ranks with
    membership.

    >>> values, house = np.array([1.0, 2, 3, 4, 5, 6, 7, 8]), np.arange(8) >= 4
    >>> found = class_difference(values, house, np.zeros(8, np.int64), seed=1)
    >>> found.coefficient > 0.8, found.p_value < 0.05
    (True, True)
    """
    return rank_association(
        group.astype(np.float64), values, stratum, seed=seed, permutations=permutations
    )


def clustered_mean(
    values: Floats, cluster: Sequence[str], *, seed: int, resamples: int = RESAMPLES
) -> Estimate:
    """Return a mean with a 95 % percentile interval from a bootstrap of whole clusters.

    NaN if there are no values.

    >>> found = clustered_mean(np.array([1.0, 1.0, 3.0, 3.0]), ["a", "a", "b", "b"], seed=1)
    >>> found.value, found.low, found.high
    (2.0, 1.0, 3.0)

    References
    ----------
    [^1]: [Field, C. & Welsh, A., 2007. Bootstrapping clustered data.]
    (https://doi.org/10.1111/j.1467-9868.2007.00593.x)
    """
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan)
    names = {name: number for number, name in enumerate(dict.fromkeys(cluster))}
    member = np.array([names[name] for name in cluster])
    sums, counts = np.bincount(member, values), np.bincount(member)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(names), (resamples, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    return Estimate(float(values.mean()), low, high)


def discoveries(p_values: Sequence[float], rate: float = 0.05) -> list[bool]:
    """Return which hypotheses are rejected at a false discovery rate.

    Benjamini and Hochberg's step-up procedure: with the p-values in ascending order, all up to the
    last with p_(i) <= i / m rate.

    Examples
    --------
    0.012 <= 2/3 5 %, so it is rejected together with 0.04, which alone would need p <= 1/3 5 %...

    >>> discoveries([0.012, 0.2, 0.001])
    [True, False, True]
    >>> discoveries([0.04, 0.2, 0.9])
    [False, False, False]

    References
    ----------
    [^1]: [Benjamini, Y. & Hochberg, Y., 1995. Controlling the False Discovery Rate.]
    (https://doi.org/10.1111/j.2517-6161.1995.tb02031.x)
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    last = 0
    for number, place in enumerate(order, start=1):
        if p_values[place] <= number / len(p_values) * rate:
            last = number
    rejected = set(order[:last])
    return [place in rejected for place in range(len(p_values))]
