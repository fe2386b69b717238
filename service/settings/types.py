"""All settings of the service: names, defaults and limits.

Each section of the configuration is one struct. ``docs/configuration.md`` describes each setting.
``service.settings.load`` reads the settings from a file and from the environment.
"""

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from service.mapping.rules import Format, MappingSettings
from service.pipeline.rejection import MAX_AHEAD_SECONDS, TimeUnit
from service.settings.registry import RegistrySettings
from service.settings.secrets import Secret, decode_secret, encode_hidden
from service.settings.values import (
    Budget,
    Days,
    Detectors,
    File,
    Labels,
    Moment,
    NameFormat,
    OptionalText,
    OptionalTopic,
    Patterns,
    PlugInNames,
    Servers,
    Symbols,
    Tenant,
    Text,
    TimeOfDay,
    TimeZone,
    Topic,
    Url,
    Urls,
    UserName,
)

OWN_LABELS = frozenset({"alertname", "symbol", "detector", "severity"})
"""Labels that identify an incident; you cannot configure them."""


def parse_labels(text: str) -> dict[str, str]:
    """Parse the labels of a setting.

    >>> parse_labels("venue=north, tier=1")
    {'venue': 'north', 'tier': '1'}
    """
    pairs = (pair.strip().partition("=") for pair in text.split(",") if pair.strip())
    return {name: value for name, _, value in pairs}


class KafkaSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The connection to Kafka."""

    bootstrap_servers: Servers = "localhost:9092"
    group_id: Text = "foreshock"
    client_id: Text = "foreshock"
    start: Literal["warmup", "earliest", "latest"] = "warmup"
    isolation_level: Literal["read_committed", "read_uncommitted"] = "read_committed"
    max_poll_records: Annotated[int, Meta(ge=1, le=100_000)] = 5_000
    session_timeout_seconds: Annotated[float, Meta(ge=6, le=1_800)] = 30.0
    request_timeout_seconds: Annotated[float, Meta(ge=1, le=600)] = 40.0
    fetch_wait_seconds: Annotated[float, Meta(ge=0.001, le=60)] = 0.5
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ssl_ca_file: File = ""
    ssl_certificate_file: File = ""
    ssl_key_file: File = ""
    ssl_key_password: Secret = Secret()
    ssl_key_password_file: File = ""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = (
        "SCRAM-SHA-512"
    )
    sasl_username: OptionalText = ""
    sasl_password: Secret = Secret()
    sasl_password_file: File = ""
    oauth_token_file: File = ""
    oauth_token_url: Url = ""
    oauth_client_id: UserName = ""
    oauth_client_secret: Secret = Secret()
    oauth_client_secret_file: File = ""
    oauth_scope: OptionalText = ""
    oauth_ca_file: File = ""


class TopicSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Topics that the service reads events from."""

    orders: Topic = "market.orders"
    cancels: Topic = "market.cancels"
    trades: Topic = "market.trades"
    references: OptionalTopic = "market.references"
    margins: OptionalTopic = "market.margins"
    positions: OptionalTopic = "market.positions"
    statuses: OptionalTopic = "market.statuses"
    accounts: OptionalTopic = "market.accounts"
    liquidations: OptionalTopic = "market.liquidations"
    insurance: OptionalTopic = "market.insurance"
    acks: OptionalTopic = "market.acks"
    fees: OptionalTopic = "market.fees"


class OutputSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Topics that the service writes to."""

    alerts: Topic = "foreshock.alerts"
    signals: OptionalTopic = "foreshock.signals"
    killswitch: OptionalTopic = "foreshock.killswitch"
    deadletters: Topic = "foreshock.deadletters"
    snapshots: Topic = "foreshock.snapshots"
    feedback: OptionalTopic = "foreshock.feedback"
    journal: OptionalTopic = "foreshock.journal"
    risk: OptionalTopic = "foreshock.risk"
    commands: OptionalTopic = "foreshock.commands"
    switchlog: OptionalTopic = "foreshock.switchlog"
    liquidation_records: OptionalTopic = "foreshock.liquidations"
    parameter_changes: OptionalTopic = "foreshock.parameters"


class FieldSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """For each stream: Foreshock's field names, mapped to the venue's where they differ."""

    orders: dict[str, str] = field(default_factory=dict)
    cancels: dict[str, str] = field(default_factory=dict)
    trades: dict[str, str] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    margins: dict[str, str] = field(default_factory=dict)
    positions: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    liquidations: dict[str, str] = field(default_factory=dict)
    insurance: dict[str, str] = field(default_factory=dict)
    acks: dict[str, str] = field(default_factory=dict)
    fees: dict[str, str] = field(default_factory=dict)


class WireSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Format of the venue's events."""

    time_unit: TimeUnit = "ns"
    max_record_bytes: Annotated[int, Meta(ge=1_024, le=104_857_600)] = 1_048_576
    max_ahead_seconds: Annotated[int, Meta(ge=1, le=86_400)] = MAX_AHEAD_SECONDS
    framing: Literal["none", "confluent"] = "none"
    format: Format = "json"
    fields: FieldSettings = field(default_factory=FieldSettings)


class InstrumentSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What is special about some symbols."""

    allow_nonpositive_prices: Patterns = ()


class QuantitySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What the venue's quantities mean."""

    orders: Literal["remaining", "total"] = "remaining"
    cancels: Literal["withdrawn", "left"] = "withdrawn"
    fills: Literal["trades", "trades_and_cancels"] = "trades"


class TimeSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Bars, and the alignment of the topics to one sequence in event time."""

    bar_seconds: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    max_disorder_ms: Annotated[int, Meta(ge=0, le=60_000)] = 100
    idle_after_ms: Annotated[int, Meta(ge=1, le=60_000)] = 500


class DetectionSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Sensitivity and warm-up of the detection."""

    false_alarms_per_day: Budget = 1.0
    warmup_bars: Annotated[int, Meta(ge=10, le=100_000)] = 240
    quiet_seconds: Annotated[float, Meta(ge=1, le=86_400)] = 60.0


class PluginSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Detectors of other packages."""

    allow: PlugInNames = ()


class FeedSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """When a symbol's feed counts as unreliable."""

    frozen_seconds: Annotated[float, Meta(ge=1, le=3_600)] = 5.0
    symbol_frozen_seconds: Annotated[float, Meta(ge=1, le=3_600)] = 10.0
    delay_rise_seconds: Annotated[float, Meta(ge=0.01, le=3_600)] = 1.0
    clock_skew_seconds: Annotated[float, Meta(ge=0.01, le=3_600)] = 0.1
    quiet_seconds: Annotated[float, Meta(ge=1, le=86_400)] = 300.0


class MarketSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """When incidents of several symbols make a market-wide incident."""

    min_symbols: Annotated[int, Meta(ge=3, le=1_000_000)] = 3
    window_seconds: Annotated[float, Meta(ge=1, le=3_600)] = 60.0


class RiskSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The risk of liquidations, computed from the positions stream."""

    enabled: bool = True
    reduction: Literal["full", "sufficient", "steps"] = "full"
    step_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.2
    whole_below: Annotated[float, Meta(ge=0, le=1e15)] = 0.0
    max_positions: Annotated[int, Meta(ge=1_000, le=10_000_000)] = 1_000_000
    margin_notice_seconds: Annotated[float, Meta(ge=0, le=2_592_000)] = 0.0
    margin_trigger: Literal["", "volatility", "open_interest", "depth"] = ""


class LimitSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits for memory and for metric labels."""

    symbols: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    resting_orders: Annotated[int, Meta(ge=100, le=10_000_000)] = 100_000
    total_resting_orders: Annotated[int, Meta(ge=1_000, le=100_000_000)] = 1_000_000
    accounts: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_024
    buffered_events: Annotated[int, Meta(ge=100, le=10_000_000)] = 50_000
    labelled_symbols: Annotated[int, Meta(ge=0, le=100_000)] = 200


class StateSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Snapshots, commits, and the replay where there is no snapshot."""

    snapshot_seconds: Annotated[float, Meta(ge=1, le=3_600)] = 30.0
    commit_seconds: Annotated[float, Meta(ge=0.1, le=3_600)] = 5.0
    warmup_window_seconds: Annotated[float, Meta(ge=0, le=604_800)] = 1_800.0
    expired_seconds: Annotated[float, Meta(ge=60, le=31_536_000)] = 86_400.0


class HttpSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Address of the HTTP server for metrics, health and the console."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 9464
    web_config_file: File = ""
    console: bool = True


class AlertmanagerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Alertmanagers that receive incidents, in addition to the alerts topic."""

    urls: Urls = ""
    labels: Labels = ""
    runbook_base_url: OptionalText = ""
    resend_seconds: Annotated[float, Meta(ge=1, le=3_600)] = 60.0
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=60)] = 5.0
    queue_size: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    username: UserName = ""
    password_file: File = ""
    bearer_token_file: File = ""
    tenant: Tenant = ""
    ca_file: File = ""


class ReloadSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How often the service checks its configuration file for changes."""

    watch_seconds: Annotated[float, Meta(ge=0, le=3_600)] = 2.0


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class OverrideSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Different settings for the alarms of some symbols; a field that is None changes nothing."""

    symbols: Symbols
    detectors: Detectors | None = None
    min_relative_deviation: Annotated[float, Meta(ge=0, le=1_000)] | None = None
    only: Literal["rise", "fall", "either"] | None = None
    false_alarms_per_day: Budget | None = None


class MaintenanceSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A time window, one-time or weekly, in which the alarms of some symbols have no effect."""

    symbols: Symbols
    detectors: Detectors | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    from_: Moment | None = field(default=None, name="from")
    until: Moment | None = None
    days: Days | None = None
    start: TimeOfDay | None = None
    minutes: Annotated[int, Meta(ge=1, le=10_080)] | None = None
    time_zone: TimeZone | None = None


class CalendarSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A trading state of some symbols at certain times, or their expiry by a date in their name."""

    symbols: Symbols
    state: Literal["open", "auction", "halted", "closed"] | None = None
    from_: Moment | None = field(default=None, name="from")
    until: Moment | None = None
    days: Days | None = None
    start: TimeOfDay | None = None
    minutes: Annotated[int, Meta(ge=1, le=10_080)] | None = None
    time_zone: TimeZone | None = None
    expiry_in_name: NameFormat | None = None
    expiry_time: TimeOfDay | None = None


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """All settings. Loaded settings are valid by their types."""

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    topics: TopicSettings = field(default_factory=TopicSettings)
    outputs: OutputSettings = field(default_factory=OutputSettings)
    wire: WireSettings = field(default_factory=WireSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    instruments: InstrumentSettings = field(default_factory=InstrumentSettings)
    quantities: QuantitySettings = field(default_factory=QuantitySettings)
    time: TimeSettings = field(default_factory=TimeSettings)
    detection: DetectionSettings = field(default_factory=DetectionSettings)
    plugins: PluginSettings = field(default_factory=PluginSettings)
    feed: FeedSettings = field(default_factory=FeedSettings)
    market: MarketSettings = field(default_factory=MarketSettings)
    risk: RiskSettings = field(default_factory=RiskSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    state: StateSettings = field(default_factory=StateSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    alertmanager: AlertmanagerSettings = field(default_factory=AlertmanagerSettings)
    reload: ReloadSettings = field(default_factory=ReloadSettings)
    log: LogSettings = field(default_factory=LogSettings)
    overrides: tuple[OverrideSettings, ...] = ()
    maintenance: tuple[MaintenanceSettings, ...] = ()
    calendar: tuple[CalendarSettings, ...] = ()
    mappings: tuple[MappingSettings, ...] = ()


_STREAMS = ("orders", "cancels", "trades", "references", "margins", "positions")
"""The streams of the fingerprint: a stream that was added later is not in it."""

_Topics = msgspec.defstruct("_Topics", [(name, str) for name in _STREAMS])
_Fields = msgspec.defstruct("_Fields", [(name, dict[str, str]) for name in _STREAMS])


class _WireMeaning(Struct, frozen=True):
    """The settings of the wire section that change what is detected."""

    time_unit: TimeUnit
    max_record_bytes: int
    fields: _Fields  # type: ignore[valid-type]


def settings_hash(settings: Settings) -> str:
    """Return the fingerprint of the settings that change learned state, as 16 hexadecimal digits.

    State saved under another fingerprint cannot be used. These settings are not part of it:
    operation (connection, buffers, labels, intervals, addresses), and the selection of alarms
    (budget, overrides, maintenance windows, limits of a feed). Neither changes learned state.
    Settings that a new version adds stay out too, or an upgrade would discard all saved state.
    >>> settings_hash(Settings(http=HttpSettings(port=1))) == settings_hash(Settings())
    True
    >>> settings_hash(Settings(time=TimeSettings(bar_seconds=2))) == settings_hash(Settings())
    False
    """
    # The conversion to the declared types makes 1 and 1.0 the same number.
    builtins = msgspec.to_builtins(settings, enc_hook=encode_hidden)
    settings = msgspec.convert(builtins, Settings, dec_hook=decode_secret)
    detection = msgspec.to_builtins(settings.detection)
    limits = msgspec.to_builtins(settings.limits)
    meaning: dict[str, object] = {
        "topics": msgspec.convert(settings.topics, _Topics, from_attributes=True),
        "wire": msgspec.convert(settings.wire, _WireMeaning, from_attributes=True),
        "time": settings.time,
        "detection": {key: detection[key] for key in ("warmup_bars", "quiet_seconds")},
        "limits": {key: limits[key] for key in ("symbols", "resting_orders", "accounts")},
    }
    if settings.instruments.allow_nonpositive_prices:
        meaning["instruments"] = settings.instruments
    if settings.quantities != QuantitySettings():
        meaning["quantities"] = settings.quantities
    if settings.mappings:
        meaning["mappings"] = settings.mappings
    if settings.wire.framing != "none":
        meaning["framing"] = settings.wire.framing
    if settings.wire.format != "json":
        meaning["format"] = settings.wire.format
    canonical = msgspec.json.encode(meaning, order="deterministic")
    return hashlib.sha256(canonical).hexdigest()[:16]
