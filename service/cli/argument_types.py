"""Converters for option values: from text to a value, or an error that states the valid values."""

import argparse

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
    return "".join(f"  {name:<18}{entry.description}\n" for name, entry in SCENARIOS.items())
