"""The function of the subcommand that audits a venue."""

import argparse
import os

from service.errors import ConfigurationError

# The command imports what it needs, see ``service.cli.commands``.
# ruff: noqa: PLC0415


def audit(arguments: argparse.Namespace) -> int:
    """``foreshock audit``."""
    import msgspec

    from detectors.audit.claims import Book
    from service.audit.claims_file import read_claims
    from service.audit.page import page
    from service.audit.result import exit_status
    from service.audit.run import audit_directory, audit_topics
    from service.audit.text import junit, text
    from service.audit.topics import Span
    from service.output_files import OutputFile
    from service.settings.load import load_settings

    _require_one_input(arguments)
    claims = read_claims(arguments.claims) if arguments.claims is not None else Book()
    settings = load_settings(arguments.config, os.environ)
    if settings.mappings:
        raise ConfigurationError(
            f"{arguments.config} has [[mappings]]: the audit reads plain events only; "
            "give it events in the format of docs/topics.md, and a --config without mappings"
        )
    if settings.wire.format != "json":
        raise ConfigurationError(
            f'wire.format = "{settings.wire.format}": the audit reads JSON only; give it events in '
            "the format of docs/topics.md"
        )
    # Opened at once, so that an error is found before the work begins.
    files = {
        name: OutputFile(f"--{name}", path)
        for name in ("html", "json", "junit")
        if (path := getattr(arguments, name)) is not None
    }
    if arguments.kafka:
        span = Span(arguments.since, arguments.until)
        found = audit_topics(settings, span, claims, mark_windows=arguments.mark_windows)
    else:
        found = audit_directory(
            arguments.directory, claims, settings, mark_windows=arguments.mark_windows
        )
    encoded = {
        "html": lambda: page(found).encode(),
        "json": lambda: msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n",
        "junit": lambda: junit(found),
    }
    for name, file in files.items():
        file.write(encoded[name]())
        file.close()
    print(text(found))  # noqa: T201 - the command's output
    return exit_status(found)


def _require_one_input(arguments: argparse.Namespace) -> None:
    """Raise ConfigurationError unless the command line names one input and a span of it."""
    since, until = arguments.since, arguments.until
    if arguments.kafka == (arguments.directory is not None):
        raise ConfigurationError(
            "name either DIR, a directory with recorded streams, or --kafka, to read the topics"
        )
    if not arguments.kafka and (since is not None or until is not None):
        raise ConfigurationError("--from and --to need --kafka: a directory is audited whole")
    if since is not None and until is not None and since >= until:
        raise ConfigurationError("--from must be before --to")
