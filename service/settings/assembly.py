"""Builds the components from the settings. Only this module maps settings to components."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec

from detectors.catalogue import CATALOGUE
from detectors.conduct.monitor import ConductMonitor
from detectors.conduct.table import new_detectors
from detectors.conduct.venue_monitor import VenueMonitor
from detectors.detector import Detector
from detectors.feed.checks import FeedLimits
from detectors.incidents.market_wide import MarketMonitor
from detectors.incidents.suppression import Override, Suppression, Window
from detectors.incidents.suppressor import SuppressedAlarms
from detectors.market_data.events import Event
from detectors.market_data.quantities import QuantityMeaning
from detectors.market_data.risk_events import AuditEvent, RiskEvent
from detectors.parameters import Parameters
from detectors.reconfigure import reconfigure
from detectors.risk.reduction import Reduction
from detectors.risk_watch.monitor import RiskMonitor
from detectors.venue.calendar import Calendar, Expiry, Session
from service.errors import ConfigurationError
from service.formats.schemas import Schemas
from service.mapping.decoder import MappedDecoder
from service.mapping.records import AnyDecoder
from service.mapping.rules import Format, Unit
from service.mapping.target import Common
from service.mapping.topics import entries_of, input_name, mapped_streams, matching, topic_of
from service.pipeline.framing import UNFRAMED, Opening
from service.pipeline.output import Tally
from service.pipeline.task import PartitionTask
from service.pipeline.wire import (
    ALL_STREAMS,
    RISK_INPUTS,
    RISK_STREAMS,
    STREAMS,
    Decoder,
    RiskInput,
)
from service.plug_ins import plug_ins
from service.settings.time_zones import utc_offsets
from service.settings.types import CalendarSettings, FeedSettings, MaintenanceSettings, Settings
from service.settings.values import Day

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_A_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)


def input_topics(settings: Settings, existing: Collection[str]) -> dict[str, str]:
    """Return the topic of each input that the service reads, in the order that breaks ties.

    An input is a stream, or one topic of the mappings, see `input_name`.

    The service does not read an optional topic that is not in ``existing``; the detectors that
    need it report no input.
    """
    return _topics(settings, STREAMS, existing)


def risk_topics(settings: Settings, existing: Collection[str]) -> dict[str, str]:
    """Return the topic of each input that the risk of positions needs and that exists.

    All of their partitions are read, in any number: these topics need not be co-partitioned.
    """
    return _topics(settings, RISK_INPUTS, existing)


def _topics(
    settings: Settings, streams: Collection[str], existing: Collection[str]
) -> dict[str, str]:
    mapped = mapped_streams(settings.mappings)
    topics = {
        stream: getattr(settings.topics, stream) for stream in streams if stream not in mapped
    }
    found = {stream: topic for stream, topic in topics.items() if topic and topic in existing}
    entries = [entry for entry in settings.mappings if entry.stream in streams]
    for topic in matching(entries, existing, other_topics(settings)):
        found[input_name(topic)] = topic
    return found


def other_topics(settings: Settings) -> set[str]:
    """Return the topics that no pattern of a mapping stands for: outputs, and streams as such."""
    mapped = mapped_streams(settings.mappings)
    plain = {getattr(settings.topics, its) for its in ALL_STREAMS if its not in mapped}
    return plain | set(msgspec.structs.asdict(settings.outputs).values())


def stream_topics(settings: Settings, inputs: Mapping[str, str]) -> dict[str, str]:
    """Return a topic of each stream, for the inputs and their topics."""
    topics: dict[str, str] = {}
    for name, topic in inputs.items():
        for stream in streams_of(settings, name):
            topics.setdefault(stream, topic)
    return topics


def streams_of(settings: Settings, name: str) -> list[str]:
    """Return the streams that an input has: one, or those of the mappings of its topic."""
    topic = topic_of(name)
    if topic is None:
        return [name]
    return list(dict.fromkeys(str(its.stream) for its in entries_of(topic, settings.mappings)))


def parameters(settings: Settings) -> Parameters:
    """Return the parameters of the detection."""
    return Parameters(
        bar_ns=round(settings.time.bar_seconds * 1e9),
        false_alarms_per_day=settings.detection.false_alarms_per_day,
        warmup_bars=settings.detection.warmup_bars,
        quiet_ns=round(settings.detection.quiet_seconds * 1e9),
        max_orders=settings.limits.resting_orders,
        max_accounts=settings.limits.accounts,
        suppression=suppression(settings),
        feed=feed_limits(settings.feed),
        nonpositive_prices=settings.instruments.allow_nonpositive_prices,
        quantities=QuantityMeaning(
            orders=settings.quantities.orders,
            cancels=settings.quantities.cancels,
            fills=settings.quantities.fills,
        ),
        calendar=calendar(settings),
        summarises_books=watches_risk(settings),
    )


def watches_risk(settings: Settings) -> bool:
    """Whether the risk of liquidations is computed: it needs positions, and signals of books."""
    named = settings.topics.positions or "positions" in mapped_streams(settings.mappings)
    return settings.risk.enabled and bool(named and settings.outputs.signals)


def risk_monitor(
    settings: Settings, *, with_records: bool, suppressed_alarms: SuppressedAlarms | None = None
) -> RiskMonitor:
    """Return the monitor of the risk of liquidations; it counts into ``suppressed_alarms``."""
    risk = settings.risk
    rule = Reduction(risk.reduction, step_ratio=risk.step_ratio, whole_below=risk.whole_below)
    return RiskMonitor(
        risk.max_positions,
        rule,
        with_records=with_records,
        suppression=suppression(settings),
        suppressed_alarms=suppressed_alarms,
    )


def venue_monitor(
    settings: Settings, *, with_records: bool, suppressed_alarms: SuppressedAlarms | None = None
) -> VenueMonitor:
    """Return the monitor of the risk of liquidations together with that of the venue's conduct."""
    counted: SuppressedAlarms = {} if suppressed_alarms is None else suppressed_alarms
    risk = risk_monitor(settings, with_records=with_records, suppressed_alarms=counted)
    conduct = ConductMonitor(
        new_detectors(
            margin_notice_seconds=settings.risk.margin_notice_seconds,
            margin_trigger=settings.risk.margin_trigger or None,
        ),
        suppression=suppression(settings),
        suppressed_alarms=counted,
    )
    return VenueMonitor(risk, conduct)


