"""Decodes Kafka records into events: field mapping, validation, and dead letters.

A batch usually costs one list comprehension over one reused msgspec decoder, and three passes for
rules that the types cannot express. Only if one of these finds a fault, records are decoded one by
one to find the invalid ones.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar, cast

import msgspec
from msgspec import Meta, Struct, field

from detectors.market_data.events import (
    EARLIEST_NS,
    LATEST_NS,
    MAX_NUMBER,
    Cancel,
    Event,
    Margin,
    Order,
    Position,
    Reference,
    Status,
    Trade,
)
from detectors.market_data.risk_events import (
    Account,
    Ack,
    AuditEvent,
    FeeSchedule,
    Insurance,
    Liquidation,
    RiskEvent,
)
from service.pipeline.checks import Checks
from service.pipeline.framing import Opening, UnopenedError
from service.pipeline.rejection import (
    MAX_AHEAD_SECONDS,
    NANOSECONDS,
    PRICES,
    Explainer,
    Reason,
    Rejection,
    TimeUnit,
)

STREAMS: Mapping[str, type[Event]] = {
    "orders": Order,
    "cancels": Cancel,
    "trades": Trade,
    "references": Reference,
    "margins": Margin,
    "positions": Position,
    "statuses": Status,
}
"""The streams of events by name, in the order of ``detectors.market_data.events.Kind``."""

RISK_STREAMS: Mapping[str, type[RiskEvent]] = {
    "accounts": Account,
    "liquidations": Liquidation,
    "insurance": Insurance,
}
"""The streams that only the risk of positions needs. Their topics need not be co-partitioned."""

RISK_INPUTS = ("references", "margins", "positions", *RISK_STREAMS)
"""All streams that the risk of positions needs."""

RiskInput = Reference | Margin | Position | RiskEvent
"""An event of one of the streams of `RISK_INPUTS`."""

AUDIT_STREAMS: Mapping[str, type[AuditEvent]] = {"acks": Ack, "fees": FeeSchedule}
"""The streams that only the audit reads: the service does not. Acknowledgements come at the rate of
the orders."""

ALL_STREAMS: Mapping[str, type[Event] | type[RiskEvent] | type[AuditEvent]] = {
    **STREAMS,
    **RISK_STREAMS,
    **AUDIT_STREAMS,
}
"""Every stream by name."""

_PART = 64  # records that are decoded one by one because one of them is invalid
REQUIRED_STREAMS = ("orders", "cancels", "trades")
"""The streams without which nothing can be watched. The others improve the detectors that use
them."""

_Price = Annotated[float, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
_TIMES = (
    "ts_event", "until", "announced_at", "effective_at", "received_at", "accepted_at",
    "rejected_at",
)  # fmt: skip
"""The fields that are in the venue's unit of time."""

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

E = TypeVar("E")


class Decoded(Struct, Generic[E]):
    """The content of a batch.

    ``events`` are in the order of their records. ``rejections`` are in ascending order of their
    index in the batch. Without ``places``, each record has one event or one rejection. With it,
    ``places`` is the index of each event's record: a message may hold several events, or none.
    ``ignored`` counts the records without an event and without a fault, ``elsewhere`` those of
    which only another reader of the topic takes events. ``unread`` counts the values of optional
    fields that could not be read, by field: such a field is absent.
    """

    events: list[E]
    rejections: list[Rejection]
    places: list[int] | None = None
    ignored: int = 0
    unread: dict[str, int] = field(default_factory=dict)
    elsewhere: int = 0

    def records(self, count: int) -> Sequence[int]:
        """Return the index of each event's record, in a batch of ``count`` records."""
        if self.places is not None:
            return self.places
        rejected = {rejection.index for rejection in self.rejections}
        return [index for index in range(count) if index not in rejected]


