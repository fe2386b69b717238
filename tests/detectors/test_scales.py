"""No constant has an instrument in it: units of price and quantity do not change what is found."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from detectors.market_data.events import Event
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import simulate
from tests.simulated import SECOND, watch

PRICES = ("price", "mark_price", "index_price", "entry_price", "liquidation_price")
QUANTITIES = ("quantity", "open_interest")


def scaled(names: tuple[str, ...], factor: float) -> Callable[[Event], Event]:
    """A change of an event: these fields times a factor."""

    def change(event: Event) -> Event:
        given = {name: getattr(event, name, None) for name in names}
        return replace(event, **{k: v * factor for k, v in given.items() if v is not None})

    return change


def found(events: list[Event]) -> list[tuple[object, ...]]:
    output, _ = watch(events)
    return [(a.alert_id, a.status, a.severity, a.ts_event) for a in output.alerts]


@pytest.mark.parametrize(
    "name",
    ["cancel_burst", "pulled_book", "layering", "spoofing", "quote_stuffing", "leverage_rush"],
)
def test_units_of_price_and_quantity_change_no_incident(name: str):
    market = scenario(name, start_seconds=1_200)
    published = simulate(market, seed=5, symbols=1, duration_ns=1_320 * SECOND)
    events = [event for event in published if not isinstance(event, Truth)]
    as_published = found(events)
    assert as_published
    for of_prices, of_quantities in ((1e-6, 1e6), (1e6, 1e6), (1e6, 1e-6)):
        of_price, of_quantity = scaled(PRICES, of_prices), scaled(QUANTITIES, of_quantities)
        assert found([of_quantity(of_price(event)) for event in events]) == as_published
