"""A scenario as JSON: what a client of the console's port may ask."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from detectors.risk.what_if.scenario import Scenario
from service.describe import expected, named, shown_safely

Symbol = Annotated[str, Meta(min_length=1, max_length=64)]
Move = Annotated[float, Meta(gt=-1.0, le=10.0)]
Factor = Annotated[float, Meta(ge=0.01, le=100.0)]
Share = Annotated[float, Meta(gt=0.0, le=1.0)]
Seconds = Annotated[float, Meta(gt=0.0, le=86_400.0)]

FIELDS = ("shocks", "maintenance", "depth", "halted", "step_ratio", "mark_window_seconds")
"""The fields of a request; those of `Scenario`."""


def scenario_of(body: bytes) -> Scenario:
    """Return the scenario that a JSON object describes; what is absent or null stays as it is.

    Raises
    ------
    ValueError
        If something is not as it should be. The message names the field, its value, and what would
        be right.

    Examples
    --------
    >>> scenario_of(b'{"shocks": {"BTC-PERP": -0.03}, "halted": ["ETH-PERP"]}').shocks
    {'BTC-PERP': -0.03}
    >>> scenario_of(b'{"depth": {"*": 0}}')
    Traceback (most recent call last):
    ...
    ValueError: depth["*"] is 0; it must be a number from 0.01 to 100
    """
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {shown_safely(str(error))}") from None
    if not isinstance(asked, dict):
        raise _wrong("the body", asked, "an object with fields")
    unknown = sorted(set(asked) - set(FIELDS))
    if unknown:
        raise ValueError(f"{named(unknown)} is no field; the fields are {', '.join(FIELDS)}")
    given = {name: value for name, value in asked.items() if value is not None}
    return Scenario(
        _mapping("shocks", given.get("shocks", {}), Move),
        _halted(given.get("halted", [])),
        _mapping("maintenance", given.get("maintenance", {}), Factor),
        _mapping("depth", given.get("depth", {}), Factor),
        _number("step_ratio", given.get("step_ratio"), Share),
        _number("mark_window_seconds", given.get("mark_window_seconds"), Seconds),
    )


def _mapping(name: str, value: Any, of: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        raise _wrong(name, value, f"an object: for each symbol, {expected(of)}")
    return {
        _symbol(name, symbol): _converted(f"{name}[{_text(symbol)}]", each, of)
        for symbol, each in value.items()
    }


def _halted(value: Any) -> frozenset[str]:
    if not isinstance(value, list):
        raise _wrong("halted", value, "a list of symbols")
    return frozenset(_symbol("halted", symbol) for symbol in value)


def _symbol(name: str, value: Any) -> str:
    try:
        symbol: str = msgspec.convert(value, Symbol)
    except msgspec.ValidationError:
        raise _wrong(f"a symbol of {name}", value, expected(Symbol)) from None
    return symbol


def _number(name: str, value: Any, of: Any) -> float | None:
    return None if value is None else _converted(name, value, of)


def _converted(name: str, value: Any, of: Any) -> float:
    try:
        number: float = msgspec.convert(value, of)
    except msgspec.ValidationError:
        raise _wrong(name, value, expected(of)) from None
    return number


def _wrong(name: str, value: Any, right: str) -> ValueError:
    return ValueError(f"{name} is {_text(value)}; it must be {right}")


def _text(value: Any) -> str:
    return shown_safely(msgspec.json.encode(value).decode())
