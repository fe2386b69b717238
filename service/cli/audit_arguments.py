"""The command line of the subcommand that audits a venue."""

from pathlib import Path
from typing import TYPE_CHECKING

from service.cli import argument_types as types
from service.cli import audit_commands as commands
from service.cli.argument_parts import add_command, add_config

if TYPE_CHECKING:
    from service.cli.argument_parts import Subcommands


def add_audit(subcommands: "Subcommands") -> None:
    """Add ``audit``."""
    command = add_command(
        subcommands,
        "audit",
        commands.audit,
        summary="test recorded days of a venue against the rules that it states",
        description="Reads the streams in DIR, or with --kafka those of the topics, and the claims "
        "of the venue, and recomputes whether "
        "the venue kept them: triggers, sizes, order and prices of liquidations, mark price, "
        "positions, parameters, feed. Each check passes, fails with its worst cases, says what "
        "the venue does where nothing is claimed, or names the input that it lacks. The same "
        "files give the same output.",
        epilog="""\
examples:
  foreshock simulate day --scenario cascade && foreshock audit day
  foreshock audit day --claims venue.toml --html audit.html --junit audit.xml
  foreshock audit --kafka --from 2026-01-31T08:00Z --to 2026-01-31T09:00Z --config staging.toml

exit codes: 0 no check fails, 1 a check fails or a file is damaged, 2 wrong command line or claims
""",
    )
    command.add_argument(
        "directory", metavar="DIR", type=Path, nargs="?", help="directory of the files"
    )
    command.add_argument(
        "--kafka", action="store_true", help="read the input topics of the configuration, no DIR"
    )
    command.add_argument(
        "--from",
        dest="since",
        metavar="TIME",
        type=types.moment_ns,
        help="with --kafka: the first time of events: a date, or a time with its offset (UTC "
        "without one; default: the oldest record)",
    )
    command.add_argument(
        "--to",
        dest="until",
        metavar="TIME",
        type=types.moment_ns,
        help="with --kafka: the time of events to end before (default: what is there now)",
    )
    command.add_argument(
        "--claims", metavar="FILE", type=Path, help="the venue's rules in TOML (default: none)"
    )
    command.add_argument(
        "--mark-windows",
        action="store_true",
        help="add what other mark windows would have made of the liquidations: regret against "
        "shortfall",
    )
    command.add_argument("--html", metavar="FILE", type=Path, help="write the audit as HTML")
    command.add_argument("--json", metavar="FILE", type=Path, help="write the audit as JSON")
    command.add_argument("--junit", metavar="FILE", type=Path, help="write the audit as JUnit XML")
    add_config(command)
