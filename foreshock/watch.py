"""Runs the detection: over recorded days, over a sequence of events, and event by event."""

import itertools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.progress import Progress

from detectors.catalogue import FEATURES
from detectors.closing import Signal
from detectors.detector import Detector
from detectors.incidents.alerts import Alert
from detectors.plug_in import PlugIn, detector_of, problem
from foreshock.result import Result
from service.pipeline.output import Output, Tally
from service.plug_ins import taken
from service.replay.engine import risk_replay, steps
from service.replay.events import EventRun, Record
from service.replay.paths import settings_of_files, stream_paths
from service.report.summary import Summary
from service.settings.assembly import partition_task
from service.settings.load import load_settings
from service.settings.types import Settings

Config = str | os.PathLike[str] | None
"""A configuration file of Foreshock; None for the defaults."""

_AT_ONCE = 8192


def replay(
    source: str | os.PathLike[str] | Iterable[tuple[str, Record]],
    *,
    config: Config = None,
    detectors: Mapping[str, PlugIn] | None = None,
) -> Result:
    """Run the detection over recorded days or a sequence of events.

    Parameters
    ----------
    source
        A directory with ``orders.ndjson``, ``cancels.ndjson``, ``trades.ndjson`` and the optional
        streams, as for ``foreshock replay``. Or pairs of a stream's name and a record, in the order
        of event time; a record is a row by field names, or a line of JSON. The watch over the venue
        (cascade, contagion, conduct) needs a directory.
    config
        A configuration file. None: the defaults; no variable and no file is read.
    detectors
        Detectors of your own by name, which run beside the others.

    Returns
    -------
    Result
        All alerts and signals, which are kept in memory.

    Raises
    ------
    OperatorError
        The directory or the configuration cannot be used.
    ValueError
        A record of the pairs is not a valid event, or a detector of your own cannot be used.
    """
    settings, own = _settings(config), _own(detectors)
    if isinstance(source, str | os.PathLike):
        return _of_directory(Path(source), settings, own)
    run = EventRun(settings, own)
    alerts: list[Alert] = []
    signals: list[Signal] = []
    records = iter(source)
    while some := list(itertools.islice(records, _AT_ONCE)):
        _keep(run.take(run.decode(some)), alerts, signals)
    _keep(run.finish(), alerts, signals)
    return Result(alerts, signals, run.task.tally.late)


def _of_directory(directory: Path, settings: Settings, own: tuple[Detector, ...]) -> Result:
    settings = settings_of_files(settings)
    task = partition_task(settings, stream_paths(directory, settings), Tally(), own=own)
    watch = risk_replay(directory, settings, task.tally.market.suppressed_alarms)
    summary = Summary(str(directory))
    alerts: list[Alert] = []
    signals: list[Signal] = []
    progress = Progress(disable=True)
    for output in steps(directory, settings, task, summary, progress, watch, lambda _: None):
        _keep(output, alerts, signals)
    return Result(alerts, signals, task.tally.late, summary.rejected)


def _keep(output: Output, alerts: list[Alert], signals: list[Signal]) -> None:
    alerts += output.alerts
    signals += output.signals


class Watcher:
    """Watches one symbol, event by event.

    Parameters
    ----------
    symbol
        The symbol whose events it takes.
    config
        A configuration file. None: the defaults; no variable and no file is read.
    detectors
        Detectors of your own by name, which run beside the others.

    Examples
    --------
    >>> watcher = Watcher("BTC-PERP")
    >>> second = 1_000_000_000
    >>> order = {"symbol": "BTC-PERP", "order_id": "1", "side": "buy", "type": "limit",
    ...          "price": "100.5", "quantity": 2}
    >>> watcher.feed("orders", order | {"ts_event": 1_700_000_000 * second}).signals
    []
    >>> found = watcher.feed("orders", order | {"ts_event": 1_700_000_005 * second})
    >>> [signal.ts_event // second for signal in found.signals]
    [1700000001]
    """

    def __init__(
        self,
        symbol: str,
        *,
        config: Config = None,
        detectors: Mapping[str, PlugIn] | None = None,
    ) -> None:
        self.symbol = symbol
        self._run = EventRun(_settings(config), _own(detectors))

    def feed(self, stream: str, record: Record) -> Result:
        """Take the next event; return what the bars that it closes have given.

        A bar closes when an event is newer than its end by ``time.max_disorder_ms``: an older event
        may still come.

        Raises
        ------
        ValueError
            The record is not a valid event of the stream, or of another symbol.
        """
        events = self._run.decode([(stream, record)])
        for event in events:
            if event.symbol != self.symbol:
                raise ValueError(
                    f"{stream}: symbol is {event.symbol!r}; this watcher takes {self.symbol!r};"
                    " give each symbol a Watcher, or all of them to foreshock.replay"
                )
        return self._result(self._run.take(events))

    def finish(self) -> Result:
        """Close the last bar, and resolve the incidents as if nothing came any more."""
        return self._result(self._run.finish())

    def _result(self, output: Output) -> Result:
        return Result(output.alerts, output.signals, self._run.task.tally.late)


def _settings(config: Config) -> Settings:
    return Settings() if config is None else load_settings(Path(config), {})


def _own(detectors: Mapping[str, PlugIn] | None) -> tuple[Detector, ...]:
    found = []
    for name, plug_in in (detectors or {}).items():
        if taken(name):
            raise ValueError(
                f"detectors has {name!r}: another detector has this name, or it is not of small"
                " letters, digits and underscores"
            )
        if (wrong := problem(plug_in, FEATURES)) is not None:
            raise ValueError(f"detectors[{name!r}]: {wrong[1]}")
        found.append(detector_of(name, plug_in))
    return tuple(found)
