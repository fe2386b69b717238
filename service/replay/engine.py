"""Runs recorded streams through the same pipeline as the service, at full speed."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import orjson
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from detectors.closing import mean_budget_per_day
from detectors.incidents.alerts import Alert, Severity
from detectors.incidents.kind import kind
from detectors.incidents.market_wide import NAME as MARKET_WIDE
from detectors.incidents.market_wide import MarketMonitor
from detectors.incidents.suppressor import SuppressedAlarms
from detectors.market_data.events import LATEST_NS
from detectors.risk_watch.output import RiskOutput
from service.errors import OperatorError
from service.mapping.records import decode_lines
from service.output_files import OutputFile
from service.pipeline.output import Output, Tally
from service.pipeline.task import PartitionTask
from service.plug_ins import report as report_left_out
from service.replay.files import BatchReader
from service.replay.paths import (
    csv_lines,
    has_positions,
    positions_file,
    settings_of_files,
    stream_paths,
)
from service.replay.risk import RiskReplay
from service.report.collect import Collected
from service.report.page import page as report_page
from service.report.sections import About
from service.report.summary import Summary, misfit_lines, quantity_misfits, table
from service.settings.assembly import decoders, market_monitor, partition_task, watches_risk
from service.settings.types import Settings

_FOR_EVER_NS = LATEST_NS

_encode_lines = msgspec.json.Encoder().encode_lines


class _Stream:
    """A file that is being read, with the number of lines read so far."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.reader = BatchReader(path, max_line_bytes=settings.wire.max_record_bytes)
        self.lines = 0
        self.newest_ns = 0
        self._batches = iter(self.reader)
        self._csv = csv_lines(path, settings)

    def next_batch(self) -> list[bytes] | None:
        lines = next(self._batches, None)
        return lines if lines is None or self._csv is None else self._csv.messages(lines)


def outputs(
    directory: Path, settings: Settings, task: PartitionTask, summary: Summary, progress: Progress
) -> Iterator[Output]:
    """Feed a task from the files of a directory, and yield its output step by step.

    The file with the oldest event time is read next. So memory holds only a few batches, for files
    of any length.

    Raises
    ------
    OperatorError
        If a required stream is missing, or a stream has several files.
    """
    paths = stream_paths(directory, settings)
    decode = decoders(settings, paths)
    streams = {name: _Stream(path, settings) for name, path in paths.items()}
    bar = progress.add_task("replay", total=sum(s.reader.size for s in streams.values()))
    rejections: Counter[str] = Counter()
    reading = dict(streams)
    while reading:
        name = min(reading, key=lambda stream: reading[stream].newest_ns)
        stream = reading[name]
        lines = stream.next_batch()
        if lines is None:
            del reading[name]
            task.aligner.set_idle(name)
        else:
            # A file has no timestamps of its own: none of its events may be after now.
            now_ms = time.time_ns() // 1_000_000
            first = stream.lines
            decoded = decode_lines(decode[name], lines, [now_ms] * len(lines), first)
            stream.lines += len(lines)
            offsets = None if decoded.places is None else [first + its for its in decoded.places]
            task.feed(
                name,
                decoded.events,
                first_offset=first,
                next_offset=stream.lines,
                offsets=offsets,
            )
            if decoded.events:
                stream.newest_ns = max(stream.newest_ns, decoded.events[-1].ts_event)
            rejections.update(rejection.reason for rejection in decoded.rejections)
        progress.update(bar, completed=sum(s.reader.position for s in streams.values()))
        yield task.advance()
    yield task.rest(_FOR_EVER_NS)  # nothing comes any more
    summary.read = sum(stream.lines for stream in streams.values())
    summary.rejected = rejections.total()
    summary.rejections = dict(rejections)


