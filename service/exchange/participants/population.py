"""How many participants a market has and how often they act, from its mean activity."""

from dataclasses import dataclass

MARKET_ORDER_SHARE = 0.022
TRADER_LIMIT_SHARE = 0.16
MAKER_ORDER_SHARE = 0.31
"""Orders of each sort, as shares of all events. Orders are half of all events, since nearly each
one is followed by its cancellation; about one in twenty takes liquidity. More than nine orders in
ten are cancelled on Nasdaq (Hautsch & Huang 2012), 95 % on the LSE (Machain & Dufour 2013)."""

RECHECK_SECONDS = 1.0
"""Nobody waits longer than this without looking at how lively the market has become, so arrivals
follow the activity as it changes."""

REFERENCE_EVENTS = 30.0
"""The activity, in events a second, at which the scales below are one."""


@dataclass(frozen=True, slots=True)
class Population:
    """The make-up of one market in calm times.

    Attributes
    ----------
    market_orders, trader_limits, maker_orders
        Arrivals a second, of all participants together.
    makers, levels
        How many makers quote, and how many prices each on each side.
    traders
        Accounts with leverage.
    pace
        Activity relative to `REFERENCE_EVENTS`.
    size_scale
        Quoted sizes and positions relative to a market of `REFERENCE_EVENTS`: books of busier
        contracts are deeper, but by less than they are busier.
    """

    market_orders: float
    trader_limits: float
    maker_orders: float
    makers: int
    levels: int
    traders: int
    pace: float
    size_scale: float

    @property
    def quote_age_seconds(self) -> float:
        """How long a maker's quote stands on average before it is replaced."""
        return self.makers * self.levels * 2 / self.maker_orders


def population(events_per_second: float) -> Population:
    """The participants that make about so many orders, cancels and trades a second together.

    Raises
    ------
    ValueError
        If the activity is not between 0.5 and 5,000 events a second.
    """
    if not 0.5 <= events_per_second <= 5_000:
        raise ValueError(
            f"events per second is {events_per_second}; the exchange simulates 0.5 to 5,000"
        )
    busy = events_per_second / REFERENCE_EVENTS
    makers, levels = (3, 3) if busy < 0.3 else (5, 4) if busy < 4 else (8, 6)
    return Population(
        market_orders=MARKET_ORDER_SHARE * events_per_second,
        trader_limits=TRADER_LIMIT_SHARE * events_per_second,
        maker_orders=MAKER_ORDER_SHARE * events_per_second,
        makers=makers,
        levels=levels,
        traders=min(max(int(120 * busy**0.3), 60), 400),
        pace=busy,
        size_scale=busy**0.35,
    )
