"""The state of a venue at a moment of recorded streams."""

from datetime import UTC, datetime
from pathlib import Path

from rich.progress import Progress

from detectors.risk_watch.monitor import RiskMonitor
from service.errors import OperatorError
from service.pipeline.output import Tally
from service.replay.engine import outputs
from service.replay.paths import has_positions, positions_file, settings_of_files, stream_paths
from service.replay.risk import RiskReplay
from service.report.summary import Summary
from service.settings.assembly import partition_task, watches_risk
from service.settings.types import Settings

_SECOND_NS = 1_000_000_000


def monitor_at(
    directory: Path, settings: Settings, at: int, *, after_start: bool
) -> tuple[int, RiskMonitor]:
    """Return a moment, and the monitor of the risk of a venue as it stands then.

    The streams are read from their beginning, on the same path as in a replay, and no further than
    the moment.

    Parameters
    ----------
    directory
        The directory of the streams.
    settings
        The settings.
    at
        The moment in nanoseconds of event time.
    after_start
        Whether ``at`` counts from the beginning of the first bar.

    Raises
    ------
    OperatorError
        If a stream is missing or cannot be read, or the moment is not within them.
    """
    settings = settings_of_files(settings)
    paths = stream_paths(directory, settings)
    if not has_positions(paths, settings):
        raise OperatorError(
            f"{directory} has no {positions_file(settings)}; a scenario needs positions"
        )
    if not watches_risk(settings):
        raise OperatorError(
            "a scenario needs risk.enabled = true, and names for topics.positions and "
            "outputs.signals"
        )
    watch = RiskReplay(directory, settings, with_records=False)
    task = partition_task(settings, paths, Tally())
    first = last = None
    until = at
    with Progress(disable=True) as progress:
        for output in outputs(directory, settings, task, Summary(str(directory)), progress):
            if not output.signals:
                continue
            if first is None:
                first = output.signals[0].ts_event - round(settings.time.bar_seconds * 1e9)
                until = first + at if after_start else at
            last = output.signals[-1].ts_event
            watch.take(signal for signal in output.signals if signal.ts_event <= until)
            if last > until:
                break
    if first is None or last is None:
        raise OperatorError(f"{directory} has no bar: its streams are too short")
    if until < first:
        raise OperatorError(f"--at is {_moment(until)}: {directory} begins at {_moment(first)}")
    if until > last:
        raise OperatorError(f"--at is {_moment(until)}: {directory} ends at {_moment(last)}")
    watch.stop_at(until)
    return until, watch.monitor


def _moment(ns: int) -> str:
    at = datetime.fromtimestamp(ns // _SECOND_NS, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
