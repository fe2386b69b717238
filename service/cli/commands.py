"""The function of each subcommand: takes the parsed arguments, returns the exit code."""

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING

from service.errors import ConfigurationError, OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.scorecard.matrix import Purpose
    from service.scorecard.report import Scorecard

LOG_SECONDS = 1.0
"""How long the end of the process waits for the last log lines to be written, in seconds."""

# Each command imports what it needs. Kafka, models and simulation take a second to load; a help
# text or a configuration error must not wait for them.
# ruff: noqa: PLC0415


def run(arguments: argparse.Namespace) -> int:
    """``foreshock run``."""
    from service.signals import hold_hangup

    hold_hangup()
    from service import logs
    from service.settings.load import load_settings

    settings = load_settings(arguments.config, os.environ)
    logs.configure(settings.log.level, settings.log.format, in_background=True)
    from service.plug_ins import plug_ins, report
    from service.run import run as run_service
    from service.settings.reload import Source

    report(plug_ins(settings.plugins.allow).left_out)
    try:
        return run_service(settings, Source(arguments.config, os.environ))
    finally:
        logs.drain(LOG_SECONDS)


def replay(arguments: argparse.Namespace) -> int:
    """``foreshock replay``."""
    from service import logs
    from service.settings.load import load_settings

    settings = load_settings(arguments.config, os.environ)
    logs.configure(settings.log.level, settings.log.format)
    from service.plug_ins import plug_ins, report
    from service.replay.engine import replay as replay_files

    report(plug_ins(settings.plugins.allow).left_out)
    return replay_files(
        arguments.directory,
        settings,
        alerts=arguments.alerts,
        signals=arguments.signals,
        summary=arguments.summary,
        switches=arguments.switches,
        report=arguments.report,
        risk=arguments.risk,
        liquidations=arguments.liquidations,
        parameters=arguments.parameters,
        quiet=arguments.quiet,
    )


def demo(arguments: argparse.Namespace) -> int:
    """``foreshock demo``."""
    try:
        from service.demo.run import demo as run_demo
    except ModuleNotFoundError as error:
        if error.name != "confluent_kafka":
            raise
        raise OperatorError(
            "the demo's embedded broker needs confluent-kafka; run: pip install 'foreshock[demo]'"
        ) from None

    return run_demo(
        seconds=arguments.seconds,
        seed=arguments.seed,
        scenario=arguments.scenario,
        speed=arguments.speed,
        http_port=arguments.http_port,
        keep=arguments.keep,
    )


def simulate(arguments: argparse.Namespace) -> int:
    """``foreshock simulate``."""
    from dataclasses import replace

    from rich.console import Console
    from rich.progress import Progress

    from service.exchange.breaches import AUDITED, rules_with
    from service.exchange.recording import simulate_to_directory
    from service.exchange.scenarios.catalogue import scenario
    from service.output_files import writing

    chosen = scenario(
        arguments.scenario,
        strength=arguments.strength,
        start_seconds=arguments.start,
        length_seconds=arguments.length,
    )
    if arguments.breach is not None:
        structure = replace(
            chosen.structure,
            rules=rules_with(arguments.breach),
            audited=chosen.structure.audited or arguments.breach in AUDITED,
        )
        chosen = replace(chosen, structure=structure)
    late = [e for e in chosen.episodes if e.start_seconds >= arguments.duration]
    if late:
        raise ConfigurationError(
            f"{late[0].kind} starts after {late[0].start_seconds:g} s, but the simulation lasts "
            f"{arguments.duration:g} s; set a longer --duration or an earlier --start"
        )
    to_terminal = sys.stderr.isatty()
    with Progress(
        console=Console(stderr=True), transient=True, disable=not to_terminal
    ) as progress:
        bar = progress.add_task("simulating", total=1.0)
        try:
            with writing("OUT", arguments.out):
                recording = simulate_to_directory(
                    arguments.out,
                    scenario=chosen,
                    seed=arguments.seed,
                    symbols=arguments.symbols,
                    duration_seconds=arguments.duration,
                    events_per_second=arguments.events_per_second,
                    compression=arguments.compress,
                    progress=lambda share, _events: progress.update(bar, completed=share),
                )
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        except RuntimeError as error:
            raise OperatorError(str(error)) from None
    for stream, count in recording.counts.items():
        _say(f"{stream:<12}{count:>12,}")
    _say(f"{'truth':<12}{len(recording.truths):>12,}")
    _say(f"written to {recording.directory} in {recording.elapsed_seconds:.1f} s")
    return 0


