"""What the command's options take: a text to a value, or a sentence on what would be right."""

import argparse

from service.exchange.scenarios.catalogue import SCENARIOS


def rates(text: str) -> tuple[float, ...]:
    """Numbers above zero, separated by commas."""
    return tuple(above_zero(part) for part in text.split(","))


def scenario_names(text: str) -> list[str]:
    """Names of scenarios, separated by commas."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"no scenario {', '.join(unknown or ['at all'])}; there are {', '.join(SCENARIOS)}"
        )
    return names


def above_zero(text: str) -> float:
    """A number above zero."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return number


def whole(text: str) -> int:
    """A whole number above zero."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def whole_or_zero(text: str) -> int:
    """A whole number from 0 on."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def port(text: str) -> int:
    """A TCP port."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)
