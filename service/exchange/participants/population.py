"""The number of participants in a market and their activity, from the market's mean activity."""

from dataclasses import dataclass

MARKET_ORDER_SHARE = 0.022
TRADER_LIMIT_SHARE = 0.16
MAKER_ORDER_SHARE = 0.31
"""Orders of each type, as shares of all events. About half of all events are orders, because nearly
every order is cancelled later. About one order in twenty takes liquidity. More than nine orders in
ten are cancelled on Nasdaq (Hautsch & Huang 2012), 95 % on the LSE (Machain & Dufour 2013)."""

RECHECK_SECONDS = 1.0
"""Participants check the market's activity at least this often, so arrivals follow its changes."""

REFERENCE_EVENTS = 30.0
"""The activity, in events per second, at which the scales below equal one."""


@dataclass(frozen=True, slots=True)
class Population:
    """The participants of one market in calm conditions.

    Attributes
    ----------
    market_orders, trader_limits, maker_orders
        Arrivals per second, of all participants together.
    makers, levels
        The number of makers, and the number of price levels that each quotes per side.
    traders
        The number of leveraged accounts.
    pace
        Activity relative to `REFERENCE_EVENTS`.
    size_scale
        Quote sizes and positions relative to a market of `REFERENCE_EVENTS`. Busier contracts have
        deeper books, but depth grows less than activity.
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
        """Mean time between placing a maker's quote and replacing it."""
        return self.makers * self.levels * 2 / self.maker_orders


def population(events_per_second: float) -> Population:
    """The participants that together send about this many orders, cancels and trades per second.

    Raises
    ------
    ValueError
        If the activity is not between 0.5 and 5,000 events per second.
    """
    if not 0.5 <= events_per_second <= 5_000:
        raise ValueError(f"events per second is {events_per_second}; it must be 0.5 to 5,000")
    pace = events_per_second / REFERENCE_EVENTS
    makers, levels = (3, 3) if pace < 0.3 else (5, 4) if pace < 4 else (8, 6)
    return Population(
        market_orders=MARKET_ORDER_SHARE * events_per_second,
        trader_limits=TRADER_LIMIT_SHARE * events_per_second,
        maker_orders=MAKER_ORDER_SHARE * events_per_second,
        makers=makers,
        levels=levels,
        traders=min(max(int(120 * pace**0.3), 60), 400),
        pace=pace,
        size_scale=pace**0.35,
    )
