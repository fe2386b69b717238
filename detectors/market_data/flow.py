"""The flow of one symbol in one interval."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter


@dataclass(slots=True)  # written with every event, which costs a Struct twice as much
class Flow:
    """Sums over an interval, or over a span with exponential forgetting.

    Counts are numbers of events. All other fields are notional in the quote currency. ``bid`` and
    ``ask`` name the side of the book where the order rested. ``leveraged`` is the notional of new
    orders that state a leverage and are not reduce-only. ``leverage_excess_weighted`` is this
    notional, weighted by the excess of the log leverage over the account's own baseline.
    ``habitual_orders`` counts the leveraged orders of accounts with a baseline;
    ``leverage_excess`` and ``leverage_excess_squares`` are the sums of their log leverage over the
    baseline, and of its square. ``leveraged_orders`` and ``near_maximum_orders`` are counts too.
    """

    orders: float = 0.0
    cancels: float = 0.0
    young_cancels: float = 0.0
    trades: float = 0.0
    near_traded_bid: float = 0.0
    near_traded_ask: float = 0.0
    leveraged: float = 0.0
    leverage_excess_weighted: float = 0.0
    near_maximum_leverage: float = 0.0
    leveraged_orders: float = 0.0
    near_maximum_orders: float = 0.0
    habitual_orders: float = 0.0
    leverage_excess: float = 0.0
    leverage_excess_squares: float = 0.0


_NAMES = tuple(its.name for its in fields(Flow))

AMOUNTS = len(_NAMES)
"""The number of amounts of a flow."""

amounts: Callable[[Flow], tuple[float, ...]] = attrgetter(*_NAMES)
"""Returns the amounts of a flow, in the order of its fields."""


def places_of(*names: str) -> list[int]:
    """Return the places of some amounts among those of a flow."""
    return [_NAMES.index(name) for name in names]
