"""CPU time to decode a record of the plain format, and a message that a mapping reads.

    python benchmarks/decode.py

Each row has the same orders, in another shape. The ratio is to the plain format.
"""

import json
import time
import timeit
from collections.abc import Mapping
from typing import Any

from service.mapping.decoder import MappedDecoder
from service.mapping.rules import FieldRule, MappingSettings
from service.mapping.target import Common
from service.pipeline.wire import Decoder

RECORDS = 5_000  # a poll
REPEATS = 100
START_NS = 1_700_000_000_000_000_000
ARRIVED_MS = [START_NS // 1_000_000 + 60_000] * RECORDS
NAMES = {
    "ts_event": "time",
    "symbol": "product_id",
    "order_id": "id",
    "side": "side",
    "price": "price",
    "quantity": "size",
    "account": "user_id",
}
SIDE = FieldRule(path="side", values={"B": "buy", "S": "sell"})


def orders() -> list[dict[str, Any]]:
    """The orders, with the names of the venue."""
    return [
        {
            "time": START_NS + i * 1_000,
            "product_id": "BTC-USD",
            "id": f"5d3e1e7c-9b2f-4a5e-8c1d-{i:012}",
            "side": "buy",
            "price": "64000.10",
            "size": "0.50",
            "user_id": f"a{i}",
        }
        for i in range(RECORDS)
    ]


def mapped(
    when: Mapping[str, str], unit: Any = "ns", *, events: str | None = None, **fields: Any
) -> MappedDecoder[Any]:
    """A decoder of the orders by a mapping."""
    entry = MappingSettings(
        stream="orders",
        topics=("orders",),
        when=dict(when),
        events=events,
        time_unit=unit,
        fields={**NAMES, **fields},
    )
    return MappedDecoder([entry], Common())


def iso(ns: int) -> str:
    """The microseconds of a time within a second of the start, as ISO 8601."""
    return f"2023-11-14T22:13:20.{ns // 1_000 % 1_000_000:06}Z"


def shapes() -> dict[str, tuple[Any, list[Any]]]:
    """The decoder and the messages of each shape."""
    theirs = orders()
    ours = [{own: its[name] for own, name in NAMES.items()} for its in theirs]
    nested = {own: f"order.{name}" for own, name in NAMES.items()}
    of_list = NAMES | {"symbol": "$.product_id"}
    sided = [its | {"type": "open", "side": "B"} for its in theirs]
    return {
        "plain": (Decoder("orders", {}, "ns", 1_000_000), ours),
        "renamed, [wire.fields]": (Decoder("orders", NAMES, "ns", 1_000_000), theirs),
        "renamed": (mapped({}), theirs),
        "by a type, with values": (mapped({"type": "open"}, side=SIDE), sided),
        "by a type, with values, ISO times": (
            mapped({"type": "open"}, "iso", side=SIDE),
            [its | {"time": iso(its["time"])} for its in sided],
        ),
        "nested": (mapped({}, **nested), [{"order": its} for its in theirs]),
        "ten in a list": (
            mapped({}, events="data", **of_list),
            [{"product_id": "BTC-USD", "data": theirs[i : i + 10]} for i in range(0, RECORDS, 10)],
        ),
    }


def main() -> None:
    """Print the microseconds for each order, and the ratio to the plain format."""
    plain = 0.0
    for name, (decoder, messages) in shapes().items():
        values = [json.dumps(its, separators=(",", ":")).encode() for its in messages]
        arrived_ms = ARRIVED_MS[: len(values)]

        def run(decoder: Any = decoder, values: Any = values, arrived_ms: Any = arrived_ms) -> Any:
            return decoder.decode(values, arrived_ms)

        assert len(run().events) == RECORDS
        taken = timeit.repeat(run, number=1, repeat=REPEATS, timer=time.process_time)
        microseconds = min(taken) / RECORDS * 1e6
        plain = plain or microseconds
        print(f"{name:<36}{microseconds:6.3f} us {microseconds / plain:5.2f}")


if __name__ == "__main__":
    main()
