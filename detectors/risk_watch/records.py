"""What is published of the risk of liquidations, a record for each symbol and side."""

import math
from typing import Literal

from msgspec import Struct

from detectors.risk.ladder import Side
from detectors.risk.quantiles import Quantiles

RULE_VERSION = "1"
"""The version of the computation: a change of its formulas or constants raises it."""

CASCADE_RATIO = 0.4
"""A run over this share of the open interest is a cascade."""


class Interval(Struct, frozen=True, gc=False):
    """The 10, 50 and 90 % quantiles of a drawn number; null: infinite, no move does it."""

    p10: float | None
    p50: float | None
    p90: float | None


class Rung(Struct, frozen=True, gc=False):
    """What a move of the mark price liquidates, all smaller moves included.

    ``notional`` is at the mark price before the move. ``largest_ratio`` is the largest account's
    share of it, ``concentration`` the sum of the accounts' squared shares.
    """

    move_bps: float
    notional: float
    accounts: int
    largest_ratio: float
    concentration: float


class PriceBand(Struct, frozen=True, gc=False):
    """The nearest cluster of liquidation prices, see `detectors.risk.band`.

    ``first_seconds`` and ``full_seconds`` say how long after a dislocation of the book the mark
    price reaches both ends: a dislocation of twice the distance of the further end, which the index
    does not follow. They are null where the venue does not state how its mark price follows.
    """

    first_price: float
    full_price: float
    first_bps: float
    full_bps: float
    mean_price: float
    notional: float
    accounts: int
    first_seconds: float | None
    full_seconds: float | None


class Run(Struct, frozen=True):
    """The least shock whose run of liquidations forces a share of the open interest.

    The distance is told three ways: as a move, against the volatility, and as an ordinary sale (for
    shorts: a purchase). ``hit_5m_ratio`` is the chance that a price without drift is there within
    five minutes; sales set off runs, not noise, so it is a lower bound. The other fields are those
    of the run just above the distance; null if no shock does it.

    Attributes
    ----------
    open_interest_ratio
        The share of the open interest.
    distance_bps, distance_sigmas, sale_notional
        The distance: in basis points, in standard deviations of the one-minute return, and as
        notional.
    sale_multiple
        That sale over the 99 % quantile of the one-minute net flow.
    notional, accounts, largest_ratio
        What the run forces, from how many accounts, and the largest account's share.
    loss, beyond_fund, deleveraged_notional
        The loss beyond the accounts' collateral, its part that the insurance fund does not hold,
        and what is left for auto-deleveraging. Without a known fund the last two count with an
        empty one.
    """

    open_interest_ratio: float
    distance_bps: Interval
    distance_sigmas: Interval | None
    hit_5m_ratio: Interval | None
    sale_notional: Interval
    sale_multiple: Interval | None
    notional: Interval | None
    accounts: Interval | None
    largest_ratio: Interval | None
    loss: Interval | None
    beyond_fund: Interval | None
    deleveraged_notional: Interval | None


class Impact(Struct, frozen=True):
    """What the forced sale of a tenth of the open interest does to the price, estimated three ways.

    ``flow_bps`` is the primary estimate: the slope of ordinary flow, times the factor of forced
    flow, times the withdrawal factor of depth while depth is withdrawn. ``book_bps`` walks the
    quoted book, the pessimistic end; null beyond its last price. ``root_bps`` is the square-root
    law, the optimistic end.
    """

    notional: float
    flow_bps: Interval
    book_bps: float | None
    root_bps: float | None
    slope_bps_per_million: float
    forced_factor: float
    forced_deviation: float
    forced_events: float
    withdrawal: bool
    surviving_ratio: float
    refill_seconds: float | None


class RiskRecord(Struct, frozen=True, kw_only=True):
    """How near one side of a symbol is to a run of liquidations.

    Money is in the quote currency, moves count against the side. The record holds true positions,
    and says how much of the market they are.

    Attributes
    ----------
    ts_event
        The end of the second, in nanoseconds of event time.
    contract, settlement_currency
        Whether the contract settles in its quote or its base currency (``inverse``), and the
        currency; null while that is unknown.
    open_interest
        At the mark price.
    coverage_ratio
        The known positions of the side over the open interest; null while that is unknown. Below
        0.9 there is no ``reproduction``.
    assumed_ratio
        The share of the known notional whose margin is assumed.
    positions, evicted_positions
        Known positions of the side; positions of the venue that were dropped because of the limit.
    forced_flow_source, liquidations_15m, liquidated_notional_15m
        Whether the records of liquidations count or the flags of trades, how many liquidations of
        the side began in the last quarter of an hour (null by flags), and what was liquidated.
    rungs, band
        The ladder of liquidations.
    impact, runs
        Null and empty while the impact of flow is unknown.
    cascade_probability
        The share of draws in which a fall (for shorts: a rise) of at most 0.85 % sets off a run
        over 40 % of the open interest; null while the impact is unknown.
    reproduction
        Notional newly forced per unit of notional liquidated, for a seed of ``seed_notional``.
    insurance_fund
        What the fund holds; null if that is unknown.
    assumptions
        What was assumed where the venue's streams do not say.
    suppressed
        Why an incident `cascade` of the symbol that would be open is held back; null if none is.
    """

    symbol: str
    side: Side
    ts_event: int
    contract: Literal["linear", "inverse"]
    settlement_currency: str | None
    mark_price: float
    open_interest: float
    coverage_ratio: float | None
    assumed_ratio: float
    positions: int
    evicted_positions: int
    forced_flow_source: Literal["liquidations", "trades"]
    liquidations_15m: int | None
    liquidated_notional_15m: float
    rungs: list[Rung]
    band: PriceBand | None
    impact: Impact | None
    cascade_probability: float | None
    reproduction: Interval | None
    seed_notional: float | None
    runs: list[Run]
    insurance_fund: float | None
    assumptions: list[str]
    rule_version: str = RULE_VERSION
    suppressed: str | None = None


def finite(value: float) -> float | None:
    """Return a number, or None if it is infinite or not a number.

    >>> finite(1.5), finite(math.inf)
    (1.5, None)
    """
    return value if math.isfinite(value) else None


def interval(drawn: Quantiles, factor: float = 1.0) -> Interval:
    """Return quantiles as they are published, times a factor.

    >>> interval(Quantiles(0.01, 0.02, math.inf), 1e4)
    Interval(p10=100.0, p50=200.0, p90=None)
    """
    return Interval(*(finite(factor * value) for value in drawn))


def cascade_of(record: RiskRecord) -> Run | None:
    """Return the run of a record that is a cascade; None while the impact of flow is unknown."""
    return next((run for run in record.runs if run.open_interest_ratio == CASCADE_RATIO), None)
