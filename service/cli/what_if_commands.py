"""The function of ``foreshock whatif``."""

import argparse
import os
import sys

from service.errors import ConfigurationError

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
    from service.what_if.recorded import monitor_at
    from service.what_if.words import text

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
    at, directory = arguments.at, arguments.directory
    until, monitor = monitor_at(directory, settings, at.ns, after_start=at.after_start)
    try:
        found = answer(standing(monitor.holdings, monitor.learned, until), scenario)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    if arguments.format == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    elif arguments.format == "html":
        sys.stdout.write(page(found, str(directory)))
    else:
        print(text(found))  # noqa: T201 - the command's output
    return 0
