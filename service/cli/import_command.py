"""``foreshock import``: a venue's own files become a recording."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.argument_parts import add_command, add_config

if TYPE_CHECKING:
    from service.cli.argument_parts import Subcommands

# The command imports what it needs, see ``service.cli.commands``.
# ruff: noqa: PLC0415


def add_import(subcommands: "Subcommands") -> None:
    """Add ``foreshock import``."""
    command = add_command(
        subcommands,
        "import",
        import_recording,
        summary="turn files of your venue into a recording",
        description="Reads files of messages by the [[mappings]] of a configuration and writes a "
        "recording: orders.ndjson, cancels.ndjson, trades.ndjson and so on, which every command "
        "reads, also the audit. Exit code 1 if a message became no event: rejected.ndjson says "
        "which and why, and all others are written.",
        epilog="""\
SRC is a file TOPIC.ndjson, TOPIC.csv or TOPIC.dbn (Databento; needs foreshock[dbn]), each also with
.gz or .zst, or a directory of such files. A replay of OUT needs the same [quantities].

examples:
  foreshock import AAPL_2012-06-21_34200000_57600000_message_10.csv day --config lobster.toml
  foreshock import glbx-20260307.mbo.dbn.zst day --config databento-mbo.toml --topic databento.mbo
""",
    )
    command.add_argument("source", metavar="SRC", type=Path, help="file or directory of messages")
    command.add_argument("out", metavar="OUT", type=Path, help="directory of the recording")
    command.add_argument("--topic", metavar="NAME", help="the topic of the messages of a file")
    command.add_argument(
        "--compress",
        choices=("none", "gz", "zst"),
        default="none",
        help="compression of the files (default: none)",
    )
    add_config(command)


def import_recording(arguments: argparse.Namespace) -> int:
    """``foreshock import``."""
    from service import logs
    from service.replay.importing import REJECTED, import_files
    from service.settings.load import load_settings

    settings = load_settings(arguments.config, os.environ)
    logs.configure(settings.log.level, settings.log.format)
    found = import_files(
        arguments.source,
        arguments.out,
        settings,
        topic=arguments.topic,
        compression=arguments.compress,
    )
    counts = ", ".join(f"{count} {stream}" for stream, count in found.events.items())
    _say(f"{arguments.out}: {counts or 'no event'}; {found.rejected} messages rejected")
    if found.first is not None:
        its = found.first
        _say(
            f"the first is {its.file}:{its.number}: {its.reason}: {its.detail}\n"
            f"{arguments.out / REJECTED} has all"
        )
    return 1 if found.rejected else 0


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the command's output
