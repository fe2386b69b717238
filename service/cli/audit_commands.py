"""The function of the subcommand that audits a venue."""

import argparse
import os

# The command imports what it needs, see ``service.cli.commands``.
# ruff: noqa: PLC0415


def audit(arguments: argparse.Namespace) -> int:
    """``foreshock audit``."""
    import msgspec

    from detectors.audit.claims import Book
    from service.audit.claims_file import read_claims
    from service.audit.page import page
    from service.audit.result import exit_status
    from service.audit.run import audit_directory
    from service.audit.text import junit, text
    from service.output_files import OutputFile
    from service.settings.load import load_settings

    claims = read_claims(arguments.claims) if arguments.claims is not None else Book()
    settings = load_settings(arguments.config, os.environ)
    # Opened at once, so that an error is found before the work begins.
    files = {
        name: OutputFile(f"--{name}", path)
        for name in ("html", "json", "junit")
        if (path := getattr(arguments, name)) is not None
    }
    found = audit_directory(arguments.directory, claims, settings)
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