def scorecard(arguments: argparse.Namespace) -> int:
    """``foreshock scorecard``."""
    from rich.console import Console
    from rich.markdown import Markdown

    from service.exchange.scenarios.catalogue import SCENARIOS
    from service.scorecard.matrix import CONDUCT, POSITIONS, SEEDS_APART, Purpose
    from service.scorecard.recorded import scorecard as scorecard_of_recorded
    from service.scorecard.recorded import sessions_scorecard
    from service.scorecard.report import to_markdown
    from service.scorecard.run import prepare
    from service.scorecard.run import scorecard as make_scorecard

    if arguments.seeds > SEEDS_APART:
        raise ConfigurationError(f"--seeds {arguments.seeds}: it must be at most {SEEDS_APART}")
    of_venue = _venue_scorecard(arguments)
    usual = of_venue[0] if of_venue else [n for n in SCENARIOS if n not in (*POSITIONS, *CONDUCT)]
    scenarios = [name for name in arguments.scenarios or usual if name != "calm"]
    prepare(arguments.out)
    purpose: Purpose = "tuning" if arguments.tuning else "reporting"
    if arguments.audit:
        card = _audit_scorecard(arguments, purpose)
    elif of_venue is not None:
        card = of_venue[1](
            arguments.out,
            scenarios=scenarios,
            purpose=purpose,
            seeds=arguments.seeds,
            calm_days=arguments.calm_days,
            activities=arguments.activities,
            false_alarms_per_day=arguments.budget,
            jobs=arguments.jobs,
        )
    elif arguments.recorded is not None and not arguments.one_episode:
        card = sessions_scorecard(
            arguments.out,
            arguments.recorded,
            kinds=scenarios,
            purpose=purpose,
            seeds=arguments.seeds,
            episodes=arguments.episodes,
            false_alarms_per_day=arguments.budget,
            baselines=arguments.baselines,
            jobs=arguments.jobs,
        )
    elif arguments.recorded is not None:
        if len(arguments.recorded) > 1:
            raise ConfigurationError("--one-episode: name one directory after --recorded")
        card = scorecard_of_recorded(
            arguments.out,
            arguments.recorded[0],
            kinds=scenarios,
            purpose=purpose,
            seeds=arguments.seeds,
            false_alarms_per_day=arguments.budget,
            jobs=arguments.jobs,
        )
    else:
        card = make_scorecard(
            arguments.out,
            scenarios=scenarios,
            purpose=purpose,
            seeds=arguments.seeds,
            calm_days=arguments.calm_days,
            activities=arguments.activities,
            baselines=arguments.baselines,
            false_alarms_per_day=arguments.budget,
            jobs=arguments.jobs,
        )
    Console().print(Markdown(to_markdown(card)))
    _say(f"\nwritten to {arguments.out}")
    return 0


def _audit_scorecard(arguments: argparse.Namespace, purpose: "Purpose") -> "Scorecard":
    from service.scorecard.audit.plan import Plan
    from service.scorecard.audit.run import scorecard

    others = {
        "--risk": arguments.risk,
        "--conduct": arguments.conduct,
        "--recorded": arguments.recorded is not None,
        "--scenarios": arguments.scenarios is not None,
    }
    given = [name for name, is_given in others.items() if is_given]
    if given:
        raise ConfigurationError(f"--audit has its own markets; leave out {', '.join(given)}")
    plan = Plan(arguments.seeds, arguments.clean, arguments.minutes * 60.0)
    return scorecard(arguments.out, plan, purpose=purpose, jobs=arguments.jobs)


