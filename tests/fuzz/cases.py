"""Cases as bytes: the fuzzer's input, and its decoding into events and records."""

from typing import get_args

import msgspec
from msgspec import Struct

from detectors.market_data.events import (
    LATEST_NS,
    MAX_NUMBER,
    MIN_NUMBER,
    Cancel,
    Event,
    Margin,
    Order,
    Position,
    Reference,
    State,
    Status,
    Trade,
)
from service.pipeline.wire import ALL_STREAMS, STREAMS

BEGIN_NS = 1_767_225_600_000_000_000
NOW_NS = BEGIN_NS + 30 * 86_400_000_000_000

# Core: a header byte, then operations of eight bytes each.

OPERATION_BYTES = 8
KINDS = len(STREAMS)
CALM = KINDS  # an operation beyond the streams: some bars of ordinary quotes

PRICES = [
    MIN_NUMBER, 1e-29, 5e-16, 1e-9, 0.1, 99.0, 100.0, 100.0000000001, 101.0, 1e3, 123456.789, 1e9,
    999_999_999_999_999.9, MAX_NUMBER,
]  # fmt: skip
QUANTITIES = [MIN_NUMBER, 1e-18, 1e-9, 0.1, 0.2, 0.3, 1.0, 3.0, 1e6, 1e12, MAX_NUMBER]
LEVERAGES = [None, 5e-324, 1e-9, 1.0, 2.0, 3.0, 50.0, 125.0, 10_000.0]
STATES = get_args(State)
RATES = [None, -100.0, -0.0, 0.0, 5e-324, 0.01, 100.0]
STEPS_NS = [
    0, 1, 1_000, 1_000_000, 999_999_999, 1_000_000_000, 5_000_000_000, 59_999_999_999,
    61_000_000_000, 3_600_000_000_000, 86_400_000_000_000, 400 * 86_400_000_000_000,
    -1, -1_000_000, -99_999_999, -200_000_000, -5_000_000_000, -86_400_000_000_000,
]  # fmt: skip


class CoreCase(Struct):
    """A core case: ``header`` selects how it is run; batches are fed one by one."""

    header: int
    batches: list[list[Event]]


def core_case(data: bytes, begin_ns: int) -> CoreCase:
    """Decode bytes into events; every byte sequence is a case."""
    header = data[0] if data else 0
    case = CoreCase(header, [[]])
    at = begin_ns
    for start in range(1, len(data) - OPERATION_BYTES + 1, OPERATION_BYTES):
        operation = data[start : start + OPERATION_BYTES]
        at = max(BEGIN_NS - 10**15, at + _step_ns(operation[1]))
        kind = operation[0] % (KINDS + 1)
        if kind == CALM:
            events = list(_calm(operation, at))
            at = events[-1].ts_event
        else:
            events = [_event(kind, operation, at)]
        case.batches[-1] += events
        if operation[0] >= 224:
            case.batches.append([])
    return case


def _step_ns(code: int) -> int:
    return STEPS_NS[code % len(STEPS_NS)] if code >= 160 else code * 2_000_000


def _price(code: int) -> float:
    return PRICES[code % len(PRICES)] if code >= 200 else 100.0 + 0.01 * (code - 100)


def _quantity(code: int) -> float:
    return QUANTITIES[code % len(QUANTITIES)] if code >= 128 else 1.0 + code / 8


def _pick(values: list[float | None], code: int) -> float | None:
    return values[code % len(values)]


