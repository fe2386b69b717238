"""What records of Avro and Protobuf become, by their own schema."""

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from service.formats.avro import AvroSchema, UnusableSchemaError
from service.formats.protobuf import ProtobufSchema
from service.formats.schemas import SchemaNotLoadedError, Schemas, Unusable
from service.pipeline.framing import UnopenedError
from service.settings.assembly import decoders, mapped_decoder
from service.settings.types import Settings, settings_hash
from tests.mapping.configured import NOW_MS, settings
from tests.registry.schemas_of_venue import (
    MAPPING,
    MS,
    NS,
    F,
    as_text,
    avro,
    avro_order,
    framed,
    proto,
    proto_file,
    proto_order,
    serialized,
)

URL = "http://127.0.0.1:1"


@pytest.fixture
def schemas() -> Schemas:
    return Schemas()


def order(**changes: Any) -> dict[str, Any]:
    return {
        "time": MS, "symbol": "BTC", "id": 7, "side": "SELL", "price": "150.50", "size": 0.25,
    } | changes  # fmt: skip


def written(**changes: Any) -> dict[str, Any]:
    from decimal import Decimal

    return order(price=Decimal("150.50")) | changes


def decoded(directory: Path, schemas: Schemas, form: str, *records: bytes | None, more: str = ""):
    text = MAPPING.format(format=form, url=URL).replace('format = "', more + 'format = "')
    decoder = mapped_decoder(settings(text, directory), "md", schemas=schemas)
    return decoder.decode(records, [NOW_MS] * len(records))


def known(schemas: Schemas, number: int, *texts: Any) -> None:
    schemas.put(number, AvroSchema([as_text(its) for its in texts]))


def test_logical_types_become_what_the_mapping_expects(tmp_path: Path, schemas: Schemas):
    known(schemas, 1, avro_order())
    found = decoded(tmp_path, schemas, "avro", avro(1, avro_order(), written()))
    (event,) = found.events
    assert (event.ts_event, event.symbol, event.order_id) == (NS, "BTC", "7")
    assert (event.side, event.price, event.quantity) == ("sell", 150.5, 0.25)


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s", "iso"])
@pytest.mark.parametrize("form", ["avro", "protobuf"])
def test_a_logical_time_takes_the_unit_of_the_mapping(
    tmp_path: Path, schemas: Schemas, unit: str, form: str
):
    if form == "avro":
        known(schemas, 1, avro_order())
        record = avro(1, avro_order(), written())
    else:
        schemas.put(1, ProtobufSchema([("", serialized(proto_file()))]))
        record = proto(1, proto_file(), proto_order())
    (event,) = decoded(tmp_path, schemas, form, record, more=f'time_unit = "{unit}"\n').events
    assert event.ts_event - NS in ((0, 7) if form == "protobuf" else (0,))


def test_each_record_is_read_by_the_schema_that_it_was_written_with(
    tmp_path: Path, schemas: Schemas
):
    account = {"name": "account", "type": ["null", "string"], "default": None}
    later = {"time": "timestamp-micros", "without": "size"}
    known(schemas, 1, avro_order())
    known(schemas, 2, avro_order(account))
    known(schemas, 3, avro_order(account, **later))
    found = decoded(
        tmp_path,
        schemas,
        "avro",
        avro(1, avro_order(), written()),
        avro(2, avro_order(account), written(account="a1")),
        avro(3, avro_order(account, **later), written(account="a1", time=MS * 1_000)),
        avro(1, avro_order(), written(id=8)),
    )
    assert [its.order_id for its in found.events] == ["7", "7", "8"]
    assert [its.account for its in found.events] == [None, "a1", None]
    # The third has no size any more, which an order needs.
    (refused,) = found.rejections
    assert (refused.index, refused.reason) == (2, "missing_field")
    assert refused.detail.startswith("size (quantity) is missing")


def test_protobuf_fields_that_are_added_and_removed(tmp_path: Path, schemas: Schemas):
    with_account = proto_file(("account", 7, F.TYPE_STRING))
    without_size = proto_file(without="size")
    for number, file in enumerate((proto_file(), with_account, without_size), 1):
        schemas.put(number, ProtobufSchema([("", serialized(file))]))
    short = proto_order()
    del short["size"]
    found = decoded(
        tmp_path,
        schemas,
        "protobuf",
        proto(1, proto_file(), proto_order()),
        proto(2, with_account, proto_order(account="a1")),
        proto(3, without_size, short),
    )
    assert [its.account for its in found.events] == [None, "a1"]
    assert [its.price for its in found.events] == [150.5, 150.5]
    assert [its.side for its in found.events] == ["sell", "sell"]
    (refused,) = found.rejections
    assert (refused.index, refused.reason) == (2, "missing_field")


