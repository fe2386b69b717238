"""The arguments of ``foreshock whatif``, and what a scenario is written like."""

import argparse
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from service.cli import argument_types as types
from service.cli import what_if_commands as commands
from service.cli.argument_parts import add_command, add_config
from service.describe import shown_safely

if TYPE_CHECKING:
    from service.cli.argument_parts import Subcommands

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0}


class At(NamedTuple):
    """A moment in nanoseconds, since 1970 or after the beginning of the streams."""

    ns: int
    after_start: bool


def percentage(text: str) -> float:
    """Parse a percentage such as ``-3%`` to a ratio."""
    found = re.fullmatch(rf"({_NUMBER})%", text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{shown_safely(text)!r} is not a percentage such as -3% or 0.5%"
        )
    return float(found[1]) / 100.0


def share(text: str) -> float:
    """Parse a percentage above 0 and at most 100."""
    ratio = percentage(text)
    if not 0.0 < ratio <= 1.0:
        raise argparse.ArgumentTypeError(f"{shown_safely(text)!r} is not above 0% and at most 100%")
    return ratio


def move(text: str) -> float:
    """Parse a percentage above -100."""
    ratio = percentage(text)
    if not ratio > -1.0:
        raise argparse.ArgumentTypeError(
            f"{shown_safely(text)!r} leaves no price: a fall is above -100%"
        )
    return ratio


def factor(text: str) -> float:
    """Parse a factor such as ``x1.5``."""
    found = re.fullmatch(rf"x({_NUMBER})", text)
    if found is None or not float(found[1]) > 0.0:
        raise argparse.ArgumentTypeError(
            f"{shown_safely(text)!r} is not a factor above 0 such as x1.5 or x0.4"
        )
    return float(found[1])


def seconds(text: str) -> float:
    """Parse a duration such as ``60s``, ``500ms``, ``2m`` or ``1h``."""
    found = re.fullmatch(rf"({_NUMBER})(ms|s|m|min|h)", text)
    if found is None or not float(found[1]) > 0.0:
        raise argparse.ArgumentTypeError(
            f"{shown_safely(text)!r} is not a duration above 0 such as 60s, 500ms, 2m or 1h"
        )
    return float(found[1]) * _UNITS[found[2]]


def moment(text: str) -> At:
    """Parse a time, or a duration after the beginning of the streams such as ``+24m``."""
    if text.startswith("+"):
        after = timedelta(seconds=seconds(text[1:]))
        return At(after // timedelta(microseconds=1) * 1_000, after_start=True)
    return At(types.moment_ns(text), after_start=False)


def of_symbol(example: str, value: Callable[[str], float]) -> Callable[[str], tuple[str, float]]:
    """Return the converter of ``SYMBOL=VALUE``; ``example`` is shown if it cannot be read."""

    def pair(text: str) -> tuple[str, float]:
        symbol, equals, rest = text.rpartition("=")
        if not (symbol and equals and rest):
            raise argparse.ArgumentTypeError(
                f"{shown_safely(text)!r} is not written like {example}"
            )
        return symbol, value(rest)

    return pair


class _OnceEach(argparse.Action):
    """Collects pairs of symbol and value, each symbol once."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - the signature is argparse's
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        assert isinstance(values, tuple)
        symbol, value = values
        found = dict(getattr(namespace, self.dest))
        if symbol in found:
            raise argparse.ArgumentError(self, f"{shown_safely(symbol)!r} is named twice")
        setattr(namespace, self.dest, {**found, symbol: value})


def add_what_if(subcommands: "Subcommands") -> None:
    """Add ``foreshock whatif``."""
    command = add_command(
        subcommands,
        "whatif",
        commands.whatif,
        summary="compute what a shock would do to a recorded or live venue",
        description="Reads the streams of a directory up to TIME, like `foreshock replay`, or the "
        "topics of a service that runs, and computes who would be liquidated if prices moved, "
        "generation by generation and across symbols: before, "
        "under the venue's present rules, and after, with what you change. "
        "The result is a computation under stated assumptions, not a forecast.",
        epilog="""\
examples:
  foreshock whatif --directory day --at +24m --shock BTC-PERP=-3%
  foreshock whatif --directory day --at 2026-01-01T00:24:00Z --shock '*=-3%' --halt ETH-PERP
  foreshock whatif --directory day --at +24m --shock BTC-PERP=-3% --depth '*=x0.4' --step 10%
  foreshock whatif --kafka --shock BTC-PERP=-3% --maintenance '*=x1.2'
""",
    )
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--directory", metavar="DIR", type=Path, help="directory of the streams")
    source.add_argument(
        "--kafka",
        action="store_true",
        help="read the topics of the settings; a service must write the topic of signals",
    )
    command.add_argument(
        "--at",
        metavar="TIME",
        type=moment,
        help="the moment: a time with its offset (UTC without one), or +DURATION after the "
        "beginning of the streams; with --kafka the end of the topics without it",
    )
    for option, metavar, converter, text in (
        ("--shock", "SYMBOL=MOVE", of_symbol("BTC-PERP=-3%", move),
         "move a price, e.g. BTC-PERP=-3%%"),
        ("--maintenance", "SYMBOL=FACTOR", of_symbol("SOL-PERP=x1.5", factor),
         "multiply maintenance rates, e.g. SOL-PERP=x1.5"),
        ("--depth", "SYMBOL=FACTOR", of_symbol("*=x0.4", factor),
         "multiply depth, e.g. '*=x0.4': each sale moves the price 2.5 times as far"),
    ):  # fmt: skip
        command.add_argument(
            option,
            metavar=metavar,
            type=converter,
            action=_OnceEach,
            default={},
            help=f"{text}; again for other symbols, * for all that are not named",
        )
    command.add_argument(
        "--halt",
        metavar="SYMBOL",
        action="append",
        default=[],
        help="nothing trades in this symbol; again for others",
    )
    command.add_argument(
        "--step",
        metavar="SHARE",
        type=share,
        help="liquidate in steps of this share of a position, e.g. 10%%",
    )
    command.add_argument(
        "--mark-window",
        metavar="DURATION",
        type=seconds,
        help="the window of all mark prices, e.g. 60s",
    )
    command.add_argument(
        "--format",
        choices=("table", "json", "html"),
        default="table",
        help="what is written to standard output (default: %(default)s)",
    )
    add_config(command)
