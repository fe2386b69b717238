"""The function of ``foreshock whatif``."""

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING

from service.errors import ConfigurationError

if TYPE_CHECKING:
    from detectors.risk_watch.monitor import RiskMonitor
    from service.settings.types import Settings

# The command imports what it needs, see ``service.cli.commands``.
# ruff: noqa: PLC0415


def whatif(arguments: argparse.Namespace) -> int:
    """``foreshock whatif``."""
    import msgspec

    from detectors.risk.what_if.scenario import Scenario
    from detectors.risk_watch.what_if import answer, standing
    from service import logs
    from service.settings.load import load_settings
    from service.what_if.page import page
    from service.what_if.words import text

    _check(arguments)
    settings = load_settings(arguments.config, os.environ)
    logs.configure(settings.log.level, settings.log.format)
    scenario = Scenario(
        arguments.shock,
        frozenset(arguments.halt),
        arguments.maintenance,
        arguments.depth,
        arguments.step,
        arguments.mark_window,
    )
    until, monitor, source = _monitor(arguments, settings)
    try:
        found = answer(standing(monitor.holdings, monitor.learned, until), scenario)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    if arguments.format == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    elif arguments.format == "html":
        sys.stdout.write(page(found, source))
    else:
        print(text(found))  # noqa: T201 - the command's output
    return 0


def _check(arguments: argparse.Namespace) -> None:
    at = arguments.at
    if arguments.kafka and at is not None and at.after_start:
        raise ConfigurationError(
            "--at +DURATION counts from the beginning of a directory; with --kafka name a time "
            "such as 2026-01-01T00:24:00Z, or leave --at out for the end of the topics"
        )
    if not arguments.kafka and at is None:
        raise ConfigurationError("--directory needs --at: the moment of the streams")


def _monitor(arguments: argparse.Namespace, settings: "Settings") -> "tuple[int, RiskMonitor, str]":
    """Return the moment, the monitor of the risk as it stands then, and where that is from."""
    at = arguments.at
    if arguments.kafka:
        from service.kafka.risk_state import monitor_of_topics
        from service.mapping.topics import topics_of

        until, monitor = asyncio.run(monitor_of_topics(settings, at.ns if at is not None else None))
        mapped = topics_of("positions", settings.mappings)
        return until, monitor, mapped or settings.topics.positions
    from service.what_if.recorded import monitor_at

    directory = arguments.directory
    until, monitor = monitor_at(directory, settings, at.ns, after_start=at.after_start)
    return until, monitor, str(directory)
