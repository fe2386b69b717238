"""Converters for option values: from text to a value, or an error that states the valid values."""

import argparse
import re
from datetime import UTC, datetime, timedelta

from service.exchange.scenarios.catalogue import SCENARIOS


def rates(text: str) -> tuple[float, ...]:
    """Parse numbers above zero, separated by commas."""
    return tuple(above_zero(part) for part in text.split(","))


def scenario_names(text: str) -> list[str]:
    """Parse names of scenarios, separated by commas."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"unknown scenario {', '.join(unknown or ['(empty)'])}; "
            f"choose from {', '.join(SCENARIOS)}"
        )
    return names


def above_zero(text: str) -> float:
    """Parse a number above zero."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return number


def whole(text: str) -> int:
    """Parse a whole number above zero."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def whole_or_zero(text: str) -> int:
    """Parse a whole number of at least zero."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least zero")
    return int(text)


def port(text: str) -> int:
    """Parse a TCP port."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def scenario_table() -> str:
    """The scenarios and what they do, a line each."""
    return "".join(f"  {name:<20}{entry.description}\n" for name, entry in SCENARIOS.items())


def alert_id(text: str) -> str:
    """Parse the id of an alert."""
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an alert_id, which has 32 digits of 0 to 9 and a to f"
        )
    return text


def moment_ns(text: str) -> int:
    """Parse a date, or a time with its offset (UTC without one), to nanoseconds since 1970."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date such as 2026-01-31, nor a time such as 2026-01-31T08:00:00Z"
        ) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000
