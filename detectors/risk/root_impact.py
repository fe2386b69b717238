"""Impact by the square-root law, the optimistic end: that of patient sellers."""

import numpy as np

from detectors.risk.impact import Impact

_POINTS = 65


def root_impact(
    daily_sigma: float, daily_volume: float, most_notional: float, prefactor: float = 1.0
) -> Impact:
    """Return the square-root law, Y sigma_day sqrt(V / volume_day).

    Parameters
    ----------
    daily_sigma
        Standard deviation of the daily return, as a ratio.
    daily_volume
        Notional traded a day, in the quote currency.
    most_notional
        The curve is a polygon with 64 sides up to here, and goes on straight.
    prefactor
        Y, of order 1.

    Raises
    ------
    ValueError
        If a number is not above 0.

    Examples
    --------
    4 % a day, a hundredth of the volume: 0.04 x 0.1.

    >>> from detectors.risk.impact import moved_by
    >>> moved_by(root_impact(0.04, 1e6, 1e5), np.array([1e4])).round(4).tolist()
    [0.004]

    References
    ----------
    [^1]: [Tóth, B. et al., 2011. Anomalous Price Impact and the Critical Nature of Liquidity in
    Financial Markets. Physical Review X, 1, 021006.](https://doi.org/10.1103/PhysRevX.1.021006)
    """
    for name, value in (("daily_sigma", daily_sigma), ("daily_volume", daily_volume),
                        ("most_notional", most_notional), ("prefactor", prefactor)):  # fmt: skip
        if not value > 0.0:
            raise ValueError(f"{name} is {value}: it must be above 0")
    # Points at squares lie evenly in the move.
    notional = most_notional * np.linspace(0.0, 1.0, _POINTS) ** 2
    move = prefactor * daily_sigma * np.sqrt(notional / daily_volume)
    beyond = float((move[-1] - move[-2]) / (notional[-1] - notional[-2]))
    return Impact(notional, move, beyond)
