"""How near a move is: in basis points, in standard deviations, as a chance, and as a sale."""

import math
from typing import NamedTuple


class Expressed(NamedTuple):
    """A distance in units that a person can judge.

    Attributes
    ----------
    bps
        In basis points.
    sigmas
        In standard deviations of the one-minute return.
    probability
        That a price without drift is there at some time within five minutes. Sales, not noise, set
        off runs: this chance is a lower bound.
    sale_notional
        The ordinary sale that makes the move, in the quote currency.
    sale_multiple
        That sale over the 99 % quantile of the one-minute net flow.
    """

    bps: float
    sigmas: float
    probability: float
    sale_notional: float
    sale_multiple: float


def expressed(
    distance: float, sigma_60s: float, sigma_5m: float, flow_slope: float, p99_minute_flow: float
) -> Expressed:
    """Return a distance in all its units.

    Parameters
    ----------
    distance
        As a ratio; may be infinite.
    sigma_60s, sigma_5m
        Standard deviations of the return over one minute and five, as ratios, above 0.
    flow_slope
        Move per unit of ordinary aggressor notional, above 0; see `flow_impact.flow_slope`.
    p99_minute_flow
        The 99 % quantile of the absolute net aggressor notional of a minute, above 0.

    Raises
    ------
    ValueError
        If one of the last four is not above 0.

    Examples
    --------
    1 %, with 0.1 % a minute and 0.5 % in five: erfc(2 / sqrt 2) = 0.0455. A sale of 1 moves the
    price by 2e-9.

    >>> near = expressed(0.01, 0.001, 0.005, 2e-9, 1e6)
    >>> near.bps, round(near.sigmas, 9), round(near.probability, 4)
    (100.0, 10.0, 0.0455)
    >>> round(near.sale_notional), round(near.sale_multiple, 9)
    (5000000, 5.0)

    References
    ----------
    [^1]: [Feller, W., 1968. An Introduction to Probability Theory and Its Applications, vol. 1. 3rd
    ed., section III.7.] The reflection principle, P(max > d) = 2 P(S > d), with a normal S:
    erfc(d / (sigma sqrt 2)).
    """
    scales = {
        "sigma_60s": sigma_60s,
        "sigma_5m": sigma_5m,
        "flow_slope": flow_slope,
        "p99_minute_flow": p99_minute_flow,
    }
    for name, value in scales.items():
        if not value > 0.0:
            raise ValueError(f"{name} is {value}: it must be above 0")
    sale = distance / flow_slope
    return Expressed(
        1e4 * distance,
        distance / sigma_60s,
        math.erfc(max(distance, 0.0) / (sigma_5m * math.sqrt(2.0))),
        sale,
        sale / p99_minute_flow,
    )