def feed_limits(feed: FeedSettings) -> FeedLimits:
    """Return the limits beyond which a feed counts as unreliable."""
    return FeedLimits(
        silent_seconds=feed.frozen_seconds,
        symbol_silent_seconds=feed.symbol_frozen_seconds,
        delay_seconds=feed.delay_rise_seconds,
        skew_seconds=feed.clock_skew_seconds,
        quiet_ns=round(feed.quiet_seconds * 1e9),
    )


def market_monitor(settings: Settings) -> MarketMonitor:
    """Return the monitor that finds market-wide incidents among the incidents of symbols."""
    market = settings.market
    return MarketMonitor(market.min_symbols, round(market.window_seconds * 1e9))


def suppression(settings: Settings) -> Suppression:
    """Return the rules that suppress alarms: overrides and maintenance windows."""
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
    windows = (_window(entry, entry.detectors, entry.reason) for entry in settings.maintenance)
    return Suppression(tuple(overrides), tuple(windows))


def calendar(settings: Settings) -> Calendar:
    """Return the sessions and expiries of symbols."""
    sessions, expiries = [], []
    for entry in settings.calendar:
        if entry.state is not None:
            sessions.append(Session(window=_window(entry), state=entry.state))
        if entry.expiry_in_name is not None:
            time_ns = _ns(_time_of_day(entry.expiry_time or "00:00"))
            expiries.append(
                Expiry(symbols=entry.symbols, name_format=entry.expiry_in_name, time_ns=time_ns)
            )
    return Calendar(tuple(sessions), tuple(expiries))


def _window(
    entry: MaintenanceSettings | CalendarSettings,
    detectors: tuple[str, ...] | None = None,
    reason: str = "",
) -> Window:
    """Convert a window, checked to be one-time or weekly, to whole nanoseconds."""
    if entry.from_ is not None and entry.until is not None:
        begins = [entry.from_]
        length = entry.until - entry.from_
    else:
        assert entry.days is not None
        assert entry.start is not None
        assert entry.minutes is not None
        start = _A_MONDAY + _time_of_day(entry.start)
        begins = [start + timedelta(days=get_args(Day).index(day)) for day in entry.days]
        length = timedelta(minutes=entry.minutes)
    return Window(
        symbols=entry.symbols,
        detectors=detectors or (),
        begins_ns=tuple(_ns(begin - _EPOCH) for begin in begins),
        length_ns=_ns(length),
        weekly=entry.days is not None,
        offsets=utc_offsets(entry.time_zone) if entry.time_zone is not None else (),
        reason=reason,
    )


def _time_of_day(text: str) -> timedelta:
    hours, minutes = map(int, text.split(":"))
    return timedelta(hours=hours, minutes=minutes)


def _ns(length: timedelta) -> int:
    return length // timedelta(microseconds=1) * 1_000


def partition_task(
    settings: Settings,
    streams: Iterable[str],
    tally: Tally,
    *,
    sets_aside: bool = False,
    own: tuple[Detector, ...] = (),
) -> PartitionTask:
    """Create a task over the streams; it counts into ``tally``. See ``PartitionTask``.

    The built-in detectors run, the plug-ins that the settings allow, and ``own``.
    """
    return PartitionTask(
        list(streams),
        parameters(settings),
        (*CATALOGUE, *plug_ins(settings.plugins.allow).detectors, *own),
        max_disorder_ns=settings.time.max_disorder_ms * 1_000_000,
        max_symbols=settings.limits.symbols,
        max_orders=settings.limits.total_resting_orders,
        max_waiting=settings.limits.buffered_events,
        expired_retention_ns=round(settings.state.expired_seconds * 1e9),
        tally=tally,
        sets_aside=sets_aside,
    )


