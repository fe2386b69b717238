"""The functions of the subcommands that judge alerts, and review them."""

import argparse
import asyncio
import os
import time

from service.cli.operators import user_name
from service.errors import ConfigurationError

# Each command imports what it needs, see ``service.cli.commands``.
# ruff: noqa: PLC0415


def feedback(arguments: argparse.Namespace) -> int:
    """``foreshock feedback``."""
    from service.kafka.operator import find_alert, send_feedback
    from service.pipeline.feedback import MAX_NOTE, Feedback
    from service.settings.load import load_settings

    note: str = arguments.note
    if len(note) > MAX_NOTE:
        raise ConfigurationError(
            f"--note has {len(note)} characters; it must have at most {MAX_NOTE}"
        )
    settings = load_settings(arguments.config, os.environ)

    async def judge() -> None:
        alert = await find_alert(settings, arguments.alert_id)
        judged = Feedback(
            alert_id=alert.alert_id,
            symbol=alert.symbol,
            detector=alert.detector,
            verdict=arguments.verdict,
            judged_at=time.time_ns(),
            note=note,
            judged_by=user_name()[:64],
        )
        await send_feedback(settings, judged)
        _say(f"{alert.alert_id} is {judged.verdict}: {alert.detector}, {alert.summary}")

    asyncio.run(judge())
    return 0


def review(arguments: argparse.Namespace) -> int:
    """``foreshock review``."""
    import msgspec

    from service.output_files import OutputFile
    from service.review.build import review as build
    from service.review.material import from_files, from_topics
    from service.review.page import page, summary
    from service.settings.load import load_settings

    since, until = arguments.since, arguments.until
    if since >= until:
        raise ConfigurationError("--from must be before --to")
    if arguments.alerts is None and (arguments.feedback or arguments.journal):
        raise ConfigurationError("--feedback and --journal need --alerts")
    # Opened at once, so that an error is found before the work begins.
    html = OutputFile("--html", arguments.html) if arguments.html is not None else None
    json = OutputFile("--json", arguments.json) if arguments.json is not None else None
    if arguments.alerts is not None:
        material = from_files(arguments.alerts, arguments.feedback, arguments.journal)
    else:
        settings = load_settings(arguments.config, os.environ)
        material = asyncio.run(from_topics(settings, since))
    found = build(material, since, until)
    if html is not None:
        html.write(page(found).encode())
        html.close()
    if json is not None:
        json.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        json.close()
    _say(summary(found))
    return 0


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the command's output
