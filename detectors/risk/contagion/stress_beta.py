"""How far one symbol follows another: ordinary betas, and betas of the large moves alone."""

import numpy as np

from detectors.risk.contagion.triggered import Betas
from detectors.table import Floats

TAIL_SHARE = 0.05
"""The share of returns that counts as stress, on each side."""

SHRINKAGE = 30.0
"""So many large moves weigh as much as the ordinary beta."""

LARGEST_BETA = 3.0


def ordinary_betas(returns: Floats) -> Floats:
    """Return the slope of each symbol's return on each other's, sum(R_a R_c) / sum(R_a^2).

    Returns of a minute have a mean of next to nothing, so the lines go through the origin: the
    slope is how far c moves, not how far it moves beyond its mean.

    Parameters
    ----------
    returns
        Of shape (intervals, symbols), finite.

    Returns
    -------
    Of shape (symbols, symbols): row a, column c. 0 where a does not move at all, 1 on the diagonal.

    Examples
    --------
    >>> ordinary_betas(np.array([[0.01, 0.02], [-0.01, 0.0]])).round(6).tolist()
    [[1.0, 1.0], [0.5, 1.0]]
    """
    products = returns.T @ returns
    squares = np.diag(products).copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        betas = np.where(squares[:, np.newaxis] > 0.0, products / squares[:, np.newaxis], 0.0)
    np.fill_diagonal(betas, 1.0)
    return betas


def stress_betas(
    returns: Floats,
    tail_share: float = TAIL_SHARE,
    shrinkage: float = SHRINKAGE,
    largest: float = LARGEST_BETA,
) -> Betas:
    """Return how far each symbol follows the falls and the rises of each other.

    The slope of the symbol c on those returns of a that are below their 5 % quantile (above their
    95 % quantile), through the origin. With n such returns it counts n / (n + 30) and the ordinary
    slope the rest. The result is kept within 0 and 3.

    Parameters
    ----------
    returns
        Returns of one minute; of shape (minutes, symbols), finite.
    tail_share
        The share of minutes on each side, above 0 and at most 0.5.
    shrinkage
        The number of large moves at which both slopes count the same.
    largest
        The largest beta.

    Raises
    ------
    ValueError
        If ``tail_share`` is out of range or ``shrinkage`` is negative.

    Examples
    --------
    c follows the falls of a twice as far, and its rises not at all. Of forty minutes two are large
    falls: 2 / 32 of the slope of 2, and 30 / 32 of the ordinary slope of 1.

    >>> a = np.concatenate((-0.01 * np.ones(20), 0.01 * np.ones(20)))
    >>> a[[3, 4]], a[[30, 31]] = -0.0101, 0.0101
    >>> c = np.where(a < 0.0, 2.0 * a, 0.0)
    >>> betas = stress_betas(np.column_stack((a, c)))
    >>> betas.falls[0, 1].round(4).tolist(), betas.rises[0, 1].round(4).tolist()
    (1.0625, 0.9375)

    References
    ----------
    [^1]: [Longin, F. and Solnik, B., 2001. Extreme Correlation of International Equity Markets. The
    Journal of Finance, 56(2), pp.649-676.](https://doi.org/10.1111/0022-1082.00340) Exceedances.
    [^2]: [Ang, A. and Chen, J., 2002. Asymmetric correlations of equity portfolios. Journal of
    Financial Economics, 63(3), pp.443-494.](https://doi.org/10.1016/S0304-405X(02)00068-5) Falls
    and rises apart.
    """
    if not 0.0 < tail_share <= 0.5:
        raise ValueError(f"tail_share is {tail_share}: it must be above 0 and at most 0.5")
    if not shrinkage >= 0.0:
        raise ValueError(f"shrinkage is {shrinkage}: it must be at least 0")
    minutes, symbols = returns.shape
    ordinary = ordinary_betas(returns)
    falls, rises = np.empty((symbols, symbols)), np.empty((symbols, symbols))
    large = int(tail_share * minutes)
    ranked = np.argsort(returns, axis=0, kind="stable")
    for matrix, tails, sign in (
        (falls, ranked[:large], -1.0), (rises, ranked[minutes - large :], 1.0)
    ):  # fmt: skip
        for symbol in range(symbols):
            rows = tails[:, symbol]
            rows = rows[sign * returns[rows, symbol] > 0.0]
            mine = returns[rows, symbol]
            squares = float(mine @ mine)
            beta = ordinary[symbol]
            if squares > 0.0:
                weight = len(rows) / (len(rows) + shrinkage)
                beta = weight * (mine @ returns[rows]) / squares + (1.0 - weight) * beta
            matrix[symbol] = np.clip(beta, 0.0, largest)
        np.fill_diagonal(matrix, 1.0)
    return Betas(falls, rises)
