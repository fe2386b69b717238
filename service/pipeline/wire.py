"""Decodes Kafka records into events: field mapping, validation, and dead letters.

A batch usually costs one list comprehension over one reused msgspec decoder, and three passes for
rules that the types cannot express. Only if one of these finds a fault, records are decoded one by
one to find the invalid ones.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, gt
from typing import Annotated, Any, Generic, TypeVar, cast

import msgspec
from msgspec import Meta, Struct

from detectors.incidents.market_wide import MARKET
from detectors.incidents.suppression import applies
from detectors.market_data.events import (
    EARLIEST_NS,
    LATEST_NS,
    MAX_NUMBER,
    MIN_NUMBER,
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
from service.pipeline.log_time import log_time_ns
from service.pipeline.margin_tiers import tiers_problem
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

_MARKET_IS_A_NAME = ("accounts", "insurance")
"""The streams in which `MARKET` is a name like others, or stands for the whole venue."""

_MAY_BE_ZERO = ("liquidation_price", "bankruptcy_price")
"""The prices that are 0 if no price is low enough."""

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

E = TypeVar("E")


class Decoded(Struct, Generic[E]):
    """The content of a batch.

    ``events`` are in the order of their records. ``rejections`` are in ascending order of their
    index in the batch; their records have no event.
    """

    events: list[E]
    rejections: list[Rejection]


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
        self._nonpositive_prices = nonpositive_prices
        self._prices = PRICES.get(stream, ()) if nonpositive_prices else ()
        self._is_orders = stream == "orders"
        self._is_margins = stream == "margins"
        own_name = "account" if stream == "accounts" else "symbol"
        self._name_of = attrgetter(own_name)
        self._name_field = fields.get(own_name, own_name)
        self._market_is_a_name = stream in _MARKET_IS_A_NAME
        self._more_times = [name for name in _TIMES[1:] if name in event.__struct_fields__]
        self._price = fields.get("price", "price")
        self._max_ahead_ns = max_ahead_seconds * 1_000_000_000
        self._scale = NANOSECONDS[time_unit]
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

    def _latest(self, arrived_ms: int) -> int:
        """Return the latest date, in the unit of the records, of an event that arrived then."""
        return (log_time_ns(arrived_ms) + self._max_ahead_ns) // self._scale

    def _decode_whole(
        self, values: Sequence[bytes | None], arrived_ms: Sequence[int]
    ) -> list[Any] | None:
        """Return the events, or None if any record is invalid."""
        decode = self._decode
        present = cast("Sequence[bytes]", values)  # None raises TypeError in decode
        try:
            if max(map(len, present)) > self._max_record_bytes:
                return None
            events = [decode(value) for value in present]
        except (*_UNDECODABLE, TypeError):
            return None
        times = [event.ts_event for event in events]
        if max(times) > self._latest(min(arrived_ms)) and any(
            map(gt, times, map(self._latest, arrived_ms))
        ):
            return None
        unfit = (self._is_orders and _any_unpriced(events)) or (
            self._is_margins and any(map(_tiers_problem, events))
        )
        if unfit or (self._prices and any(map(self._refused_price, events))):
            return None
        names = set(map(self._name_of, events))
        if not all(map(str.isprintable, names)):
            return None
        return None if MARKET in names and not self._market_is_a_name else events

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

    def _decode_one(  # noqa: PLR0911 - one return per reason
        self, value: bytes | None, arrived_ms: int
    ) -> Any | tuple[Reason, str]:
        arrived_ns = arrived_ms * 1_000_000
        if value is None or not value.strip():
            return "empty", "the record has no value; an event is one JSON object"
        if len(value) > self._max_record_bytes:
            return "too_large", (
                f"the record has {len(value)} bytes; wire.max_record_bytes allows "
                f"{self._max_record_bytes}"
            )
        try:
            event = self._decode(value)
        except _UNDECODABLE as error:
            return self._explainer.explain(value, error, arrived_ns)
        if event.ts_event > self._latest(arrived_ms):
            return "in_the_future", self._explainer.misdated(str(event.ts_event), arrived_ns)
        if self._prices and (refused := self._refused_price(event)):
            return "out_of_range", self._explainer.nonpositive(*refused)
        if isinstance(event, Order) and _any_unpriced([event]):
            return "missing_field", self._explainer.missing(self._price)
        if isinstance(event, Margin) and (problem := _tiers_problem(event)):
            return "unordered_tiers", self._explainer.unordered(*problem)
        name: str = self._name_of(event)
        if not name.isprintable():
            return "not_printable", self._explainer.unprintable(self._name_field, name)
        if name == MARKET and not self._market_is_a_name:
            return "reserved_symbol", self._explainer.reserved(name)
        return event

    def _refused_price(self, event: Any) -> tuple[str, float] | None:
        """Return the field and the value of a price that the symbol of the event cannot have."""
        for field in self._prices:
            price = getattr(event, field)
            if (
                price is not None
                and price < MIN_NUMBER
                and not (field in _MAY_BE_ZERO and price == 0.0)
                and not applies(self._nonpositive_prices, self._name_of(event))
            ):
                return field, price
        return None


def _any_unpriced(orders: list[Order]) -> bool:
    """Return whether any order lacks a price that it needs; only a market order needs none."""
    return bool([order for order in orders if order.price is None and order.type != "market"])


def _tiers_problem(margin: Margin) -> tuple[str, str] | None:
    return tiers_problem(margin.tiers) if margin.tiers is not None else None


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
    for field in msgspec.structs.fields(event):
        annotation = field.type
        if field.name in _TIMES:
            # Rounded up: a time before the bound must not pass.
            earliest = -(-EARLIEST_NS // scale)
            annotation = Annotated[int, Meta(ge=earliest, le=LATEST_NS // scale)]
            if not field.required:
                annotation = annotation | None
        if any_price and field.name in PRICES.get(stream, ()):
            annotation = _Price if field.required else _Price | None
        if zero_cancels and field.name == "quantity":
            annotation = Annotated[float, Meta(ge=0, le=MAX_NUMBER)] | None
        default = () if field.required else (field.default,)
        definitions.append((field.name, annotation, *default))
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