class Decoder(Generic[E]):
    """Decodes the records of one stream; reused for every batch. ``E`` is the type of its events.

    Parameters
    ----------
    stream
        A key of ``ALL_STREAMS``.
    fields
        Foreshock's field names to the venue's names, for those that differ. Events of a mapped
        stream are instances of a subclass of the event's class. They have the same fields and the
        same ``kind``, but they compare unequal to events of the class itself, and encode under
        other names.
    time_unit
        The unit of the times in the records. Events always carry nanoseconds.
    max_record_bytes
        Longer records are refused.
    nonpositive_prices
        Patterns of the symbols whose prices may be zero or negative.
    zero_cancels
        Whether a cancel's quantity may be zero: it states what is left.
    opening
        How the values become JSON; None: they are JSON.
    max_ahead_seconds
        Events dated further ahead of the timestamp of their record in the log are refused.

    Examples
    --------
    >>> decoder = Decoder("cancels", {"order_id": "oid"}, "ms", 1_000)
    >>> record = b'{"ts_event": 1340285400004, "symbol": "AAPL", "oid": "7"}'
    >>> decoder.decode([record], [1340285400005]).events[0].ts_event
    1340285400004000000
    """

    def __init__(
        self,
        stream: str,
        fields: Mapping[str, str],
        time_unit: TimeUnit,
        max_record_bytes: int,
        max_ahead_seconds: int = MAX_AHEAD_SECONDS,
        nonpositive_prices: tuple[str, ...] = (),
        *,
        zero_cancels: bool = False,
        opening: Opening | None = None,
    ) -> None:
        event = event_class(
            stream,
            fields,
            time_unit,
            any_price=bool(nonpositive_prices),
            zero_cancels=zero_cancels and stream == "cancels",
        )
        # Not strict, because prices may be decimal strings. This mode also accepts the strings
        # "true", "false" and "null", and 0 and 1, in place of a boolean or null. The bounds of
        # detectors.market_data.events refuse numbers that are not finite.
        decoder = msgspec.json.Decoder(event, strict=False)
        self._decode = cast("Callable[[bytes], Any]", decoder.decode)
        self._explainer = Explainer(event, fields, time_unit, max_ahead_seconds)
        self.needs_schemas = opening is not None and opening.needs_schemas
        self._opened = opening.opened if opening is not None else None
        self._scale = NANOSECONDS[time_unit]
        self._checks = Checks(
            stream, fields, self._explainer, self._scale, max_ahead_seconds, nonpositive_prices
        )
        self._more_times = [name for name in _TIMES[1:] if name in event.__struct_fields__]
        self._max_record_bytes = max_record_bytes

    def decode(self, values: Sequence[bytes | None], arrived_ms: Sequence[int]) -> Decoded[E]:
        """Return the events and the rejections of a batch of record values.

        Parameters
        ----------
        values
            Kafka record values; None is a record without a value.
        arrived_ms
            The timestamps of the records in the log, in milliseconds since 1970. An event dated
            more than ``max_ahead_seconds`` later is refused, also when the log is read again.
        """
        if not values:
            return Decoded([], [])
        events = self._decode_whole(values, arrived_ms)
        if events is not None:
            decoded = Decoded(events, [])
        else:
            decoded = self._decode_parts(values, arrived_ms)
        if self._scale != 1:
            for event in decoded.events:
                msgspec.structs.force_setattr(event, "ts_event", event.ts_event * self._scale)
                for name in self._more_times:
                    if (time := getattr(event, name)) is not None:
                        msgspec.structs.force_setattr(event, name, time * self._scale)
        return decoded

    def _decode_whole(
        self, values: Sequence[bytes | None], arrived_ms: Sequence[int]
    ) -> list[Any] | None:
        """Return the events, or None if any record is invalid."""
        decode = self._decode
        present = cast("Sequence[bytes]", values)  # None raises TypeError in decode
        try:
            if max(map(len, present)) > self._max_record_bytes:
                return None
            if self._opened is not None:
                present = list(map(self._opened, present))
            events = [decode(value) for value in present]
        except (ValueError, *_UNDECODABLE, TypeError):
            return None
        return events if self._checks.fit(events, arrived_ms) else None

    def _decode_parts(
        self, values: Sequence[bytes | None], arrived_ms: Sequence[int]
    ) -> Decoded[E]:
        """Decode the parts of a batch: valid parts as a whole, other parts record by record."""
        decoded: Decoded[E] = Decoded([], [])
        for start in range(0, len(values), _PART):
            part = values[start : start + _PART]
            if (events := self._decode_whole(part, arrived_ms[start : start + _PART])) is not None:
                decoded.events += events
                continue
            for index, value in enumerate(part, start):
                outcome = self._decode_one(value, arrived_ms[index])
                if isinstance(outcome, tuple):
                    decoded.rejections.append(Rejection(index, *outcome))
                else:
                    decoded.events.append(outcome)
        return decoded

    def _decode_one(self, value: bytes | None, arrived_ms: int) -> Any | tuple[Reason, str]:
        arrived_ns = arrived_ms * 1_000_000
        if value is None or not value.strip():
            return "empty", "the record has no value; an event is one JSON object"
        if len(value) > self._max_record_bytes:
            return "too_large", (
                f"the record has {len(value)} bytes; wire.max_record_bytes allows "
                f"{self._max_record_bytes}"
            )
        if self._opened is not None:
            try:
                value = self._opened(value)
            except UnopenedError as error:
                return error.reason, str(error)
        try:
            event = self._decode(value)
        except _UNDECODABLE as error:
            return self._explainer.explain(value, error, arrived_ns)
        return self._checks.problem(event, arrived_ms) or event


def event_class(
    stream: str,
    fields: Mapping[str, str],
    time_unit: TimeUnit,
    *,
    any_price: bool = False,
    zero_cancels: bool = False,
) -> type[Event] | type[RiskEvent] | type[AuditEvent]:
    """Return the class to decode into: the event's, or a subclass with other names and bounds."""
    event, scale = ALL_STREAMS[stream], NANOSECONDS[time_unit]
    if not fields and scale == 1 and not any_price and not zero_cancels:
        return event
    definitions: list[Any] = []
    for own in msgspec.structs.fields(event):
        annotation = own.type
        if own.name in _TIMES:
            # Rounded up: a time before the bound must not pass.
            earliest = -(-EARLIEST_NS // scale)
            annotation = Annotated[int, Meta(ge=earliest, le=LATEST_NS // scale)]
            if not own.required:
                annotation = annotation | None
        if any_price and own.name in PRICES.get(stream, ()):
            annotation = _Price if own.required else _Price | None
        if zero_cancels and own.name == "quantity":
            annotation = Annotated[float, Meta(ge=0, le=MAX_NUMBER)] | None
        default = () if own.required else (own.default,)
        definitions.append((own.name, annotation, *default))
    subclass = msgspec.defstruct(
        event.__name__,
        definitions,
        bases=(event,),
        rename=dict(fields),
        frozen=True,
        kw_only=True,
        gc=False,
    )
    return cast("type[Event]", subclass)
