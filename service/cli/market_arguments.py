"""The subcommands that simulate markets and measure detection: their options and help texts."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli import argument_types as types
from service.cli import commands
from service.cli.argument_parts import add_command, add_scenario
from service.exchange.breaches import BREACHES, breach_table
from service.scorecard.risk.plan import SCENARIOS as RISK_SCENARIOS

if TYPE_CHECKING:
    from service.cli.argument_parts import Subcommands


def add_simulate(subcommands: "Subcommands") -> None:
    """Add ``foreshock simulate``."""
    command = add_command(
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
breaches, and the check of `foreshock audit` that each must fail:
{breach_table()}
examples:
  foreshock simulate day --scenario cascade --seed 7
  foreshock simulate day --scenario cascade --breach takes_too_much
  foreshock simulate calm --scenario calm --duration 86400 --compress zst
""",
    )
    command.add_argument(
        "out", metavar="OUT", type=Path, help="output directory; created if it does not exist"
    )
    add_scenario(command, "calm")
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
        "--breach",
        metavar="NAME",
        choices=list(BREACHES),
        help="the venue breaks a rule, see below; the ground truth names it (default: none)",
    )
    command.add_argument(
        "--compress",
        choices=["none", "gz", "zst"],
        default="none",
        help="compression of the streams (default: %(default)s)",
    )


def add_scorecard(subcommands: "Subcommands") -> None:
    """Add ``foreshock scorecard``."""
    command = add_command(
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
  foreshock scorecard --risk --seeds 10 --calm-days 2 --activities 30
  foreshock scorecard --audit --seeds 20 --clean 100
""",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("build/scorecard"),
        help="output directory (default: %(default)s)",
    )
    command.add_argument(
        "--risk",
        action="store_true",
        help="measure the risk of positions instead: how cascades and their spread are announced, "
        "what is predicted of them, and what simple baselines do",
    )
    command.add_argument(
        "--conduct",
        action="store_true",
        help="measure the detectors of the venue's conduct instead: what they find where a venue "
        "misbehaves, and what they say where it does not",
    )
    command.add_argument(
        "--audit",
        action="store_true",
        help="measure `foreshock audit` instead: whether each broken rule fails its check, and "
        "whether a venue that keeps its rules fails none; runs --seeds markets for each breach and "
        "size",
    )
    command.add_argument(
        "--clean",
        metavar="N",
        type=types.whole,
        default=100,
        help="with --audit: runs of the venue that keeps its rules (default: %(default)s)",
    )
    command.add_argument(
        "--minutes",
        metavar="N",
        type=types.above_zero,
        default=30.0,
        help="with --audit: length of a run in market time (default: %(default)g)",
    )
    command.add_argument(
        "--scenarios",
        metavar="NAMES",
        type=types.scenario_names,
        help="scenarios, separated by commas (default: all but those of the risk of positions; "
        f"with --risk: {', '.join(RISK_SCENARIOS)})",
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