def replay(
    directory: Path,
    settings: Settings,
    *,
    alerts: Path | None,
    signals: Path | None,
    summary: Path | None,
    switches: Path | None = None,
    report: Path | None = None,
    risk: Path | None = None,
    liquidations: Path | None = None,
    parameters: Path | None = None,
    quiet: bool,
) -> int:
    """Replay a directory, write the requested files, and print the summary.

    Returns the exit status. Raises OperatorError if the directory or a file cannot be used.
    """
    of_venue = {"--risk": risk, "--liquidations": liquidations, "--parameters": parameters}
    settings = settings_of_files(settings)
    result = Summary(str(directory))
    incidents: Counter[tuple[str, str]] = Counter()
    severities: dict[str, tuple[str, Severity]] = {}
    console = Console(stderr=True, quiet=quiet)
    collected = Collected(round(settings.time.bar_seconds * 1e9)) if report is not None else None
    task = partition_task(settings, stream_paths(directory, settings), Tally())
    watch = risk_replay(
        directory,
        settings,
        task.tally.market.suppressed_alarms,
        wanted=next((option for option, path in of_venue.items() if path is not None), None),
        with_records=risk is not None or collected is not None,
    )
    began = time.perf_counter()
    try:
        with ExitStack() as stack:
            # Fail now if one of them cannot be written, not after hours.
            report_file = _open("--report", report, stack)
            alert_file = _open("--alerts", alerts, stack)
            signal_file = _open("--signals", signals, stack)
            switch_file = _open("--switches", switches, stack)
            summary_file = _open("--summary", summary, stack)
            venue_files = {name: _open(name, path, stack) for name, path in of_venue.items()}

            def keep(found: RiskOutput) -> None:
                _write_venue(venue_files, found)
                if collected is not None:
                    collected.risk.take(found.records)

            progress = stack.enter_context(_progress(console))
            for output in steps(directory, settings, task, result, progress, watch, keep):
                for alert in output.alerts:
                    severities[alert.alert_id] = (alert.detector, alert.severity)
                if collected is not None:
                    collected.take(output)
                _write(alert_file, output.alerts)
                _write(signal_file, output.signals)
                _write(switch_file, output.switches)
            incidents.update(
                incident for incident in severities.values() if kind(*incident) == "alarm"
            )
            kinds = Counter(kind(*incident) for incident in severities.values())
            result.feed_incidents, result.drifts = kinds["feed"], kinds["change"]
            of_positions = (its for its in severities.values() if kind(*its) == "risk")
            counts = Counter(detector for detector, _ in of_positions)
            result.position_incidents = dict(sorted(counts.items()))
            result.market_wide_incidents = incidents.pop((MARKET_WIDE, "critical"), 0)
            result.elapsed_seconds = time.perf_counter() - began
            _tally(result, task, incidents)
            result.quantity_misfits = quantity_misfits(result, settings.quantities)
            if summary_file is not None:
                options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
                summary_file.write(orjson.dumps(msgspec.to_builtins(result), option=options))
            if report_file is not None and collected is not None:
                report_file.write(_report(collected, directory, result, settings))
    except (OSError, EOFError, RuntimeError) as error:
        raise OperatorError(str(error)) from error
    if not quiet:
        Console().print(table(result), *misfit_lines(result), sep="\n")
    return 0


def steps(
    directory: Path,
    settings: Settings,
    task: PartitionTask,
    summary: Summary,
    progress: Progress,
    watch: RiskReplay | None,
    keep: Callable[[RiskOutput], None],
) -> Iterator[Output]:
    """Yield `outputs` with the alerts about the venue and about several symbols at once.

    ``keep`` is called with what ``watch`` finds of the venue.
    """
    market = market_monitor(settings)
    for output in _with_risk(outputs(directory, settings, task, summary, progress), watch, keep):
        output.alerts = list(with_market_alerts(output.alerts, market, task))
        report_left_out(output.left_out)
        yield output