def reconfigure_task(task: PartitionTask, settings: Settings) -> None:
    """Apply settings to a task's present and future symbols from the next bar on.

    Raises ValueError if the settings differ in more than a running symbol can take on, see
    ``detectors.reconfigure``.
    """
    task.parameters = parameters(settings)
    task.expired_retention_ns = round(settings.state.expired_seconds * 1e9)
    for monitor in task.monitors.values():
        reconfigure(monitor, task.parameters)


def decoders(
    settings: Settings, inputs: Iterable[str], schemas: Schemas | None = None
) -> dict[str, AnyDecoder[Event]]:
    """Create a decoder for each input of the symbols, with its field mapping.

    Without ``schemas``, what is read is JSON, whatever the format of the topics: lines of files.
    """
    elsewhere = RISK_STREAMS if watches_risk(settings) else ()
    return {name: _decoder(settings, name, STREAMS, schemas, elsewhere) for name in inputs}


def risk_decoders(
    settings: Settings, inputs: Iterable[str] = RISK_INPUTS, schemas: Schemas | None = None
) -> dict[str, AnyDecoder[RiskInput]]:
    """Create a decoder for each input that the risk of positions needs, as `decoders` does."""
    return {name: _decoder(settings, name, RISK_INPUTS, schemas) for name in inputs}


def audit_decoders(settings: Settings) -> dict[str, Decoder[Event | RiskEvent | AuditEvent]]:
    """Create a decoder for every stream: the audit reads them all."""
    return {stream: _plain_decoder(settings, stream) for stream in ALL_STREAMS}


def all_decoders(
    settings: Settings, inputs: Iterable[str]
) -> dict[str, AnyDecoder[Event | RiskEvent | AuditEvent]]:
    """Create a decoder for each input, for whatever streams it has."""
    return {name: _decoder(settings, name, ALL_STREAMS, None) for name in inputs}


def mapped_decoder(
    settings: Settings,
    topic: str,
    streams: Collection[str] = ALL_STREAMS,
    elsewhere: Collection[str] = (),
    schemas: Schemas | None = None,
) -> MappedDecoder[Any]:
    """Create the decoder of a topic of the mappings, for the entries of some streams.

    ``elsewhere`` are the streams of the topic that another reader takes. ``schemas`` is as for
    `decoders`. Raises ConfigurationError if patterns give the topic several formats or units of
    logical times.
    """
    entries = [its for its in entries_of(topic, settings.mappings) if its.stream in streams]
    others = [its for its in entries_of(topic, settings.mappings) if its.stream in elsewhere]
    common = Common(
        settings.wire.time_unit,
        settings.wire.max_record_bytes,
        settings.wire.max_ahead_seconds,
        settings.instruments.allow_nonpositive_prices,
        zero_cancels=settings.quantities.cancels == "left",
        opening=_topic_opening(settings, topic, schemas),
    )
    return MappedDecoder(entries, common, others)


def _topic_opening(settings: Settings, topic: str, schemas: Schemas | None) -> Opening | None:
    """Return how the records of a topic of the mappings become JSON."""
    wire = settings.wire
    entries = entries_of(topic, settings.mappings)
    formats = {its.format or wire.format for its in entries}
    units = {its.time_unit or wire.time_unit for its in entries}
    if len(formats) > 1 or (formats != {"json"} and len(units) > 1):
        raise ConfigurationError(
            f"several mappings read the topic {topic}, and differ in format or time_unit; a topic "
            "has one format, and its logical times one unit"
        )
    return _opening(settings, formats.pop(), units.pop(), schemas)


def _opening(
    settings: Settings, format_: Format, unit: Unit, schemas: Schemas | None
) -> Opening | None:
    if format_ == "json":
        return UNFRAMED if settings.wire.framing == "confluent" else None
    return schemas.opening(format_, unit) if schemas is not None else None


def _decoder(
    settings: Settings,
    stream: str,
    streams: Collection[str],
    schemas: Schemas | None,
    elsewhere: Collection[str] = (),
) -> AnyDecoder[Any]:
    if (topic := topic_of(stream)) is not None:
        return mapped_decoder(settings, topic, streams, elsewhere, schemas)
    return _plain_decoder(settings, stream, schemas)


def _plain_decoder(settings: Settings, stream: str, schemas: Schemas | None = None) -> Decoder[Any]:
    return Decoder(
        stream,
        getattr(settings.wire.fields, stream),
        settings.wire.time_unit,
        settings.wire.max_record_bytes,
        settings.wire.max_ahead_seconds,
        settings.instruments.allow_nonpositive_prices,
        zero_cancels=settings.quantities.cancels == "left",
        opening=_opening(settings, settings.wire.format, settings.wire.time_unit, schemas),
    )