def test_the_numbers_after_the_id_say_which_message_of_a_file_it_is(schemas: Schemas):
    schemas.put(1, ProtobufSchema([("", serialized(proto_file()))]))
    opened = schemas.opening("protobuf", "ns").opened
    first = proto(1, proto_file(), {"n": 3}, message="venue.Heartbeat", path=b"\0")
    assert opened(first) == b'{"n":3,"@schema":"venue.Heartbeat"}'
    inner = proto(1, proto_file(), {"symbol": "X"}, message="venue.Order.Inner", path=b"\x04\x02\0")
    assert opened(inner) == b'{"symbol":"X","@schema":"venue.Order.Inner"}'


def test_the_name_of_the_type_selects_the_mapping(tmp_path: Path, schemas: Schemas):
    trade = {"type": "record", "name": "venue.Trade", "fields": [{"name": "n", "type": "int"}]}
    known(schemas, 1, avro_order())
    known(schemas, 2, trade)
    known(schemas, 3, avro_order(), trade, ["venue.Order", "venue.Trade"])
    both = avro(3, [avro_order(), trade], ("venue.Order", written(id=9)))
    found = decoded(
        tmp_path,
        schemas,
        "avro",
        avro(1, avro_order(), written()),
        avro(2, trade, {"n": 1}),
        both,
        more='when = {"@schema" = "venue.Order"}\n',
    )
    assert [its.order_id for its in found.events] == ["7", "9"]
    assert (found.rejections, found.ignored) == ([], 1)


def test_plain_topics_may_be_avro_too(tmp_path: Path, schemas: Schemas):
    fields = [
        {"name": "ts_event", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "symbol", "type": "string"},
        {"name": "order_id", "type": "string"},
    ]
    schema = {"type": "record", "name": "Cancel", "fields": fields}
    known(schemas, 5, schema)
    its = settings(f'[wire]\nformat = "avro"\n[registry]\nurl = "{URL}"\n', tmp_path)
    decoder = decoders(its, ["cancels"], schemas)["cancels"]
    record = avro(5, schema, {"ts_event": MS * 1_000, "symbol": "BTC", "order_id": "7"})
    found = decoder.decode([record, b"{}", None, framed(5, b"\x01")], [NOW_MS] * 4)
    assert [(e.ts_event, e.order_id) for e in found.events] == [(NS, "7")]
    reasons = [(its.index, its.reason) for its in found.rejections]
    assert reasons == [(1, "no_schema_id"), (2, "empty"), (3, "not_of_schema")]


@pytest.mark.parametrize(
    ("record", "reason", "part"),
    [
        (b"{}", "no_schema_id", "begins with byte 7b"),
        (framed(1, b"\x02"), "not_of_schema", "not of its schema 1"),
        (avro(1, avro_order(), written()) + b"x", "not_of_schema", "1 bytes are left"),
        (framed(2, b""), "unknown_schema", "no schema 2"),
        (framed(3, b"\0"), "unusable_schema", 'schema 3 is of the format "protobuf"'),
    ],
)
def test_what_is_no_event_says_why(
    tmp_path: Path, schemas: Schemas, record: bytes, reason: str, part: str
):
    known(schemas, 1, avro_order())
    schemas.put(2, Unusable("unknown_schema", "the schema registry has no schema 2"))
    schemas.put(3, ProtobufSchema([("", serialized(proto_file()))]))
    good = avro(1, avro_order(), written())
    found = decoded(tmp_path, schemas, "avro", good, record, good)
    assert len(found.events) == 2
    (refused,) = found.rejections
    assert (refused.index, refused.reason) == (1, reason)
    assert part in refused.detail


@pytest.mark.parametrize("content", [b"", b"\x02", b"\x02\x08", b"\x01\0", b"\x02\x02\xff\xff"])
def test_protobuf_that_is_broken_is_no_event(tmp_path: Path, schemas: Schemas, content: bytes):
    schemas.put(1, ProtobufSchema([("", serialized(proto_file()))]))
    (refused,) = decoded(tmp_path, schemas, "protobuf", framed(1, content)).rejections
    assert refused.reason == "not_of_schema"


