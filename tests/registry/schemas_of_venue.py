"""Orders of a venue in Avro and Protobuf, in versions that differ by fields, and their records."""

import base64
import io
import json
from typing import Any

import fastavro
from google.protobuf import descriptor_pb2, timestamp_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

MS = 1_700_000_000_123
NS = MS * 1_000_000

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}


def avro_order(*more: Any, without: str = "", time: str = "timestamp-millis") -> dict[str, Any]:
    """The schema of an order."""
    fields: list[Any] = [
        {"name": "time", "type": {"type": "long", "logicalType": time}},
        {"name": "symbol", "type": "string"},
        {"name": "id", "type": "long"},
        {"name": "side", "type": {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}},
        {"name": "price", "type": DECIMAL},
        {"name": "size", "type": "double"},
        *more,
    ]
    fields = [field for field in fields if field["name"] != without]
    return {"type": "record", "name": "Order", "namespace": "venue", "fields": fields}


def avro(number: int, schema: Any, value: Any) -> bytes:
    """A record of a schema."""
    content = io.BytesIO()
    fastavro.schemaless_writer(content, fastavro.parse_schema(schema), value)
    return framed(number, content.getvalue())


def framed(number: int, content: bytes) -> bytes:
    return b"\0" + number.to_bytes(4, "big") + content


ORDERS = """
[[mappings]]
stream = "orders"
topics = ["{topic}"]
format = "{format}"
[mappings.fields]
ts_event = "time"
symbol = "symbol"
order_id = "id"
side = {{path = "side", values = {{BUY = "buy", SELL = "sell"}}}}
price = "price"
quantity = "size"
account = "account"
"""
"""What an order of the venue means, by its topic and format."""

MAPPING = (
    ORDERS.replace("{topic}", "md")
    + """
[registry]
url = "{url}"
"""
)

F = descriptor_pb2.FieldDescriptorProto


def proto_file(
    *more: tuple[str, int, int], without: str = "", imports: tuple[str, ...] = ()
) -> descriptor_pb2.FileDescriptorProto:
    """A file with a message that is no order, the order, and a message within it."""
    file = descriptor_pb2.FileDescriptorProto(name="venue.proto", package="venue", syntax="proto3")
    file.dependency.extend(
        ["google/protobuf/timestamp.proto", "confluent/type/decimal.proto", *imports]
    )
    side = file.enum_type.add(name="Side")
    side.value.add(name="BUY", number=0)
    side.value.add(name="SELL", number=1)
    heartbeat = file.message_type.add(name="Heartbeat")
    heartbeat.field.add(name="n", number=1, type=F.TYPE_INT32, label=F.LABEL_OPTIONAL)
    order = file.message_type.add(name="Order")
    fields: list[tuple[str, int, Any]] = [
        ("time", 1, ".google.protobuf.Timestamp"),
        ("symbol", 2, F.TYPE_STRING),
        ("id", 3, F.TYPE_INT64),
        ("side", 4, ".venue.Side"),
        ("price", 5, ".confluent.type.Decimal"),
        ("size", 6, F.TYPE_DOUBLE),
        *more,
    ]
    for name, number, kind in fields:
        if name == without:
            continue
        its = order.field.add(name=name, number=number, label=F.LABEL_OPTIONAL)
        if isinstance(kind, str):
            its.type_name = kind
            its.type = F.TYPE_ENUM if kind.endswith("Side") else F.TYPE_MESSAGE
        else:
            its.type = kind
    inner = order.nested_type.add(name="Inner")
    inner.field.add(name="symbol", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
    return file


def serialized(file: descriptor_pb2.FileDescriptorProto) -> str:
    return base64.b64encode(file.SerializeToString()).decode()


def decimal_file() -> descriptor_pb2.FileDescriptorProto:
    """Confluent's decimal, as its documentation has it."""
    file = descriptor_pb2.FileDescriptorProto(
        name="confluent/type/decimal.proto", package="confluent.type", syntax="proto3"
    )
    message = file.message_type.add(name="Decimal")
    for number, (name, kind) in enumerate(
        (("value", F.TYPE_BYTES), ("precision", F.TYPE_UINT32), ("scale", F.TYPE_INT32)), 1
    ):
        message.field.add(name=name, number=number, type=kind, label=F.LABEL_OPTIONAL)
    return file


def proto(
    number: int,
    file: descriptor_pb2.FileDescriptorProto,
    values: dict[str, Any],
    *,
    message: str = "venue.Order",
    path: bytes = b"\x02\x02",
    others: tuple[descriptor_pb2.FileDescriptorProto, ...] = (),
) -> bytes:
    """A record of a message of a file; ``path`` are its numbers in the file."""
    pool = DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for its in (decimal_file(), *others, file):
        pool.AddSerializedFile(its.SerializeToString())
    made = GetMessageClass(pool.FindMessageTypeByName(message))(**values)
    return framed(number, path + made.SerializeToString())


def proto_order(**changes: Any) -> dict[str, Any]:
    return {
        "time": {"seconds": MS // 1_000, "nanos": 123_000_007},
        "symbol": "BTC",
        "id": 7,
        "side": 1,
        "price": {"value": (15050).to_bytes(2, "big"), "precision": 18, "scale": 2},
        "size": 0.25,
        **changes,
    }


def as_text(schema: Any) -> str:
    return schema if isinstance(schema, str) else json.dumps(schema)
