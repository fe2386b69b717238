"""The command line of ``foreshock``: subcommands, options, and the texts that explain them."""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from service import __version__
from service.cli import commands
from service.cli.argument_types import above_zero, port, rates, scenario_names, whole, whole_or_zero
from service.exchange.scenarios.catalogue import SCENARIOS

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse names it no better

_EPILOG = """\
start here:
  foreshock demo                 watch it warn of a cascade; needs nothing but this command
  foreshock replay DIR           run it over recorded days
  foreshock topics --create      prepare a Kafka cluster
  foreshock run                  watch the cluster's topics

exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 130 interrupted
"""


def parser() -> argparse.ArgumentParser:
    """The parser; what it parsed holds the command's function as ``command``."""
    top = argparse.ArgumentParser(
        prog="foreshock",
        description="Watches an exchange's order flow and warns while stress is still building,\n"
        "before it becomes a liquidation cascade.",
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
        description="Reads orders, cancels and trades from Kafka, writes alerts to Kafka, and "
        "serves the console at /, and /metrics, /healthz and /readyz. Runs until it gets SIGTERM "
        "or Ctrl-C; what it has learnt is kept in Kafka, so that it carries on where it was. "
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
        description="Reads DIR/orders.ndjson, cancels.ndjson and trades.ndjson, and where there "
        "are any references.ndjson, margins.ndjson and positions.ndjson (each may also be "
        ".ndjson.gz or .ndjson.zst), at full speed. The same files give the same alerts, and "
        "those that the service would have raised. A table at the end sums up.",
        epilog="""\
examples:
  foreshock simulate day --scenario cascade && foreshock replay day
  foreshock replay day --alerts alerts.ndjson --summary summary.json
  foreshock replay day --report report.html
""",
    )
    command.add_argument("directory", metavar="DIR", type=Path, help="where the files are")
    command.add_argument("--alerts", metavar="FILE", type=Path, help="write the alerts as NDJSON")
    command.add_argument(
        "--signals", metavar="FILE", type=Path, help="write each bar's scores as NDJSON"
    )
    command.add_argument("--summary", metavar="FILE", type=Path, help="write the table as JSON")
    command.add_argument(
        "--report",
        metavar="FILE",
        type=Path,
        help="write a page with plots, incidents and their evidence: one HTML file for a browser",
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar and no table")
    _add_config(command)


def _add_demo(subcommands: "Subcommands") -> None:
    command = _command(
        subcommands,
        "demo",
        commands.demo,
        summary="watch it at work: an embedded broker and a simulated exchange",
        description="Starts a Kafka broker in memory and a simulated exchange, and runs the "
        "service against them as `foreshock run` would. Market time runs faster than the clock.",
        epilog=f"""\
scenarios:
{_scenarios()}
examples:
  foreshock demo
  foreshock demo --scenario surge --seed 7
""",
    )
    command.add_argument(
        "--seconds",
        type=above_zero,
        default=90.0,
        help="end after so many seconds (default: %(default)g)",
    )
    _add_scenario(command, "cascade")
    command.add_argument(
        "--speed",
        type=above_zero,
        help="seconds of market time a second (default: what makes half an hour of market time "
        "fit, or as much as the scenario needs; 20 at the default --seconds)",
    )
    command.add_argument(
        "--http-port",
        metavar="PORT",
        type=port,
        default=9464,
        help="the port of the console and of /metrics; 0 for any free one (default: %(default)s)",
    )
    command.add_argument(
        "--keep",
        action="store_true",
        help="stay when the market has ended, to look around in the console, until Ctrl-C",
    )


def _add_simulate(subcommands: "Subcommands") -> None:
    command = _command(
        subcommands,
        "simulate",
        commands.simulate,
        summary="write a simulated exchange's day to files",
        description="Writes the streams of a simulated exchange to OUT, in the format that "
        "`foreshock replay` reads, and beside them the ground truth: truth.ndjson says what was "
        "provoked and when, and when a cascade began. The same seed gives the same bytes.",
        epilog=f"""\
scenarios:
{_scenarios()}
examples:
  foreshock simulate day --scenario cascade --seed 7
  foreshock simulate calm --scenario calm --duration 86400 --compress zst
""",
    )
    command.add_argument("out", metavar="OUT", type=Path, help="the directory; made if need be")
    _add_scenario(command, "calm")
    command.add_argument(
        "--strength",
        type=above_zero,
        default=1.0,
        help="of what is provoked; below 1 it is harder to notice (default: %(default)g)",
    )
    command.add_argument(
        "--start",
        metavar="SECONDS",
        type=above_zero,
        help="when it is provoked (default: the scenario's own, a quarter of an hour or so)",
    )
    command.add_argument(
        "--length",
        metavar="SECONDS",
        type=above_zero,
        help="how long what is provoked lasts (default: the scenario's own)",
    )
    command.add_argument(
        "--symbols",
        metavar="N",
        type=whole,
        default=4,
        help="number of contracts (default: %(default)s)",
    )
    command.add_argument(
        "--duration",
        metavar="SECONDS",
        type=above_zero,
        default=1_800.0,
        help="market time (default: %(default)g)",
    )
    command.add_argument(
        "--events-per-second",
        metavar="X",
        type=above_zero,
        default=30.0,
        help="of a symbol in calm, on average (default: %(default)g)",
    )
    command.add_argument(
        "--compress",
        choices=["none", "gz", "zst"],
        default="none",
        help="how to compress the streams (default: %(default)s)",
    )


def _add_scorecard(subcommands: "Subcommands") -> None:
    command = _command(
        subcommands,
        "scorecard",
        commands.scorecard,
        summary="measure the detection on labelled markets, beside simple baselines",
        description="Simulates markets in which it is known what went wrong and when, runs the "
        "detection over them through the path that replay takes, and counts: what was found, how "
        "soon, how long before a cascade began, and what was raised for nothing. Naive baselines "
        "get the same budget of false alarms. Writes scorecard.json, .md and .html to OUT. The "
        "same options give the same figures.",
        epilog="""\
examples:
  foreshock scorecard
  foreshock scorecard --scenarios cascade,cancel_burst --seeds 20 --calm-days 0
  foreshock scorecard --recorded DIR --seeds 20
""",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("build/scorecard"),
        help="the directory to write to (default: %(default)s)",
    )
    command.add_argument(
        "--scenarios",
        metavar="NAMES",
        type=scenario_names,
        default=list(SCENARIOS),
        help="which, separated by commas (default: all)",
    )
    command.add_argument(
        "--seeds",
        metavar="N",
        type=whole,
        default=5,
        help="markets of each scenario, strength and activity (default: %(default)s)",
    )
    command.add_argument(
        "--baselines",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="watch with the naive baselines too, which takes half as long again",
    )
    command.add_argument(
        "--activities",
        metavar="RATES",
        type=rates,
        default=(30.0, 10.0),
        help="events a second and symbol in calm, separated by commas (default: 30,10)",
    )
    command.add_argument(
        "--calm-days",
        metavar="N",
        type=whole_or_zero,
        default=8,
        help="calm symbol-days (default: %(default)s)",
    )
    command.add_argument(
        "--budget",
        metavar="X",
        type=above_zero,
        default=1.0,
        help="false alarms a symbol and day (default: %(default)g)",
    )
    command.add_argument(
        "--tuning",
        action="store_true",
        help="use the seeds that constants may be chosen by, not those for reports",
    )
    command.add_argument(
        "--recorded",
        metavar="DIR",
        type=Path,
        help="instead of simulating, put cancel bursts, pulled and draining books, stuffing, "
        "layering and spoofing into the recorded streams of DIR, which stay as they are",
    )
    command.add_argument(
        "--jobs", metavar="N", type=whole, help="processes (default: one a processor)"
    )


def _add_check_config(subcommands: "Subcommands") -> None:
    command = _command(
        subcommands,
        "check-config",
        commands.check_config,
        summary="show the effective settings and where each is from",
        description="Reads the settings as `foreshock run` would, says all that is wrong with "
        "them, and otherwise prints them as a TOML file, each with where it is from: default, "
        "the file, or the variable. docs/configuration.md explains every setting.",
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
        summary="check the Kafka topics, and create those that are missing",
        description="Shows the topics that the settings name, and says what is wrong with them "
        "and how to mend it: missing ones, partition counts that differ, cleanup policies. Exit "
        "code 1 if there is anything. Never changes or deletes a topic that exists.",
        epilog="""\
examples:
  foreshock topics
  foreshock topics --create --partitions 12 --replication-factor 3
""",
    )
    command.add_argument(
        "--create", action="store_true", help="create the missing ones, inputs and outputs"
    )
    command.add_argument(
        "--partitions",
        metavar="N",
        type=whole,
        help="with --create: of the new topics (default: as the input topics, or 12)",
    )
    command.add_argument(
        "--replication-factor",
        metavar="R",
        type=whole,
        help="with --create: of the new topics (default: 3, or the number of brokers if fewer)",
    )
    _add_config(command)


def _add_asyncapi(subcommands: "Subcommands") -> None:
    command = _command(
        subcommands,
        "asyncapi",
        commands.asyncapi,
        summary="describe the topics and their records, for programs",
        description="Prints an AsyncAPI 3.0 document (YAML) of every topic that the settings name, "
        "with the JSON schema of its records.",
        epilog="example:\n  foreshock asyncapi > asyncapi.yaml\n",
    )
    _add_config(command)


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="settings in TOML (default: $FORESHOCK_CONFIG, or ./foreshock.toml if it is there); "
        "FORESHOCK_… variables win over it",
    )


def _add_scenario(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--scenario",
        metavar="NAME",
        choices=list(SCENARIOS),
        default=default,
        help="what is provoked; see below (default: %(default)s)",
    )
    command.add_argument(
        "--seed", type=int, default=1, help="another seed, another market (default: %(default)s)"
    )


def _scenarios() -> str:
    return "".join(f"  {name:<18}{entry.description}\n" for name, entry in SCENARIOS.items())
