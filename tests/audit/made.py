"""A simulated day with a cascade, the claims of its venue, and ways to break single rules."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from detectors.audit.beside import Beside
from detectors.audit.claims import (
    Book,
    Claims,
    FairnessClaims,
    FeedClaims,
    LiquidationClaims,
    MarkClaims,
    ParameterClaims,
)
from detectors.audit.outcome import Finding
from detectors.audit.table import findings
from detectors.audit.tape import Evidence, Tape
from detectors.market_data.events import Event
from detectors.market_data.risk_events import AuditEvent, RiskEvent
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import simulate, simulate_with_risk
from service.exchange.venue.contracts import contracts
from service.exchange.venue.desk import WHOLE_BELOW_ORDERS

SECOND = 1_000_000_000
SYMBOL = "BTC-PERP"
Any_event = Event | RiskEvent | AuditEvent


def venue_claims(**changes: Any) -> Book:
    """The rules of the simulated exchange; ``changes`` replace claims of its liquidations."""
    (contract,) = contracts([SYMBOL])
    liquidation = {
        "trigger": "mark",
        "strategy": "steps",
        "share": 0.2,
        "whole_below_quantity": WHOLE_BELOW_ORDERS * contract.median_notional / contract.price,
        "pause_seconds": 0.2,
        "max_open_seconds": 5.0,
        "price_limit": 0.05,
        "inversion_ratio": 0.0,
        "price_bps": 0.1,
        **changes,
    }
    return Book(
        Claims(
            mark=MarkClaims(method="ema_premium", window_seconds=30.0, clamp=0.05),
            liquidation=LiquidationClaims(**liquidation),
            fairness=FairnessClaims(equal_treatment=True),
            feed=FeedClaims(unknown_orders_ratio=0.001, busiest_factor=2.0),
            parameters=ParameterClaims(notice_seconds=86_400.0, cooling_seconds=86_400.0),
        )
    )


@cache
def cascade(seed: int = 1) -> tuple[Event, ...]:
    """Thirteen minutes of one symbol, with a cascade after ten."""
    market = scenario("cascade", start_seconds=300.0, length_seconds=300.0)
    events = simulate(market, seed=seed, symbols=1, duration_ns=800 * SECOND)
    return tuple(event for event in events if not isinstance(event, Truth))


@cache
def deleveraged(seed: int = 3) -> tuple[Any_event, ...]:
    """Thirteen minutes of one symbol with the venue's records; the fund does not suffice."""
    market = scenario("exhausted_fund", start_seconds=300.0, length_seconds=300.0)
    events = simulate_with_risk(market, seed=seed, symbols=1, duration_ns=800 * SECOND)
    return tuple(event for event in events if not isinstance(event, Truth))


@cache
def recorded(seed: int = 1) -> tuple[Any_event, ...]:
    """The cascade with the venue's records of liquidations, accounts and fund."""
    market = scenario("cascade", start_seconds=300.0, length_seconds=300.0)
    events = simulate_with_risk(market, seed=seed, symbols=1, duration_ns=800 * SECOND)
    return tuple(event for event in events if not isinstance(event, Truth))


def audited(
    events: Iterable[Any_event], claims: Book | None = None, beside: Beside | None = None
) -> dict[str, Finding]:
    """The finding of each check, by its name."""
    return {check.name: found for check, found in findings(evidence(events, claims, beside))}


def evidence(
    events: Iterable[Any_event], claims: Book | None = None, beside: Beside | None = None
) -> Evidence:
    """What is left of the events for the checks."""
    tape = Tape(claims if claims is not None else venue_claims(), beside)
    for event in events:
        tape.apply(event)
    return tape.close()


def changed(event: Any, **fields: Any) -> Any:
    """A copy of an event with other fields."""
    return msgspec.structs.replace(event, **fields)


def edited(events: Sequence[Any], change: Callable[[Any], Any | Sequence[Any] | None]) -> list[Any]:
    """The events, each replaced by what ``change`` returns: an event, several, or none."""
    found: list[Any] = []
    for event in events:
        result = change(event)
        if result is None:
            continue
        if isinstance(result, Sequence):
            found += result
        else:
            found.append(result)
    return found


def failed(found: dict[str, Finding]) -> set[str]:
    """The names of the checks that fail."""
    return {name for name, finding in found.items() if finding.outcome == "fail"}
