"""Decodes Kafka records into events: field mapping, validation, and dead letters.

A batch usually costs one list comprehension over one reused msgspec decoder, and three passes for
rules that the types cannot express. Only if one of these finds a fault, records are decoded one by
one to find the invalid ones.
"""

from collections.abc import Mapping, Sequence
from operator import gt
from typing import Annotated, Any, cast

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
from service.pipeline.log_time import log_time_ns
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

_PART = 64  # records that are decoded one by one because one of them is invalid
REQUIRED_STREAMS = ("orders", "cancels", "trades")
"""The streams without which nothing can be watched. The others improve the detectors that use
them."""

_Price = Annotated[float, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
_TIMES = ("ts_event", "until")
"""The fields that are in the venue's unit of time."""

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Decoded(Struct):
    """The content of a batch.

    ``events`` are in the order of their records. ``rejections`` are in ascending order of their
    index in the batch; their records have no event.
    """

    events: list[Event]
    rejections: list[Rejection]


class Decoder:
    """Decodes the records of one stream; reused for every batch.

    Parameters
    ----------
    stream
        A key of ``STREAMS``.
    fields
        Foreshock's field names to the venue's names, for those that differ. Events of a mapped
        stream are instances of a subclass of the event's class. They have the same fields and the
        same ``kind``, but they compare unequal to events of the class itself, and encode under
        other names.
    time_unit
        The unit of ``ts_event`` in the records. Events always carry nanoseconds.
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
        self._decode = msgspec.json.Decoder(event, strict=False).decode
        self._explainer = Explainer(event, fields, time_unit, max_ahead_seconds)
        self._nonpositive_prices = nonpositive_prices
        self._prices = PRICES.get(stream, ()) if nonpositive_prices else ()
        self._is_orders = stream == "orders"
        self._price = fields.get("price", "price")
        self._max_ahead_ns = max_ahead_seconds * 1_000_000_000
        self._scale = NANOSECONDS[time_unit]
        self._max_record_bytes = max_record_bytes

    def decode(self, values: Sequence[bytes | None], arrived_ms: Sequence[int]) -> Decoded:
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
                if isinstance(event, Status) and event.until is not None:
                    msgspec.structs.force_setattr(event, "until", event.until * self._scale)
        return decoded

    def _latest(self, arrived_ms: int) -> int:
        """Return the latest date, in the unit of the records, of an event that arrived then."""
        return (log_time_ns(arrived_ms) + self._max_ahead_ns) // self._scale

    def _decode_whole(
        self, values: Sequence[bytes | None], arrived_ms: Sequence[int]
    ) -> list[Event] | None:
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
        unpriced = self._is_orders and _any_unpriced(cast("list[Order]", events))
        if unpriced or (self._prices and any(map(self._refused_price, events))):
            return None
        symbols = {event.symbol for event in events}
        if MARKET in symbols or not all(map(str.isprintable, symbols)):
            return None
        return events

    def _decode_parts(self, values: Sequence[bytes | None], arrived_ms: Sequence[int]) -> Decoded:
        """Decode the parts of a batch: valid parts as a whole, other parts record by record."""
        decoded = Decoded([], [])
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
    ) -> Event | tuple[Reason, str]:
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
        if not event.symbol.isprintable():
            return "not_printable", self._explainer.unprintable(event.symbol)
        if event.symbol == MARKET:
            return "reserved_symbol", self._explainer.reserved(event.symbol)
        return event

    def _refused_price(self, event: Event) -> tuple[str, float] | None:
        """Return the field and the value of a price that the symbol of the event cannot have."""
        for field in self._prices:
            price = getattr(event, field)
            if (
                price is not None
                and price < MIN_NUMBER
                and not (field == "liquidation_price" and price == 0.0)
                and not applies(self._nonpositive_prices, event.symbol)
            ):
                return field, price
        return None


def _any_unpriced(orders: list[Order]) -> bool:
    """Return whether any order lacks a price that it needs; only a market order needs none."""
    return bool([order for order in orders if order.price is None and order.type != "market"])


def event_class(
    stream: str,
    fields: Mapping[str, str],
    time_unit: TimeUnit,
    *,
    any_price: bool = False,
    zero_cancels: bool = False,
) -> type[Event]:
    """Return the class to decode into: the event's, or a subclass with other names and bounds."""
    event, scale = STREAMS[stream], NANOSECONDS[time_unit]
    if not fields and scale == 1 and not any_price and not zero_cancels:
        return event
    definitions: list[Any] = []
    for field in msgspec.structs.fields(event):
        annotation = field.type
        if field.name in _TIMES:
            # Rounded up: a time before the bound must not pass.
            earliest = -(-EARLIEST_NS // scale)
            annotation = Annotated[int, Meta(ge=earliest, le=LATEST_NS // scale)]
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