def _venue_scorecard(
    arguments: argparse.Namespace,
) -> "tuple[Sequence[str], Callable[..., Scorecard]] | None":
    """Return the scenarios and the function of the scorecard of positions or of conduct."""
    from service.scorecard.conduct import cases
    from service.scorecard.conduct.run import scorecard as conduct_scorecard
    from service.scorecard.risk import plan
    from service.scorecard.risk.run import scorecard as risk_scorecard

    if arguments.risk and arguments.conduct:
        raise ConfigurationError("--risk and --conduct: choose one")
    if not (arguments.risk or arguments.conduct):
        return None
    option = "--risk" if arguments.risk else "--conduct"
    if arguments.recorded is not None:
        raise ConfigurationError(f"{option}: recorded flow has no positions; leave out --recorded")
    measured = plan.SCENARIOS if arguments.risk else cases.SCENARIOS
    unmeasured = [name for name in arguments.scenarios or () if name not in ("calm", *measured)]
    if unmeasured:
        raise ConfigurationError(
            f"{option} does not measure {', '.join(unmeasured)}; choose from calm,"
            f" {', '.join(measured)}"
        )
    return measured, risk_scorecard if arguments.risk else conduct_scorecard


def check_config(arguments: argparse.Namespace) -> int:
    """``foreshock check-config``."""
    from service.kafka.cluster.connection import client_options
    from service.outputs.alertmanager import Notifier
    from service.registry.answers import Requests
    from service.settings.load import effective, load
    from service.settings.types import settings_hash
    from service.web.web_config import load_web_config

    loaded = load(arguments.config, os.environ)
    _say(effective(loaded))
    _say(
        f"\n# fingerprint of the settings that saved state needs: {settings_hash(loaded.settings)}"
    )
    # Check the files that the settings name; do not contact brokers or endpoints.
    client_options(loaded.settings.kafka)
    load_web_config(loaded.settings.http.web_config_file)
    Notifier(loaded.settings.alertmanager, dict)
    Requests(loaded.settings.registry)
    return 0


def asyncapi(arguments: argparse.Namespace) -> int:
    """``foreshock asyncapi``."""
    from service.cli.asyncapi import asyncapi as document
    from service.cli.asyncapi import to_yaml
    from service.settings.load import load_settings

    sys.stdout.write(to_yaml(document(load_settings(arguments.config, os.environ))))
    return 0


def detectors(arguments: argparse.Namespace) -> int:
    """``foreshock detectors``."""
    from rich.console import Console

    from service.cli.detectors import listed, table
    from service.settings.load import load_settings

    found = listed(load_settings(arguments.config, os.environ).plugins.allow)
    # In a file or a pipe nothing is cut.
    Console(width=None if sys.stdout.isatty() else 200).print(table(found))
    for its in found:
        if its.problem:
            _say(f"\nproblem: {its.name}: {its.problem}")
    return 1 if any(its.problem for its in found) else 0


def topics(arguments: argparse.Namespace) -> int:
    """``foreshock topics``."""
    from service.kafka.cluster.inspection import create_missing, inspect_topics
    from service.kafka.cluster.placement import misplaced, sample
    from service.kafka.cluster.topics import table
    from service.settings.load import load_settings

    if not arguments.create and (arguments.partitions or arguments.replication_factor):
        raise ConfigurationError("--partitions and --replication-factor need --create")
    settings = load_settings(arguments.config, os.environ)
    if arguments.create:
        created = asyncio.run(
            create_missing(settings, arguments.partitions, arguments.replication_factor)
        )
        _say(f"created {', '.join(created)}\n" if created else "no topic was missing\n")
    report = asyncio.run(inspect_topics(settings))
    _say(table(settings, report))
    problems = (*report.problems, *misplaced(asyncio.run(sample(settings, report.topics))))
    for problem in problems:
        _say(f"\nproblem: {problem}")
    for hint in report.hints:
        _say(f"\nnote: {hint}")
    if not problems:
        _say("\nno problem found")
    return 1 if problems else 0


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the command's output
