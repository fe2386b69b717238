"""The command line of ``foreshock``: subcommands, options and help texts."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from service import __version__
from service.cli import argument_types as types
from service.cli import commands
from service.cli.argument_parts import add_command, add_config, add_scenario
from service.cli.audit_arguments import add_audit
from service.cli.feedback_arguments import add_feedback, add_review
from service.cli.import_command import add_import
from service.cli.killswitch_arguments import add_killswitch
from service.cli.map_command import add_map
from service.cli.market_arguments import add_scorecard, add_simulate
from service.cli.what_if_arguments import add_what_if

if TYPE_CHECKING:
    from service.cli.argument_parts import Subcommands

_EPILOG = """start here:
  foreshock demo                 see a warning of a cascade; needs no setup
  foreshock replay DIR           run the detection over recorded days
  foreshock audit DIR            test a venue against the rules that it states
  foreshock whatif --help        compute what a shock would do to a recorded venue
  foreshock topics --create      create the Kafka topics
  foreshock run                  watch the topics of the cluster

exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 130 interrupted
"""


def parser() -> argparse.ArgumentParser:
    """Create the parser; its result holds the function of the subcommand as ``command``."""
    top = argparse.ArgumentParser(
        prog="foreshock",
        description="Watches the order flow of a derivatives exchange and warns while stress is\n"
        "still building, before it becomes a liquidation cascade.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"foreshock {__version__}")
    subcommands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(subcommands)
    _add_replay(subcommands)
    add_what_if(subcommands)
    _add_demo(subcommands)
    add_simulate(subcommands)
    add_scorecard(subcommands)
    _add_check_config(subcommands)
    _add_topics(subcommands)
    _add_asyncapi(subcommands)
    _add_detectors(subcommands)
    add_feedback(subcommands)
    add_review(subcommands)
    add_audit(subcommands)
    add_killswitch(subcommands)
    add_map(subcommands)
    add_import(subcommands)
    return top


def _add_run(subcommands: "Subcommands") -> None:
    command = add_command(
        subcommands,
        "run",
        commands.run,
        summary="watch the topics of a Kafka cluster",
        description="Reads orders, cancels and trades from Kafka and writes alerts to Kafka. "
        "Serves the console at /, and /metrics, /healthz and /readyz. Runs until SIGTERM or "
        "Ctrl-C. Kafka stores the learned state, so that a restart continues from there. "
        "Several processes with the same kafka.group_id share the partitions.",
        epilog="""\
examples:
  foreshock run --config /etc/foreshock.toml
  FORESHOCK_KAFKA__BOOTSTRAP_SERVERS=kafka:9092 foreshock run
""",
    )
    add_config(command)


def _add_replay(subcommands: "Subcommands") -> None:
    command = add_command(
        subcommands,
        "replay",
        commands.replay,
        summary="run the detection over recorded files",
        description="Reads DIR/orders.ndjson, cancels.ndjson and trades.ndjson at full speed, and "
        "references.ndjson, margins.ndjson, positions.ndjson and statuses.ndjson if they exist. "
        "Each file may also be .ndjson.gz or .ndjson.zst. The same files always give the same "
        "alerts: those that the service would have raised. Prints a summary table at the end.",
        epilog="""\
examples:
  foreshock simulate day --scenario cascade && foreshock replay day
  foreshock replay day --alerts alerts.ndjson --summary summary.json
  foreshock replay day --report report.html
""",
    )
    command.add_argument("directory", metavar="DIR", type=Path, help="directory of the files")
    command.add_argument("--alerts", metavar="FILE", type=Path, help="write the alerts as NDJSON")
    command.add_argument(
        "--signals", metavar="FILE", type=Path, help="write the scores of each bar as NDJSON"
    )
    command.add_argument(
        "--switches", metavar="FILE", type=Path, help="write the kill switches as NDJSON"
    )
    command.add_argument("--summary", metavar="FILE", type=Path, help="write the table as JSON")
    command.add_argument(
        "--report",
        metavar="FILE",
        type=Path,
        help="write one HTML file with plots, incidents and their evidence",
    )
    command.add_argument(
        "--risk",
        metavar="FILE",
        type=Path,
        help="write how near each symbol and side is to a run of liquidations, as NDJSON",
    )
    command.add_argument(
        "--liquidations",
        metavar="FILE",
        type=Path,
        help="write each liquidation, with what it needed and what it took, as NDJSON",
    )
    command.add_argument(
        "--parameters",
        metavar="FILE",
        type=Path,
        help="write each change of margins, with what it would liquidate, as NDJSON",
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar and no table")
    add_config(command)


def _add_demo(subcommands: "Subcommands") -> None:
    command = add_command(
        subcommands,
        "demo",
        commands.demo,
        summary="run the service against an embedded broker and a simulated exchange",
        description="Starts a Kafka broker in memory and a simulated exchange, and runs the "
        "service against them like `foreshock run`. Market time runs faster than the clock.",
        epilog=f"""\
