"""The arguments of the subcommand that shows and moves kill switches."""

import argparse
from typing import TYPE_CHECKING, get_args

from service.cli import killswitch_commands as commands
from service.cli.argument_parts import add_command, add_config
from service.pipeline.commands import Action

if TYPE_CHECKING:
    from service.cli.argument_parts import Subcommands


def add_killswitch(subcommands: "Subcommands") -> None:
    """Add ``foreshock killswitch``."""
    command = add_command(
        subcommands,
        "killswitch",
        commands.killswitch,
        summary="show the kill switches, or move one",
        description="Shows the states of the kill switches, or commands one: trip (cancel, then "
        "only reduce), hold (no new orders), rearm (trade freely), test (a drill, which changes "
        "nothing). The instance that owns the symbol applies the command and answers with a "
        "record. The symbol '*' is the whole venue.",
        epilog="""\
examples:
  foreshock killswitch status
  foreshock killswitch trip BTC-PERP --reason wrong-index
  foreshock killswitch rearm BTC-PERP --reason index-repaired --by ann
  foreshock killswitch test '*' --reason monthly-drill
""",
    )
    command.add_argument(
        "action",
        metavar="ACTION",
        choices=("status", *get_args(Action)),
        help="status, trip, hold, rearm or test",
    )
    command.add_argument(
        "symbol", metavar="SYMBOL", nargs="?", default="", help="the symbol; '*': the whole venue"
    )
    command.add_argument(
        "--reason", metavar="TEXT", default="", help="why, in up to 500 characters; not for status"
    )
    command.add_argument(
        "--by", metavar="NAME", default="", help="who commands it (default: the system's user)"
    )
    command.add_argument(
        "--wait",
        metavar="SECONDS",
        type=_seconds,
        default=15.0,
        help="how long to wait for the answer (default: %(default)s)",
    )
    command.add_argument("--json", action="store_true", help="print the records as JSON lines")
    add_config(command)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 3_600.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return seconds
