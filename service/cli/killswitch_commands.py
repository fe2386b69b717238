"""The function of the subcommand that shows and moves kill switches."""

import argparse
import asyncio
import os
from typing import TYPE_CHECKING

from service.cli.operators import user_name
from service.errors import ConfigurationError

if TYPE_CHECKING:
    from detectors.kill_switch.switch import KillSwitch
    from service.pipeline.commands import Command

# Each command imports what it needs, see ``service.cli.commands``.
# ruff: noqa: PLC0415


def killswitch(arguments: argparse.Namespace) -> int:
    """``foreshock killswitch``."""
    from service.settings.load import load_settings

    command = None
    if arguments.action == "status":
        if arguments.reason:
            raise ConfigurationError("--reason is for commands; status only shows")
    else:
        command = _command(arguments)
    settings = load_settings(arguments.config, os.environ)
    from service.kafka.switch_operator import order, status

    if command is None:
        found = asyncio.run(status(settings, arguments.symbol))
        _say(found.as_json() if arguments.json else found.as_table())
        return 0
    answer = asyncio.run(order(settings, command, arguments.wait))
    _say(_json(answer) if arguments.json else _told(answer))
    return 0


def _command(arguments: argparse.Namespace) -> "Command":
    """Return the command of the arguments. Raises ConfigurationError if they are no command."""
    import time
    import uuid

    from detectors.market_data.events import MAX_NAME_LENGTH
    from service.pipeline.commands import MAX_REASON, Command

    action, symbol, reason = arguments.action, arguments.symbol, arguments.reason.strip()
    by = (arguments.by or user_name()).strip()
    if not symbol:
        raise ConfigurationError(f"{action} needs a SYMBOL; '*' is the whole venue")
    if not reason:
        raise ConfigurationError(f"{action} needs --reason: it is kept with the state")
    if len(reason) > MAX_REASON:
        raise ConfigurationError(
            f"--reason has {len(reason)} characters; it must have at most {MAX_REASON}"
        )
    if not by:
        raise ConfigurationError(f"{action} needs --by: the system does not know your name")
    if len(by) > MAX_NAME_LENGTH:
        raise ConfigurationError(
            f"--by has {len(by)} characters; it must have at most {MAX_NAME_LENGTH}"
        )
    return Command(uuid.uuid4().hex, symbol, action, reason, by, time.time_ns())


def _told(answer: "KillSwitch") -> str:
    what = "the whole venue" if answer.symbol == "*" else answer.symbol
    if answer.drill:
        return f"{what}: the drill is told; the state is still {answer.state}"
    return f"{what} is {answer.state}: {answer.reason}"


def _json(answer: "KillSwitch") -> str:
    from detectors.kill_switch.switch import encode

    return encode(answer).decode()


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the command's output
