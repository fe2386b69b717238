"""How schemas are loaded, and what happens while the registry does not answer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from msgspec import Struct

from service.cli.main import main
from service.errors import ConfigurationError
from service.formats.schemas import Schemas, Unusable
from service.kafka.schema_gate import SchemaGate
from service.registry.registry import Registry
from service.settings.assembly import mapped_decoder
from service.settings.registry import RegistrySettings
from service.web.readiness import health
from tests.mapping.configured import NOW_MS, settings
from tests.registry.schemas_of_venue import (
    MAPPING,
    F,
    avro,
    avro_order,
    framed,
    proto,
    proto_file,
    proto_order,
    serialized,
)
from tests.registry.stand_in import StandIn, listening, registry
from tests.registry.test_records import written

SECONDS = 20.0


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    async with registry() as its:
        yield its


async def load(its: StandIn, *numbers: int, **more: Any) -> Schemas:
    loader = Registry(RegistrySettings(url=its.url, **more))
    async with loader.running():
        await loader.settle(numbers, SECONDS)
    assert all(loader.schemas.knows(number) for number in numbers)
    return loader.schemas


def refusal(schemas: Schemas, number: int) -> Unusable:
    found = schemas._known[number]
    assert isinstance(found, Unusable)
    return found


def decode(directory: Path, schemas: Schemas, form: str, record: bytes) -> Any:
    its = settings(MAPPING.format(format=form, url="http://127.0.0.1:1"), directory)
    return mapped_decoder(its, "md", schemas=schemas).decode([record], [NOW_MS])


async def test_avro_with_a_schema_that_it_refers_to(tmp_path: Path, stand_in: StandIn):
    side = {"type": "enum", "name": "venue.Side", "symbols": ["BUY", "SELL"]}
    named = avro_order(without="side")
    named["fields"].append({"name": "side", "type": "venue.Side"})
    whole = avro_order(without="side")
    whole["fields"].append({"name": "side", "type": side})
    stand_in.put(2, side, subject="sides/of the venue")
    stand_in.put(7, named, references=(("venue.Side", "sides/of the venue", 1),))
    schemas = await load(stand_in, 7)
    found = decode(tmp_path, schemas, "avro", avro(7, whole, written()))
    assert [event.side for event in found.events] == ["sell"]


async def test_protobuf_with_an_import(tmp_path: Path, stand_in: StandIn):
    other = proto_file()
    other.name, other.package = "other.proto", "other"
    del other.message_type[1]
    other.message_type.add(name="Account").field.add(
        name="account", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL
    )
    file = proto_file(("owner", 9, ".other.Account"), imports=("other.proto",))  # type: ignore[arg-type]
    stand_in.put(8, serialized(other), "PROTOBUF", subject="other")
    stand_in.put(9, serialized(file), "PROTOBUF", references=(("other.proto", "other", 1),))
    stand_in.put(10, serialized(file), "PROTOBUF")
    schemas = await load(stand_in, 9, 10)
    values = proto_order(owner={"account": "a1"})
    record = proto(9, file, values, others=(other,))
    opened = schemas.opening("protobuf", "ns").opened(record)
    assert b'"owner":{"account":"a1"}' in opened
    assert "imports other.proto" in refusal(schemas, 10).sentence
    assert [its.order_id for its in decode(tmp_path, schemas, "protobuf", record).events] == ["7"]


async def test_what_the_registry_does_not_have_or_cannot_be_used_says_why(stand_in: StandIn):
    stand_in.put(2, "{}", "JSON")
    stand_in.put(3, avro_order(), references=(("venue.Side", "nowhere", 1),))
    stand_in.put(4, 'syntax = "proto3";', "PROTOBUF")
    stand_in.put(5, {"type": "nonsense"})
    stand_in.put(6, '"int"', references=(("x", "loop", 1),), subject="loop")
    schemas = await load(stand_in, 1, 2, 3, 4, 5, 6)
    told = {number: refusal(schemas, number) for number in range(1, 7)}
    assert told[1].reason == "unknown_schema"
    assert "has no schema 1: not found (40403)" in told[1].sentence
    assert {told[number].reason for number in range(2, 7)} == {"unusable_schema"}
    parts = {2: "type JSON", 3: "does not have", 4: "format=serialized", 5: "valid", 6: "itself"}
    for number, part in parts.items():
        assert part in told[number].sentence
    # It may be registered later, unlike what is wrong for good.
    assert told[1].until < float("inf")
    assert told[5].until == float("inf")


async def test_a_registry_that_does_not_answer_is_asked_until_it_does(stand_in: StandIn):
    stand_in.put(1, avro_order())
    stand_in.status = 503
    loader = Registry(RegistrySettings(url=stand_in.url))
    async with loader.running():
        await loader.settle([1], 0.5)
        assert not loader.schemas.knows(1)
        assert loader.pending == 1
        assert loader.failures > 0
        assert loader.problem.startswith("records wait for schema 1: ")
        assert "status 503" in loader.problem
        from service.kafka.counters import ConsumerCounters

        checks = health(None, ConsumerCounters(), loader.problem).checks
        assert checks["registry"] == loader.problem
        stand_in.status = 200
        await loader.settle([1], SECONDS)
        assert loader.schemas.knows(1)
        assert (loader.pending, loader.problem) == (0, "")
    asked = len(stand_in.asked)
    await loader.settle([1], SECONDS)
    assert len(stand_in.asked) == asked  # it is not asked for what is known


@pytest.mark.parametrize(
    ("state", "part"), [("away", "does not answer"), ("slow", "no answer in 0.2 s")]
)
async def test_the_reason_of_a_failure_is_told(state: str, part: str):
    async with registry() as its:
        its.put(1, avro_order())
        loader = Registry(RegistrySettings(url=its.url, timeout_seconds=0.2))
        if state == "slow":
            its.status = None
            async with loader.running():
                await loader.settle([1], 0.5)
                assert part in loader.problem
            return
    async with loader.running():
        await loader.settle([1], 0.5)
        assert part in loader.problem
        async with listening(its):
            await loader.settle([1], SECONDS)
            assert loader.schemas.knows(1)


async def test_an_address_that_is_no_registry_loses_nothing(stand_in: StandIn):
    loader = Registry(RegistrySettings(url=f"{stand_in.url}/console"))
    async with loader.running():
        await loader.settle([1], 0.3)
        assert not loader.schemas.knows(1)
        assert "check registry.url" in loader.problem


async def test_user_and_password(stand_in: StandIn, tmp_path: Path):
    stand_in.put(1, avro_order())
    stand_in.user = ("foreshock", "hunter2")
    password = tmp_path / "password"
    password.write_text("wrong\n")
    loader = Registry(
        RegistrySettings(url=stand_in.url, username="foreshock", password_file=str(password))
    )
    async with loader.running():
        await loader.settle([1], 0.3)
        assert "status 401; check the registry's user" in loader.problem
        assert "wrong" not in loader.problem
        password.write_text("hunter2\n")  # it is read again for each request
        await loader.settle([1], SECONDS)
        assert loader.schemas.knows(1)


def test_a_file_that_cannot_be_read_is_found_at_the_start(tmp_path: Path):
    its = RegistrySettings(url="http://r", bearer_token_file=str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=r"registry\.bearer_token_file: cannot read"):
        Registry(its)


@pytest.mark.parametrize("known", [True, False])
async def test_map_shows_what_a_record_becomes(
    stand_in: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str], known: bool
):
    if known:
        stand_in.put(1, avro_order())
    config, sample = tmp_path / "venue.toml", tmp_path / "md.bin"
    config.write_text(MAPPING.format(format="avro", url=stand_in.url))
    sample.write_bytes(avro(1, avro_order(), written()))
    code = await asyncio.to_thread(main, ["map", str(config), str(sample)])
    out = capsys.readouterr().out
    if known:
        assert code == 0
        assert 'md.bin:1     orders      {"ts_event":1700000000123000000,"symbol":"BTC"' in out
        assert "fields of orders that the mapping does not give: sequence" in out
    else:
        assert code == 1
        assert "rejected    unknown_schema: the schema registry has no schema 1" in out


class Record(Struct):
    value: bytes | None
    offset: int


class Consumer:
    """Where it was set back to, and what is paused."""

    def __init__(self) -> None:
        self.at: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.at[tp] = offset

    def pause(self, tp: TopicPartition) -> None:
        self.paused.add(tp)

    def resume(self, tp: TopicPartition) -> None:
        self.paused.discard(tp)


async def test_records_without_their_schema_hold_back_their_partition_only(
    stand_in: StandIn, tmp_path: Path
):
    one, two = TopicPartition("md", 0), TopicPartition("md", 1)
    stand_in.put(1, avro_order())
    stand_in.put(2, avro_order())
    loader, consumer = Registry(RegistrySettings(url=stand_in.url)), Consumer()
    its = settings(MAPPING.format(format="avro", url=stand_in.url), tmp_path)
    decoder = mapped_decoder(its, "md", schemas=loader.schemas)
    gate = SchemaGate(consumer, loader)
    first, second, none = framed(1, b"x"), framed(2, b"y"), b"{}"
    async with loader.running():
        await loader.settle([1], SECONDS)
        stand_in.status = 503
        records = [Record(its, 10 + n) for n, its in enumerate((first, None, none, second, first))]
        assert gate.admit(one, records, decoder) == records[:3]
        assert (consumer.at, consumer.paused) == ({one: 13}, {one})
        # Another reader of the same registry begins: this one still waits for its schema.
        SchemaGate(Consumer(), loader)
        assert loader.pending == 0
        gate.release(lambda _: True)
        assert loader.pending == 1
        assert gate.admit(two, [Record(first, 4)], decoder) == [Record(first, 4)]
        gate.release(lambda _: True)
        assert consumer.paused == {one}
        stand_in.status = 200
        await loader.settle([2], SECONDS)
        gate.release(lambda _: False)  # another reason to pause
        assert consumer.paused == {one}
        assert gate.admit(one, records[3:], decoder) == records[3:]


async def test_what_is_loading_is_given_up_at_the_end(stand_in: StandIn):
    stand_in.status = 503
    loader = Registry(RegistrySettings(url=stand_in.url))
    async with loader.running():
        loader.want([1, 2])
        await asyncio.sleep(0.1)
    assert (loader.pending, loader.problem) == (0, "")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('[wire]\nformat = "avro"', 'wire.format = "avro": it needs the address of a registry'),
        ('[wire]\nformat = "xml"', 'wire.format = "xml"'),
        ('[registry]\nurl = "registry:8081"', "registry.url"),
        ('[registry]\nusername = "u"', "set both registry.username and registry.password_file"),
        (
            '[registry]\nusername = "u"\npassword_file = "/p"\nbearer_token_file = "/t"',
            "set one of them",
        ),
        (
            MAPPING.format(format="avro", url="http://r")
            + MAPPING.format(format="json", url="").partition("[registry]")[0],
            "mappings[0] and mappings[1] read the same topic and differ in format",
        ),
        (
            MAPPING.format(format="avro", url="http://r")
            + MAPPING.format(format="avro", url="")
            .partition("[registry]")[0]
            .replace('stream = "orders"', 'stream = "orders"\ntime_unit = "ms"'),
            "differ in time_unit",
        ),
        (
            MAPPING.format(format="protobuf", url=""),
            'mappings[0].format = "protobuf": it needs the address of a registry: registry.url',
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(tmp_path: Path, text: str, error: str):
    with pytest.raises(ConfigurationError) as raised:
        settings(text, tmp_path)
    assert error in str(raised.value)


def test_a_format_whose_package_is_not_installed_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("service.settings.registry.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"install foreshock\[registry\]"):
        settings(MAPPING.format(format="avro", url="http://r"), tmp_path)
