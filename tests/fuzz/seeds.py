"""The fuzzers' initial corpora: cases made from generated events, never from recorded ones."""

import gzip
import random
from collections.abc import Iterator

from detectors.market_data.risk_events import (
    Account,
    Ack,
    FeeSchedule,
    Insurance,
    Liquidation,
)
from service.pipeline.wire import STREAMS
from tests.fuzz.cases import CALM, KINDS, NOW_NS, core_case, encoded, wire_header

SEED = 20_260_101
TIERS = b'[{"up_to_notional":100,"maintenance_rate":0.01},{"maintenance_rate":0.02}]'
AT = NOW_NS - 10**12
RISK = {
    "accounts": Account(ts_event=AT, account="a", equity=-1.0, margin_mode="cross"),
    "liquidations": Liquidation(
        ts_event=AT, symbol="S", liquidation_id="1", account="a", phase="slice", mark_price=3.0
    ),
    "insurance": Insurance(ts_event=AT, symbol="*", balance=2.0, delta=-1.0, cause="loss"),
    "acks": Ack(ts_event=AT, symbol="S", order_id="o", rejected_at=AT, reason="rate_limit"),
    "fees": FeeSchedule(ts_event=AT, symbol="S", maker_rate=-0.0001, taker_rate=0.0005),
}


def core() -> Iterator[bytes]:
    """Calm, then mixtures of all kinds of events."""
    rng = random.Random(SEED)
    for header in range(16):
        calm = bytes([CALM, 165, 0, 0, 0, 3, 7, 0])
        mixed = b"".join(
            bytes([kind, *rng.randbytes(7)]) for kind in rng.choices(range(7), k=20 + header)
        )
        yield bytes([header]) + calm + mixed
        yield bytes([header]) + calm * 4 + bytes([1, 2, 0, header, 0, 0, 0, 0]) * 20 + mixed


def wire() -> Iterator[bytes]:
    """A few records of each stream. The fuzzer finds the units and mappings."""
    rng = random.Random(SEED)
    by_stream: dict[str, list[bytes]] = {stream: [] for stream in STREAMS}
    data = bytes([0]) + b"".join(bytes([k % KINDS, *rng.randbytes(7)]) for k in range(60))
    for batch in core_case(data, NOW_NS - 10**12).batches:
        for event in batch:
            by_stream[list(STREAMS)[event.kind]].append(encoded(event))
    for stream, records in by_stream.items():
        for size in (1, 3, 10):
            yield wire_header(stream) + b"\n".join(records[:size])
        yield wire_header(stream, unit=2, mapping=1) + records[0]
    yield wire_header("margins") + b'{"ts_event":%d,"symbol":"S","tiers":%s}' % (NOW_NS, TIERS)
    for stream, event in RISK.items():
        yield wire_header(stream) + encoded(event)


def files() -> Iterator[bytes]:
    """Lines, plain and compressed."""
    lines = b'{"a":1}\n\n  \n{"b":"' + b"x" * 80 + b'"}\n{"c":2}\r\n{"d":'
    for header in range(32):
        yield bytes([header, 7]) + lines
    yield bytes([1, 7]) + gzip.compress(lines, mtime=0)
    yield bytes([1, 7]) + gzip.compress(lines, mtime=0)[:-6]


def snapshots() -> Iterator[bytes]:
    """Complete sets, torn sets, sets with a changed byte, and foreign headers."""
    rng = random.Random(SEED)
    for size in (2, 8, 24):
        yield bytes(b for i in range(size) for b in (i, 0, 0, 0, 0, 0))
        yield rng.randbytes(6 * size)


CORPORA = {"core": core, "wire": wire, "files": files, "snapshots": snapshots}