def test_a_record_whose_schema_was_not_loaded_is_no_dead_letter(tmp_path: Path, schemas: Schemas):
    with pytest.raises(SchemaNotLoadedError):
        decoded(tmp_path, schemas, "avro", framed(1, b""))


NODE = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "next", "type": ["null", "Node"]}],
}
NOTHING = {
    "type": "record",
    "name": "Bomb",
    "fields": [{"name": "items", "type": {"type": "array", "items": "null"}}],
}


@pytest.mark.parametrize(
    ("schema", "part"),
    [
        (NODE, "Node contains itself"),
        (NOTHING, "have no bytes"),
        ({"type": "record", "name": "A", "fields": [{"name": "b", "type": "Nowhere"}]}, "Nowhere"),
        ({"type": "record"}, "no valid Avro schema"),
        ("not JSON", "no valid Avro schema"),
        (3, "no valid Avro schema"),
    ],
)
def test_schemas_that_cannot_be_used_say_why(schema: Any, part: str):
    with pytest.raises(UnusableSchemaError, match=part):
        AvroSchema([as_text(schema)])


def test_times_within_lists_maps_and_unions_take_the_unit_too():
    time = {"type": "long", "logicalType": "timestamp-millis"}
    inner = {"type": "record", "name": "In", "fields": [{"name": "t", "type": time}]}
    other = {"type": "record", "name": "Other", "fields": [{"name": "t", "type": "long"}]}
    fields = [
        {"name": "list", "type": {"type": "array", "items": inner}},
        {"name": "map", "type": {"type": "map", "values": time}},
        {"name": "maybe", "type": ["null", "string", time]},
        {"name": "either", "type": ["null", "In", other]},
        {"name": "one", "type": ["null", "In"]},
    ]
    schema = {"type": "record", "name": "All", "fields": fields}
    value = {
        "list": [{"t": 1}], "map": {"a": 2}, "maybe": 3, "either": ("In", {"t": 4}),
        "one": {"t": 5},
    }  # fmt: skip
    read = AvroSchema([as_text(schema)]).reader("us")
    found = read(avro(1, schema, value)[5:])
    assert found == {
        "list": [{"t": 1000}], "map": {"a": 2000}, "maybe": 3000, "either": {"t": 4000},
        "one": {"t": 5000}, "@schema": "All",
    }  # fmt: skip
    value |= {"maybe": "later", "either": ("Other", {"t": 4}), "one": None}
    found = read(avro(1, schema, value)[5:])
    assert (found["maybe"], found["either"], found["one"]) == ("later", {"t": 4}, None)


def test_the_schemas_that_are_kept_have_a_limit():
    schemas = Schemas(limit=2)
    for number in (1, 2):
        known(schemas, number, avro_order())
    assert schemas.knows(1)  # so 2 was needed longest ago
    known(schemas, 3, avro_order())
    assert [schemas.knows(number) for number in (1, 2, 3)] == [True, False, True]


@pytest.mark.parametrize("form", ["avro", "protobuf"])
def test_whatever_the_bytes_are_they_are_an_event_or_say_why_not(schemas: Schemas, form: Any):
    account = {"name": "account", "type": ["null", "string"], "default": None}
    known(schemas, 1, avro_order(account))
    schemas.put(2, ProtobufSchema([("", serialized(proto_file()))]))
    record = avro(1, avro_order(account), written(account="a1"))
    if form == "protobuf":
        record = proto(2, proto_file(), proto_order())
    opened = schemas.opening(form, "iso").opened
    rng, refused = random.Random(7), 0
    for _ in range(2_000):
        changed = bytearray(record)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(5, len(changed) + 1)
            replacement = rng.choice([b"", b"\xff" * 9 + b"\1", bytes([rng.randrange(256)])])
            changed[at : at + rng.randint(0, 2)] = replacement
        with suppress(UnopenedError):
            opened(bytes(changed))
            continue
        refused += 1
    assert refused > 500


def test_saved_state_is_of_one_format(tmp_path: Path):
    avro_settings = settings(f'[wire]\nformat = "avro"\n[registry]\nurl = "{URL}"\n', tmp_path)
    other_registry = settings(f'[registry]\nurl = "{URL}"\n', tmp_path)
    assert settings_hash(avro_settings) != settings_hash(Settings())
    assert settings_hash(other_registry) == settings_hash(Settings())
