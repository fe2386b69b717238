"""Parts of the command line that several subcommands share."""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from service.exchange.scenarios.catalogue import SCENARIOS

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name


def add_command(
    subcommands: "Subcommands",
    name: str,
    function: Callable[[argparse.Namespace], int],
    *,
    summary: str,
    description: str,
    epilog: str,
) -> argparse.ArgumentParser:
    """Add a subcommand that calls ``function`` with its arguments."""
    command = subcommands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, 80),
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=function)
    return command


def add_config(command: argparse.ArgumentParser) -> None:
    """Add the option that names the settings file."""
    command.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="settings in TOML (default: $FORESHOCK_CONFIG, or ./foreshock.toml if it exists); "
        "FORESHOCK_… variables take precedence over the file",
    )


def add_scenario(command: argparse.ArgumentParser, default: str) -> None:
    """Add the options that choose a simulated market."""
    command.add_argument(
        "--scenario",
        metavar="NAME",
        choices=list(SCENARIOS),
        default=default,
        help="scenario, see below (default: %(default)s)",
    )
    command.add_argument(
        "--seed", type=int, default=1, help="each seed gives another market (default: %(default)s)"
    )
