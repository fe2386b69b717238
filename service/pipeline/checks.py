"""The rules of events that their types cannot express: dates, prices, tiers and names."""

from collections.abc import Mapping, Sequence
from operator import attrgetter, gt
from typing import Any

from detectors.incidents.market_wide import MARKET
from detectors.incidents.suppression import applies
from detectors.market_data.events import MIN_NUMBER, Margin, Order
from service.pipeline.log_time import log_time_ns
from service.pipeline.margin_tiers import tiers_problem
from service.pipeline.rejection import PRICES, Explainer, Reason

_MARKET_IS_A_NAME = ("accounts", "insurance")
"""The streams in which `MARKET` is a name like others, or stands for the whole venue."""

_MAY_BE_ZERO = ("liquidation_price", "bankruptcy_price")
"""The prices that are 0 if no price is low enough."""


class Checks:
    """Checks the events of one stream.

    Parameters
    ----------
    stream
        The name of the stream.
    fields
        Foreshock's field names to the venue's names, for those that differ.
    explainer
        Writes the sentences about refused events.
    scale
        The length in nanoseconds of the unit of the events' times.
    max_ahead_seconds
        Events dated further ahead of the timestamp of their record in the log are refused.
    nonpositive_prices
        Patterns of the symbols whose prices may be zero or negative.
    """

    def __init__(
        self,
        stream: str,
        fields: Mapping[str, str],
        explainer: Explainer,
        scale: int,
        max_ahead_seconds: int,
        nonpositive_prices: tuple[str, ...],
    ) -> None:
        self._explainer = explainer
        self._scale = scale
        self._max_ahead_ns = max_ahead_seconds * 1_000_000_000
        self._nonpositive_prices = nonpositive_prices
        self._prices = PRICES.get(stream, ()) if nonpositive_prices else ()
        self._is_orders = stream == "orders"
        self._is_margins = stream == "margins"
        own_name = "account" if stream == "accounts" else "symbol"
        self._name_of = attrgetter(own_name)
        self._name_field = fields.get(own_name, own_name)
        self._market_is_a_name = stream in _MARKET_IS_A_NAME
        self._price = fields.get("price", "price")

    def fit(self, events: Sequence[Any], arrived_ms: Sequence[int]) -> bool:
        """Return whether all events of a batch keep the rules.

        ``arrived_ms`` are the timestamps of their records in the log.
        """
        times = [event.ts_event for event in events]
        if max(times) > self._latest(min(arrived_ms)) and any(
            map(gt, times, map(self._latest, arrived_ms))
        ):
            return False
        unfit = (self._is_orders and any_unpriced(events)) or (
            self._is_margins and any(map(_tiers_problem, events))
        )
        if unfit or (self._prices and any(map(self._refused_price, events))):
            return False
        names = set(map(self._name_of, events))
        if not all(map(str.isprintable, names)):
            return False
        return MARKET not in names or self._market_is_a_name

    def problem(self, event: Any, arrived_ms: int) -> tuple[Reason, str] | None:
        """Return the reason and the sentence for an event that breaks a rule; None if it fits."""
        if event.ts_event > self._latest(arrived_ms):
            sentence = self._explainer.misdated(str(event.ts_event), arrived_ms * 1_000_000)
            return "in_the_future", sentence
        if self._prices and (refused := self._refused_price(event)):
            return "out_of_range", self._explainer.nonpositive(*refused)
        if isinstance(event, Order) and any_unpriced([event]):
            return "missing_field", self._explainer.missing(self._price)
        if isinstance(event, Margin) and (problem := _tiers_problem(event)):
            return "unordered_tiers", self._explainer.unordered(*problem)
        return self._name_problem(self._name_of(event))

    def _name_problem(self, name: str) -> tuple[Reason, str] | None:
        if not name.isprintable():
            return "not_printable", self._explainer.unprintable(self._name_field, name)
        if name == MARKET and not self._market_is_a_name:
            return "reserved_symbol", self._explainer.reserved(name)
        return None

    def _latest(self, arrived_ms: int) -> int:
        """Return the latest date, in the unit of the records, of an event that arrived then."""
        return (log_time_ns(arrived_ms) + self._max_ahead_ns) // self._scale

    def _refused_price(self, event: Any) -> tuple[str, float] | None:
        """Return the field and the value of a price that the symbol of the event cannot have."""
        for field in self._prices:
            price = getattr(event, field)
            if (
                price is not None
                and price < MIN_NUMBER
                and not (field in _MAY_BE_ZERO and price == 0.0)
                and not applies(self._nonpositive_prices, self._name_of(event))
            ):
                return field, price
        return None


def any_unpriced(orders: Sequence[Order]) -> bool:
    """Return whether any order lacks a price that it needs; only a market order needs none."""
    return bool([order for order in orders if order.price is None and order.type != "market"])


def _tiers_problem(margin: Margin) -> tuple[str, str] | None:
    return tiers_problem(margin.tiers) if margin.tiers is not None else None
