"""From settings to parts: the one place that knows which setting goes where."""

from collections.abc import Container, Mapping
from datetime import UTC, datetime, timedelta
from typing import get_args

from detectors.catalogue import CATALOGUE
from detectors.feed.checks import FeedLimits
from detectors.incidents.market_wide import MarketMonitor
from detectors.incidents.suppression import Override, Suppression, Window
from detectors.parameters import Parameters
from detectors.reconfigure import reconfigure
from service.pipeline.output import Tally
from service.pipeline.task import PartitionTask
from service.pipeline.wire import STREAMS, Decoder
from service.settings.types import Day, FeedSettings, MaintenanceSettings, Settings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_A_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)


def input_topics(settings: Settings, existing: Container[str]) -> dict[str, str]:
    """The topic of each stream that is read, in the order that decides between ties.

    An optional topic that is not ``existing`` is not read: its detectors do without.
    """
    topics = {stream: getattr(settings.topics, stream) for stream in STREAMS}
    return {stream: topic for stream, topic in topics.items() if topic and topic in existing}


def parameters(settings: Settings) -> Parameters:
    """How symbols are watched."""
    return Parameters(
        bar_ns=round(settings.time.bar_seconds * 1e9),
        false_alarms_per_day=settings.detection.false_alarms_per_day,
        warmup_bars=settings.detection.warmup_bars,
        quiet_ns=round(settings.detection.quiet_seconds * 1e9),
        max_orders=settings.limits.resting_orders,
        max_accounts=settings.limits.accounts,
        suppression=suppression(settings),
        feed=feed_limits(settings.feed),
    )


def feed_limits(feed: FeedSettings) -> FeedLimits:
    """What counts against a feed."""
    return FeedLimits(
        silent_seconds=feed.frozen_seconds,
        symbol_silent_seconds=feed.symbol_frozen_seconds,
        delay_seconds=feed.delay_rise_seconds,
        skew_seconds=feed.clock_skew_seconds,
        quiet_ns=round(feed.quiet_seconds * 1e9),
    )


def market_monitor(settings: Settings) -> MarketMonitor:
    """What finds incidents of the market among those of its symbols."""
    market = settings.market
    return MarketMonitor(market.min_symbols, round(market.window_seconds * 1e9))


def suppression(settings: Settings) -> Suppression:
    """Which alarms are not wanted."""
    overrides = (
        Override(
            symbols=entry.symbols,
            detectors=entry.detectors or (),
            min_relative_deviation=entry.min_relative_deviation,
            only=entry.only,
            false_alarms_per_day=entry.false_alarms_per_day,
        )
        for entry in settings.overrides
    )
    return Suppression(tuple(overrides), tuple(map(_window, settings.maintenance)))


def _window(entry: MaintenanceSettings) -> Window:
    """A maintenance window in whole nanoseconds; it has been found to be once or weekly."""
    if entry.from_ is not None and entry.until is not None:
        begins = [entry.from_]
        length = entry.until - entry.from_
    else:
        assert entry.days is not None
        assert entry.start is not None
        assert entry.minutes is not None
        hours, minutes = map(int, entry.start.split(":"))
        start = _A_MONDAY + timedelta(hours=hours, minutes=minutes)
        begins = [start + timedelta(days=get_args(Day).index(day)) for day in entry.days]
        length = timedelta(minutes=entry.minutes)
    return Window(
        symbols=entry.symbols,
        detectors=entry.detectors or (),
        begins_ns=tuple(_ns(begin - _EPOCH) for begin in begins),
        length_ns=_ns(length),
        weekly=entry.days is not None,
        reason=entry.reason,
    )


def _ns(length: timedelta) -> int:
    return length // timedelta(microseconds=1) * 1_000


def partition_task(
    settings: Settings, streams: Mapping[str, object], tally: Tally
) -> PartitionTask:
    """A task over the given streams, which counts into ``tally``."""
    return PartitionTask(
        list(streams),
        parameters(settings),
        CATALOGUE,
        max_disorder_ns=settings.time.max_disorder_ms * 1_000_000,
        max_symbols=settings.limits.symbols,
        max_orders=settings.limits.total_resting_orders,
        max_waiting=settings.limits.buffered_events,
        tally=tally,
    )


def reconfigure_task(task: PartitionTask, settings: Settings) -> None:
    """Let a task's symbols, and those to come, be judged by other settings from the next bar on.

    Raises ValueError if they differ in more than that, see ``detectors.reconfigure``.
    """
    task.parameters = parameters(settings)
    for monitor in task.monitors.values():
        reconfigure(monitor, task.parameters)


def decoders(settings: Settings, streams: Mapping[str, object]) -> dict[str, Decoder]:
    """A decoder for each stream, its field mapping resolved."""
    return {
        stream: Decoder(
            stream,
            getattr(settings.wire.fields, stream),
            settings.wire.time_unit,
            settings.wire.max_record_bytes,
            settings.wire.max_ahead_seconds,
        )
        for stream in streams
    }