def _event(kind: int, operation: bytes, at: int) -> Event:  # noqa: PLR0911 - one a kind
    _, _, symbol_code, order, price, quantity, more, flags = operation
    common = {
        "ts_event": at,
        "symbol": _symbol(symbol_code),
        "sequence": flags if flags % 3 else None,
    }
    account = f"a{symbol_code // 8}" if symbol_code % 8 else None
    order_id = f"o{order}"
    side = "buy" if flags & 1 else "sell"
    match kind:
        case 0:
            market = flags & 2 > 0
            return Order(
                **common, order_id=order_id, account=account, side=side,
                price=None if market else _price(price), quantity=_quantity(quantity),
                leverage=_pick(LEVERAGES, more), type="market" if market else None,
                reduce_only=flags & 4 > 0 or None,
            )  # fmt: skip
        case 1:
            taken = _quantity(quantity) if more & 1 else None
            return Cancel(**common, order_id=order_id, account=account, quantity=taken)
        case 2:
            return Trade(
                **common, trade_id=order_id, price=_price(price), quantity=_quantity(quantity),
                side=side, maker_order_id=order_id if more & 1 else None,
                taker_order_id=f"o{more}" if more & 2 else None, maker_account=account,
                liquidation=more & 4 > 0 or None,
            )  # fmt: skip
        case 3:
            mark = _price(price) if more & 1 else None
            return Reference(**common, mark_price=mark, funding_rate=_pick(RATES, quantity))
        case 4:
            return Margin(**common, max_leverage=_pick(LEVERAGES, more))
        case 5:
            return Position(
                **common, account=account or "a", entry_price=_price(price),
                quantity=_quantity(quantity) * (-1 if flags & 1 else 1),
                leverage=_pick(LEVERAGES, more),
            )  # fmt: skip
        case _:
            until = (
                min(LATEST_NS, common["ts_event"] + quantity * 1_000_000_000) if more & 1 else None
            )
            return Status(**common, state=STATES[more // 2 % len(STATES)], until=until)


def _symbol(code: int) -> str:
    return f"S{code % 3}" if code < 200 else f"X{code}"


def _calm(operation: bytes, at: int):
    """Some seconds of quotes around 100, with occasional cancels."""
    _, _, symbol_code, order, _, quantity, more, _ = operation
    symbol = _symbol(symbol_code)
    for second in range(1 + more % 8):
        now = at + second * 1_000_000_000
        for i in range(1 + quantity % 4):
            side, away = ("buy", -0.01) if i & 1 else ("sell", 0.01)
            yield Order(
                ts_event=now + i, symbol=symbol, order_id=f"o{(order + second + i) % 256}",
                account=f"a{i}", side=side, price=100.0 + away * (1 + (second + i) % 5),
                quantity=1.0 + i, leverage=3.0,
            )  # fmt: skip
        if second % 4 == 0:
            yield Cancel(ts_event=now + 9, symbol=symbol, order_id=f"o{(order + second) % 256}")


# Wire: a header byte, then records separated by newlines.

WIRE_STREAMS = list(ALL_STREAMS)
UNITS = ("ns", "us", "ms", "s")
MAPPINGS: tuple[dict[str, str], ...] = ({}, {"ts_event": "T", "symbol": "sym", "quantity": "q"})


class WireCase(Struct):
    """A batch of record values for one decoder."""

    stream: str
    unit: str
    fields: dict[str, str]
    records: list[bytes | None]


def wire_case(data: bytes) -> WireCase:
    """Decode bytes into records; a single zero byte is a record without a value."""
    header = data[0] if data else 0
    records = [None if line == b"\0" else line for line in data[1:].split(b"\n")]
    return WireCase(
        WIRE_STREAMS[header % len(WIRE_STREAMS)],
        UNITS[header // len(WIRE_STREAMS) % len(UNITS)],
        MAPPINGS[header // len(WIRE_STREAMS) // len(UNITS) % len(MAPPINGS)],
        records[:100],
    )


def wire_header(stream: str, *, unit: int = 0, mapping: int = 0) -> bytes:
    """The header byte of a wire case."""
    kind = WIRE_STREAMS.index(stream)
    return bytes([kind + len(WIRE_STREAMS) * (unit + len(UNITS) * mapping)])


def encoded(event: Event) -> bytes:
    """An event as a record."""
    return msgspec.json.encode(event)
