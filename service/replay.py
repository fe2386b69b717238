"""Recorded streams through the same path as the service's, at full speed."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import msgspec
import orjson
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from detectors.feed_incidents import NAME as FEED_INTEGRITY
from detectors.symbol import mean_budget_per_day
from service.assembly import decoders, partition_task
from service.errors import OperatorError
from service.files import BatchReader, stream_path
from service.settings import Settings
from service.task import Output, PartitionTask, Tally
from service.wire import REQUIRED_STREAMS, STREAMS


class Summary(Struct):
    """What a replay came to. read = scored + late + rejected.

    ``symbol_days`` is the market time in which an alarm could be raised, and
    ``incidents_per_symbol_day`` the realised rate beside the budget; None where there was no time.
    ``drifts`` are lasting changes that were told of: they are no alarms, and neither are
    ``feed_incidents``; ``feed_findings`` are bars in which a feed was not to be trusted, by check.
    ``suppressed_alarms`` are alarms of a detector in a bar, by the kind of reason.
    """

    directory: str
    read: int = 0
    scored: int = 0
    late: int = 0
    rejected: int = 0
    rejections: dict[str, int] = {}
    unknown_orders: int = 0
    symbols: int = 0
    bars: int = 0
    incidents: list[dict[str, str | int]] = []
    drifts: int = 0
    feed_incidents: int = 0
    feed_findings: dict[str, int] = {}
    suppressed_alarms: list[dict[str, str | int]] = []
    symbol_days: float = 0.0
    incidents_per_symbol_day: float | None = None
    false_alarms_per_day: float = 0.0
    elapsed_seconds: float = 0.0
    events_per_second: float = 0.0


class _Stream:
    """One file on its way: its next batch of lines, and how many were taken before."""

    def __init__(self, path: Path) -> None:
        self.reader = BatchReader(path)
        self.lines = 0
        self.newest_ns = 0
        self._batches = iter(self.reader)

    def next_batch(self) -> list[bytes] | None:
        return next(self._batches, None)


def outputs(
    directory: Path, settings: Settings, task: PartitionTask, summary: Summary, progress: Progress
) -> Iterator[Output]:
    """Feed a task from the files of a directory; what it gives rise to, step by step.

    The file that is least far in event time is read next, so that no more than a few batches are
    in memory whatever the files' lengths.

    Raises
    ------
    OperatorError
        If the directory lacks one of the required streams, or holds one twice.
    """
    paths = _paths(directory)
    decode = decoders(settings, paths)
    streams = {name: _Stream(path) for name, path in paths.items()}
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
            decoded = decode[name].decode(lines, time.time_ns())
            first = stream.lines
            stream.lines += len(lines)
            task.feed(name, decoded.events, first_offset=first, next_offset=stream.lines)
            if decoded.events:
                stream.newest_ns = max(stream.newest_ns, decoded.events[-1].ts_event)
            rejections.update(rejection.reason for rejection in decoded.rejections)
        progress.update(bar, completed=sum(s.reader.position for s in streams.values()))
        yield task.advance()
    summary.read = sum(stream.lines for stream in streams.values())
    summary.rejected = rejections.total()
    summary.rejections = dict(rejections)


def _paths(directory: Path) -> dict[str, Path]:
    if not directory.is_dir():
        raise OperatorError(f"{directory} is not a directory; name one that holds orders.ndjson …")
    try:
        found = {name: stream_path(directory, name) for name in STREAMS}
    except ValueError as error:
        raise OperatorError(str(error)) from error
    missing = [f"{name}.ndjson" for name in REQUIRED_STREAMS if found[name] is None]
    if missing:
        raise OperatorError(
            f"{directory} lacks {', '.join(missing)} (each may also be .ndjson.gz or .ndjson.zst);"
            " orders, cancels and trades are required"
        )
    return {name: path for name, path in found.items() if path is not None}


def replay(
    directory: Path,
    settings: Settings,
    *,
    alerts: Path | None,
    signals: Path | None,
    summary: Path | None,
    quiet: bool,
) -> int:
    """Replay a directory, write what was asked for, and print what it came to.

    Returns the exit status. Raises OperatorError where the directory or a file cannot be used.
    """
    result = Summary(str(directory))
    incidents: Counter[tuple[str, str]] = Counter()
    severities: dict[str, tuple[str, str]] = {}
    drifts: set[str] = set()
    feeds: set[str] = set()
    console = Console(stderr=True, quiet=quiet)
    task = partition_task(settings, _paths(directory), Tally())
    encode = msgspec.json.Encoder().encode_lines
    began = time.perf_counter()
    try:
        with ExitStack() as stack:
            alert_file = _open(alerts, stack)
            signal_file = _open(signals, stack)
            progress = stack.enter_context(_progress(console))
            for output in outputs(directory, settings, task, result, progress):
                for alert in output.alerts:
                    if alert.detector == FEED_INTEGRITY:
                        feeds.add(alert.alert_id)
                    elif alert.severity == "info":
                        drifts.add(alert.alert_id)
                    else:
                        severities[alert.alert_id] = (alert.detector, alert.severity)
                if alert_file is not None and output.alerts:
                    alert_file.write(encode(output.alerts))
                if signal_file is not None and output.signals:
                    signal_file.write(encode(output.signals))
        incidents.update(severities.values())
        result.drifts = len(drifts)
        result.feed_incidents = len(feeds)
        result.elapsed_seconds = time.perf_counter() - began
        _tally(result, task, incidents)
        if summary is not None:
            options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
            summary.write_bytes(orjson.dumps(msgspec.to_builtins(result), option=options))
    except (OSError, EOFError, RuntimeError) as error:
        raise OperatorError(str(error)) from error
    if not quiet:
        Console().print(table(result))
    return 0


def _open(path: Path | None, stack: ExitStack) -> IO[bytes] | None:
    return stack.enter_context(path.open("wb")) if path is not None else None


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
    result.bars = tally.market.bars
    result.symbols = len(task.monitors)
    result.unknown_orders = tally.market.unknown_orders
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
        task.monitors.values(), parameters.false_alarms_per_day
    )
    result.events_per_second = result.read / result.elapsed_seconds


def table(result: Summary) -> Table:
    """The summary for a person."""
    shown = Table(title=f"replay of {result.directory}", show_header=False, title_justify="left")
    shown.add_column(justify="left")
    shown.add_column(justify="right")
    shown.add_row("events read", f"{result.read:,}")
    shown.add_row("  scored", f"{result.scored:,}")
    shown.add_row("  late", f"{result.late:,}")
    shown.add_row("  rejected", f"{result.rejected:,}")
    for reason, count in sorted(result.rejections.items()):
        shown.add_row(f"    {reason}", f"{count:,}")
    shown.add_row("events about unknown orders", f"{result.unknown_orders:,}")
    shown.add_row("symbols", f"{result.symbols:,}")
    shown.add_row("bars", f"{result.bars:,}")
    shown.add_row("incidents", f"{sum(int(i['count']) for i in result.incidents):,}")
    for incident in result.incidents:
        shown.add_row(f"  {incident['detector']} {incident['severity']}", f"{incident['count']:,}")
    shown.add_row("lasting changes (drift)", f"{result.drifts:,}")
    shown.add_row("incidents of a feed", f"{result.feed_incidents:,}")
    for check, bars in result.feed_findings.items():
        shown.add_row(f"  {check} (bars)", f"{bars:,}")
    suppressed = sum(int(alarms["count"]) for alarms in result.suppressed_alarms)
    shown.add_row("alarms suppressed", f"{suppressed:,}")
    for alarms in result.suppressed_alarms:
        shown.add_row(f"  {alarms['detector']} {alarms['reason_kind']}", f"{alarms['count']:,}")
    if result.incidents_per_symbol_day is not None:
        shown.add_row(
            f"incidents a symbol-day (budget {result.false_alarms_per_day:g})",
            f"{result.incidents_per_symbol_day:,.2f}",
        )
    shown.add_row("seconds", f"{result.elapsed_seconds:,.1f}")
    shown.add_row("events/s", f"{result.events_per_second:,.0f}")
    return shown
