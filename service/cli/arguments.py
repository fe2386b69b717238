"""The command line of ``foreshock``: subcommands, options and help texts."""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from service import __version__
from service.cli import argument_types as types
from service.cli import commands
from service.exchange.scenarios.catalogue import SCENARIOS

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_EPILOG = """start here:
  foreshock demo                 see a warning of a cascade; needs no setup
  foreshock replay DIR           run the detection over recorded days
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
    _add_demo(subcommands)
    _add_simulate(subcommands)
    _add_scorecard(subcommands)
    _add_check_config(subcommands)
    _add_topics(subcommands)
    _add_asyncapi(subcommands)
    return top


def _command(
    subcommands: "Subcommands",
    name: str,
    function: Callable[[argparse.Namespace], int],
    *,
    summary: str,
    description: str,
    epilog: str,
) -> argparse.ArgumentParser:
    command = subcommands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, 80),
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=function)
    return command


def _add_run(subcommands: "Subcommands") -> None:
    command = _command(
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
    _add_config(command)


def _add_replay(subcommands: "Subcommands") -> None:
    command = _command(
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
    command.add_argument("--summary", metavar="FILE", type=Path, help="write the table as JSON")
    command.add_argument(
        "--report",
        metavar="FILE",
        type=Path,
        help="write one HTML file with plots, incidents and their evidence",
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar and no table")
    _add_config(command)


def _add_demo(subcommands: "Subcommands") -> None:
    command = _command(
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
    _add_scenario(command, "cascade")
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


def _add_simulate(subcommands: "Subcommands") -> None:
    command = _command(
        subcommands,
        "simulate",
        commands.simulate,
        summary="write the streams of a simulated exchange to files",
        description="Writes the streams of a simulated exchange to OUT, in the format that "
        "`foreshock replay` reads. Also writes the ground truth, truth.ndjson: the injected "
        "episodes with their times, and the start of a cascade. The same seed gives the same "
        "bytes.",
        epilog=f"""\
scenarios:
{types.scenario_table()}
examples:
  foreshock simulate day --scenario cascade --seed 7
  foreshock simulate calm --scenario calm --duration 86400 --compress zst
""",
    )
    command.add_argument(
        "out", metavar="OUT", type=Path, help="output directory; created if it does not exist"
    )
    _add_scenario(command, "calm")
    command.add_argument(
        "--strength",
        type=types.above_zero,
        default=1.0,
        help="strength of the episode; below 1 it is harder to detect (default: %(default)g)",
    )
    command.add_argument(
        "--start",
        metavar="SECONDS",
        type=types.above_zero,
        help="start of the episode (default: by scenario, about a quarter of an hour)",
    )
    command.add_argument(
        "--length",
        metavar="SECONDS",
        type=types.above_zero,
        help="duration of the episode (default: by scenario)",
    )
    command.add_argument(
        "--symbols",
        metavar="N",
        type=types.whole,
        default=4,
        help="number of contracts (default: %(default)s)",
    )
    command.add_argument(
        "--duration",
        metavar="SECONDS",
        type=types.above_zero,
        default=1_800.0,
        help="duration in market time (default: %(default)g)",
    )
    command.add_argument(
        "--events-per-second",
        metavar="X",
        type=types.above_zero,
        default=30.0,
        help="average rate per symbol in a calm market (default: %(default)g)",
    )
    command.add_argument(
        "--compress",
        choices=["none", "gz", "zst"],
        default="none",
        help="compression of the streams (default: %(default)s)",
    )


def _add_scorecard(subcommands: "Subcommands") -> None:
    command = _command(
        subcommands,
        "scorecard",
        commands.scorecard,
        summary="measure the detection on labelled markets, against simple baselines",
        description="Simulates markets with a known ground truth and runs the detection over "
        "them, on the same path as replay. Counts the episodes found, the detection delay, the "
        "lead time before a cascade, and the false alarms. Naive baselines get the same budget of "
        "false alarms. Writes scorecard.json, .md and .html to OUT. The same options give the "
        "same figures.",
        epilog="""\
examples:
  foreshock scorecard
  foreshock scorecard --scenarios cascade,cancel_burst --seeds 20 --calm-days 0
  foreshock scorecard --recorded DIR DIR --seeds 3
  foreshock scorecard --recorded DIR --one-episode --seeds 20
""",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("build/scorecard"),
        help="output directory (default: %(default)s)",
    )
    command.add_argument(
        "--scenarios",
        metavar="NAMES",
        type=types.scenario_names,
        default=list(SCENARIOS),
        help="scenarios, separated by commas (default: all)",
    )
    command.add_argument(
        "--seeds",
        metavar="N",
        type=types.whole,
        default=5,
        help="markets per scenario, strength and activity (default: %(default)s)",
    )
    command.add_argument(
        "--baselines",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also run the naive baselines, which takes 50 %% longer",
    )
    command.add_argument(
        "--activities",
        metavar="RATES",
        type=types.rates,
        default=(30.0, 10.0),
        help="events per second and symbol in a calm market, separated by commas (default: 30,10)",
    )
    command.add_argument(
        "--calm-days",
        metavar="N",
        type=types.whole_or_zero,
        default=8,
        help="calm symbol-days (default: %(default)s)",
    )
    command.add_argument(
        "--budget",
        metavar="X",
        type=types.above_zero,
        default=1.0,
        help="false alarms per symbol and day (default: %(default)g)",
    )
    command.add_argument(
        "--tuning",
        action="store_true",
        help="use the seeds for tuning constants, not those for reports",
    )
    command.add_argument(
        "--recorded",
        metavar="DIR",
        type=Path,
        nargs="+",
        help="do not simulate; inject cancel bursts, pulled and draining books, stuffing, "
        "layering, spoofing and leverage jumps into the recorded streams of each DIR: --seeds "
        "sessions with --episodes episodes each; the files stay unchanged",
    )
    command.add_argument(
        "--episodes",
        metavar="N",
        type=types.whole,
        default=15,
        help="episodes in a session of recorded flow, as many as fit (default: %(default)s)",
    )
    command.add_argument(
        "--one-episode",
        action="store_true",
        help="with --recorded DIR: a run for each kind, strength and seed, with one episode",
    )
    command.add_argument(
        "--jobs", metavar="N", type=types.whole, help="processes (default: one per processor)"
    )


def _add_check_config(subcommands: "Subcommands") -> None:
    command = _command(
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
    _add_config(command)


def _add_topics(subcommands: "Subcommands") -> None:
    command = _command(
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
    _add_config(command)


def _add_asyncapi(subcommands: "Subcommands") -> None:
    command = _command(
        subcommands,
        "asyncapi",
        commands.asyncapi,
        summary="print a machine-readable description of the topics and their records",
        description="Prints an AsyncAPI 3.0 document (YAML) of all topics that the settings name, "
        "with the JSON schemas of their records.",
        epilog="example:\n  foreshock asyncapi > asyncapi.yaml\n",
    )
    _add_config(command)


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="settings in TOML (default: $FORESHOCK_CONFIG, or ./foreshock.toml if it exists); "
        "FORESHOCK_… variables take precedence over the file",
    )


def _add_scenario(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--scenario",
        metavar="NAME",
        choices=list(SCENARIOS),
        default=default,
        help="scenario, see below (default: %(default)s)",
    )
    command.add_argument(
        "--seed", type=int, default=1, help="each seed gives another market (default: %(default)s)"
    )