scenarios:
{types.scenario_table()}
examples:
  foreshock demo
  foreshock demo --scenario surge --seed 7
""",
    )
    command.add_argument(
        "--seconds",
        type=types.above_zero,
        default=90.0,
        help="duration of the demo in seconds (default: %(default)g)",
    )
    add_scenario(command, "cascade")
    command.add_argument(
        "--speed",
        type=types.above_zero,
        help="market seconds per second (default: enough for half an hour of market time, or "
        "for the scenario if it is longer; 20 at the default --seconds)",
    )
    command.add_argument(
        "--http-port",
        metavar="PORT",
        type=types.port,
        default=9464,
        help="port of the console and of /metrics; 0 for any free port (default: %(default)s)",
    )
    command.add_argument(
        "--keep",
        action="store_true",
        help="keep the console running after the market has ended, until Ctrl-C",
    )


def _add_check_config(subcommands: "Subcommands") -> None:
    command = add_command(
        subcommands,
        "check-config",
        commands.check_config,
        summary="check the settings and show the source of each",
        description="Reads the settings like `foreshock run` and reports all errors. Without an "
        "error, prints the settings as a TOML file, each with its source: default, the file, or "
        "the variable. docs/configuration.md describes every setting.",
        epilog="""\
examples:
  foreshock check-config --config /etc/foreshock.toml
  FORESHOCK_HTTP__PORT=9000 foreshock check-config
""",
    )
    add_config(command)


def _add_topics(subcommands: "Subcommands") -> None:
    command = add_command(
        subcommands,
        "topics",
        commands.topics,
        summary="check the Kafka topics and create missing ones",
        description="Shows the topics that the settings name. Reports problems and how to fix "
        "them: missing topics, different partition counts, cleanup policies. Exit code 1 if there "
        "is a problem. Never changes or deletes an existing topic.",
        epilog="""\
examples:
  foreshock topics
  foreshock topics --create --partitions 12 --replication-factor 3
""",
    )
    command.add_argument(
        "--create", action="store_true", help="create missing topics, inputs and outputs"
    )
    command.add_argument(
        "--partitions",
        metavar="N",
        type=types.whole,
        help="with --create: partitions of the new topics (default: as the input topics, or 12)",
    )
    command.add_argument(
        "--replication-factor",
        metavar="R",
        type=types.whole,
        help="with --create: replicas of the new topics (default: 3, or the number of brokers if "
        "fewer)",
    )
    add_config(command)


def _add_detectors(subcommands: "Subcommands") -> None:
    command = add_command(
        subcommands,
        "detectors",
        commands.detectors,
        summary="list the detectors: built-in ones and plug-ins",
        description="Lists each detector with its version, its features, its package, and whether "
        "it runs. A plug-in runs only if plugins.allow names it; others are not imported. Exit "
        "code 1 if an allowed plug-in cannot be used. docs/plug-ins.md says how to write one.",
        epilog="""\
examples:
  foreshock detectors
  FORESHOCK_PLUGINS__ALLOW=joint_stress foreshock detectors
""",
    )
    add_config(command)


def _add_asyncapi(subcommands: "Subcommands") -> None:
    command = add_command(
        subcommands,
        "asyncapi",
        commands.asyncapi,
        summary="print a machine-readable description of the topics and their records",
        description="Prints an AsyncAPI 3.0 document (YAML) of all topics that the settings name, "
        "with the JSON schemas of their records.",
        epilog="example:\n  foreshock asyncapi > asyncapi.yaml\n",
    )
    add_config(command)