def risk_replay(
    directory: Path,
    settings: Settings,
    suppressed_alarms: SuppressedAlarms,
    *,
    wanted: str | None = None,
    with_records: bool = False,
) -> RiskReplay | None:
    """Return the watch over the risk of positions; None without positions, or if it is off.

    ``wanted`` is the option that needs the watch: without positions it raises OperatorError.
    """
    watched = watches_risk(settings)
    if watched and has_positions(stream_paths(directory, settings), settings):
        return RiskReplay(
            directory,
            settings,
            with_records=with_records,
            suppressed_alarms=suppressed_alarms,
        )
    if wanted is not None:
        why = (
            f"{directory} has no {positions_file(settings)}" if watched else "risk.enabled is false"
        )
        raise OperatorError(f"{wanted}: {why}; what is computed of the venue needs positions")
    return None


def _with_risk(
    steps: Iterable[Output],
    watch: RiskReplay | None,
    keep: Callable[[RiskOutput], None],
) -> Iterator[Output]:
    """Add the alerts about the venue to the output of each step, and keep its records."""
    for output in steps:
        if watch is not None:
            found = watch.take(output.signals)
            output.alerts += found.alerts
            keep(found)
        yield output
    if watch is not None:
        found = watch.finish()
        keep(found)
        yield Output(alerts=found.alerts)


def _write(file: OutputFile | None, records: Sequence[Struct]) -> None:
    """Append records to a file, if there are any of both, as a line of JSON each."""
    if file is not None and records:
        file.write(_encode_lines(records))


def _write_venue(files: Mapping[str, OutputFile | None], found: RiskOutput) -> None:
    """Append what was found of the venue to the files of the options."""
    _write(files["--risk"], found.records)
    for option, stream in (
        ("--liquidations", "liquidation_records"),
        ("--parameters", "parameter_changes"),
    ):
        _write(files[option], [its.record for its in found.statements if its.stream == stream])


def with_market_alerts(
    alerts: list[Alert], market: MarketMonitor, task: PartitionTask
) -> Iterator[Alert]:
    """Yield the alerts of a step in the order of event time, with the market-wide alerts."""
    budget = sum(monitor.parameters.false_alarms_per_day for monitor in task.monitors.values())
    for alert in sorted(alerts, key=lambda alert: alert.ts_event):
        yield alert
        yield from market.step(alert, budget)


def _report(collected: Collected, directory: Path, result: Summary, settings: Settings) -> bytes:
    files = {path.name: path.stat().st_size for path in stream_paths(directory, settings).values()}
    about = About(str(directory), result, settings, files)
    return report_page(collected, about).encode()


def _open(option: str, path: Path | None, stack: ExitStack) -> OutputFile | None:
    return stack.enter_context(closing(OutputFile(option, path))) if path is not None else None


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _tally(result: Summary, task: PartitionTask, incidents: Counter[tuple[str, str]]) -> None:
    tally = task.tally
    result.scored = tally.scored
    result.late = tally.late
    result.unwatched = tally.unwatched
    result.repeated = tally.repeated
    result.bars = tally.market.bars
    result.symbols = len(task.monitors)
    result.unknown_orders = tally.market.unknown_orders
    result.sparse_symbols = sorted(s for s, its in task.monitors.items() if its.too_sparse)
    result.early_ends = tally.market.early_ends
    result.oversized_cancels = tally.market.oversized_cancels
    result.oversized_trades = tally.market.oversized_trades
    result.oversized_fills = tally.market.oversized_fills
    result.incidents = [
        {"detector": detector, "severity": severity, "count": count}
        for (detector, severity), count in sorted(incidents.items())
    ]
    result.suppressed_alarms = [
        {"detector": detector, "reason_kind": kind, "count": count}
        for (detector, kind), count in sorted(tally.market.suppressed_alarms.items())
    ]
    result.feed_findings = dict(sorted(tally.market.feed.findings.items()))
    parameters = task.parameters
    result.symbol_days = tally.market.judged_bars * parameters.bar_seconds / 86_400
    if result.symbol_days > 0:
        result.incidents_per_symbol_day = incidents.total() / result.symbol_days
    result.false_alarms_per_day = mean_budget_per_day(
        [monitor.parameters for monitor in task.monitors.values()],
        parameters.false_alarms_per_day,
    )
    result.events_per_second = result.read / result.elapsed_seconds
