"""What the command of an operator reads of kill switches, and how it commands one."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct

from detectors.kill_switch.switch import KillSwitch, decode, encode
from service.cancellation import close
from service.errors import OperatorError
from service.kafka.clients import producer_options
from service.kafka.operator import consumer, find_topics, refused, require
from service.kafka.read_back import read_back
from service.logs import muted
from service.outputs.publisher import Published, Publisher
from service.pipeline.commands import VALID_SECONDS, Command
from service.settings.types import Settings

POLL_MILLISECONDS = 200

MAX_NAMED = 10
"""The largest number of symbols that an error names."""


class Status(Struct, frozen=True):
    """The kill switches, and the last heartbeat of the owner of each partition.

    ``beats`` holds, by partition number, the time of the heartbeat's record in milliseconds since
    1970. ``now_ms`` is the time of reading.
    """

    switches: list[tuple[int, KillSwitch]]
    beats: Mapping[int, int]
    now_ms: float

    def as_json(self) -> str:
        """Return a line of JSON for each switch: its record."""
        return "\n".join(encode(its).decode() for _, its in self.switches)

    def as_table(self) -> str:
        """Return a line for each switch, the strictest state first."""
        if not self.switches:
            return "no kill switch is on the topic yet: is the service running?"
        rows = [("symbol", "state", "since (event time)", "by", "owner", "reason")]
        rows += [
            (its.symbol, its.state, _time(its.since), its.by, self._owner(number), its.reason)
            for number, its in self.switches
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        return "\n".join(
            "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[5]])
            for row in rows
        )

    def _owner(self, number: int) -> str:
        at_ms = self.beats.get(number)
        if at_ms is None:
            return "never seen"
        seconds = max(0.0, (self.now_ms - at_ms) / 1e3)
        return f"{'alive' if seconds <= 15.0 else 'silent'}, {seconds:.0f} s ago"


def _time(ts_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ts_ns / 1e9))


async def status(settings: Settings, symbol: str) -> Status:
    """Return the kill switches on the topic, of one symbol or ("") of all.

    Raises
    ------
    OperatorError
        The topic has none of the symbol, no broker answers, or the broker refuses.
    """
    async with consumer(settings) as reader:
        tps = await _partitions(settings)
        found = _status(await read_back(reader, dict.fromkeys(tps, 0)))
    if symbol:
        _require_known(found, symbol)
        mine = [pair for pair in found.switches if pair[1].symbol == symbol]
        found = msgspec.structs.replace(found, switches=mine)
    return found


async def order(settings: Settings, command: Command, wait_seconds: float) -> KillSwitch:
    """Write a command to its topic, and wait for the record that answers it.

    Raises
    ------
    OperatorError
        The topic has no switch of the symbol, nobody answers in time, no broker answers, or the
        broker refuses.
    """
    topic = settings.outputs.commands
    require(await find_topics(settings), topic, "outputs.commands")
    async with consumer(settings) as reader:
        tps = await _partitions(settings)
        ends = await reader.end_offsets(tps)
        _require_known(
            _status(await read_back(reader, dict.fromkeys(tps, 0), ends)), command.symbol
        )
        for tp in tps:
            reader.seek(tp, ends[tp])
        reader.resume(*tps)
        await _send(settings, command)
        answer = await _answer(reader, command.command_id, wait_seconds)
    if answer is None:
        raise OperatorError(
            f"nobody answered within {wait_seconds:g} s: does an instance own {command.symbol}, "
            f"and may it read {topic}? The command stays valid for {VALID_SECONDS} s: an instance "
            "that comes back until then applies it. `foreshock killswitch status` shows the state"
        )
    return answer


async def _partitions(settings: Settings) -> list[TopicPartition]:
    name = settings.outputs.killswitch
    found = await find_topics(settings)
    require(found, name, "outputs.killswitch")
    return [TopicPartition(name, number) for number in range(found[name].partitions)]


async def _send(settings: Settings, command: Command) -> None:
    producer = AIOKafkaProducer(**producer_options(settings.kafka))
    with muted("aiokafka"):
        try:
            await producer.start()
            await Publisher(producer, settings.outputs, Published()).command(command)
        except (KafkaError, OSError) as error:
            raise refused(settings.outputs.commands, error) from None
        finally:
            await close("the producer", producer.stop)


async def _answer(
    reader: AIOKafkaConsumer, command_id: str, wait_seconds: float
) -> KillSwitch | None:
    deadline = time.monotonic() + wait_seconds
    while time.monotonic() < deadline:
        for batch in (await reader.getmany(timeout_ms=POLL_MILLISECONDS)).values():
            for record in batch:
                its = _decoded(record.value)
                if its is not None and its.command_id == command_id:
                    return its
        await asyncio.sleep(0)
    return None


def _decoded(value: bytes | None) -> KillSwitch | None:
    try:
        return decode(value) if value is not None else None
    except msgspec.MsgspecError:
        return None  # not a kill switch of Foreshock


def _status(records: Mapping[TopicPartition, Sequence[Any]]) -> Status:
    last: dict[bytes, tuple[int, KillSwitch]] = {}
    beats: dict[int, int] = {}
    for tp, batch in records.items():
        for record in batch:
            its = _decoded(record.value)
            if its is None:
                last.pop(record.key, None)
            elif its.cause == "heartbeat":
                beats[tp.partition] = record.timestamp
            else:
                last[record.key] = tp.partition, its
    # The strictest first.
    order = ("held", "tripped", "reduce_only", "caution", "armed")
    switches = sorted(last.values(), key=lambda pair: (order.index(pair[1].state), pair[1].symbol))
    return Status(switches, beats, time.time() * 1e3)


def _require_known(found: Status, symbol: str) -> None:
    known = sorted(its.symbol for _, its in found.switches)
    if symbol in known:
        return
    some = ", ".join(known[:MAX_NAMED]) + (", …" if len(known) > MAX_NAMED else "")
    raise OperatorError(
        f"SYMBOL {symbol}: the topic has no kill switch of it; it has {some or 'none at all'}. A "
        "symbol has one from its first bar on, and the venue ('*') from the first start on"
    )
