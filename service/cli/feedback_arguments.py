"""The arguments of the subcommands that judge alerts, and review them."""

from pathlib import Path
from typing import TYPE_CHECKING

from service.cli import argument_types as types
from service.cli import feedback_commands as commands
from service.cli.argument_parts import add_command, add_config

if TYPE_CHECKING:
    from service.cli.argument_parts import Subcommands


def add_feedback(subcommands: "Subcommands") -> None:
    """Add ``foreshock feedback``."""
    command = add_command(
        subcommands,
        "feedback",
        commands.feedback,
        summary="judge an alert: true or false",
        description="Writes to the feedback topic what you judge of an alert. An alarm that was "
        "true does not count against the false-alarm budget; one that was false, or that nobody "
        "judged, does. Judge again to change your mind: the last verdict counts.",
        epilog="""\
examples:
  foreshock feedback 78f06c56d9142a041e179255dbf2eb1b true
  foreshock feedback 78f06c56d9142a041e179255dbf2eb1b false --note rebalance
""",
    )
    command.add_argument(
        "alert_id", metavar="ALERT_ID", type=types.alert_id, help="the alert_id of an alert"
    )
    command.add_argument(
        "verdict",
        metavar="VERDICT",
        choices=("true", "false"),
        help="true: the alarm was right; false: it was wrong",
    )
    command.add_argument("--note", metavar="TEXT", default="", help="why, in up to 500 characters")
    add_config(command)


def add_review(subcommands: "Subcommands") -> None:
    """Add ``foreshock review``."""
    command = add_command(
        subcommands,
        "review",
        commands.review,
        summary="review the alarms, judgements and downtime of a period",
        description="Reads the topics of alerts, feedback, dead letters and the journal, and "
        "writes the yearly review of the surveillance that RTS 6 Article 13(6) requires: alarms "
        "and judgements by detector and month, precision with its interval, budgets in force, "
        "changes of the configuration, dead letters and downtime. Says what it cannot know. The "
        "same records give the same files.",
        epilog="""\
examples:
  foreshock review --from 2026-01-01 --to 2027-01-01 --html review.html --json review.json
  foreshock review --from 2026-01-01 --to 2026-02-01 --alerts alerts.ndjson --feedback judged.ndjson
""",
    )
    command.add_argument(
        "--from",
        dest="since",
        metavar="TIME",
        type=types.moment_ns,
        required=True,
        help="begin of the period: a date, or a time with its offset (UTC without one)",
    )
    command.add_argument(
        "--to",
        dest="until",
        metavar="TIME",
        type=types.moment_ns,
        required=True,
        help="end of the period, which is not part of it",
    )
    command.add_argument("--html", metavar="FILE", type=Path, help="write the review as HTML")
    command.add_argument("--json", metavar="FILE", type=Path, help="write the review as JSON")
    command.add_argument(
        "--alerts",
        metavar="FILE",
        type=Path,
        help="read alerts from NDJSON, as `foreshock replay --alerts` writes them, and no topic",
    )
    command.add_argument(
        "--feedback", metavar="FILE", type=Path, help="with --alerts: read feedback from NDJSON"
    )
    command.add_argument(
        "--journal", metavar="FILE", type=Path, help="with --alerts: read the journal from NDJSON"
    )
    add_config(command)
