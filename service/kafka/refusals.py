"""Sends refused records as dead letters."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import structlog
from aiokafka import TopicPartition

from service.kafka.counters import ConsumerCounters
from service.outputs.publisher import Publisher
from service.pipeline.dead_letters import dead_letter
from service.pipeline.output import Output
from service.pipeline.rejection import Rejection
from service.pipeline.set_aside import SetAside
from service.pipeline.wire import STREAMS
from service.plug_ins import report

UNKNOWN = -1
"""The offset and timestamp in the dead letter of an event that was read before its symbol was set
aside."""

log = structlog.get_logger("foreshock.consumer")

_encode = msgspec.json.Encoder().encode
_STREAM_NAMES = list(STREAMS)


class Refusals:
    """Sends dead letters.

    Parameters
    ----------
    publisher
        Sends the dead letters.
    counters
        The counters to increment.
    topics
        The topic of each stream.
    """

    def __init__(
        self, publisher: Publisher, counters: ConsumerCounters, topics: Mapping[str, str]
    ) -> None:
        self._publisher = publisher
        self._counters = counters
        self._topics = topics

    async def refuse(
        self,
        tp: TopicPartition,
        records: Sequence[Any],
        rejections: Iterable[Rejection],
        partition: int | None = None,
    ) -> None:
        """Send the refused records of a topic partition, byte for byte.

        To the same partition number, or to ``partition``.
        """
        number = tp.partition if partition is None else partition
        for rejection in rejections:
            record = records[rejection.index]
            make = partial(
                dead_letter,
                *(tp.topic, tp.partition, record.offset, record.timestamp, rejection),
                *(record.key, record.value),
            )
            await self._publisher.dead_letter(number, make)

    async def set_aside(self, number: int, output: Output, aside: SetAside) -> None:
        """Log the symbols that were set aside in a partition number, and send their events.

        Plug-ins that were left out for symbols are logged, too.
        """
        report(output.left_out)
        for symbol, reason in output.set_aside.items():
            log.error(
                "a symbol is set aside until a restart: an exception came out of its detection",
                symbol=symbol,
                partition=number,
                reason=reason,
            )
        refused = [(self._topics[_STREAM_NAMES[its.kind]], its) for its in output.refused]
        # Count all before the first await, so that the sum over all outcomes always holds.
        self._counters.dead_letters.update((topic, "set_aside") for topic, _ in refused)
        for topic, event in refused:
            rejection = aside.rejection(event.symbol)
            make = partial(
                dead_letter,
                *(topic, number, UNKNOWN, UNKNOWN, rejection),
                *(event.symbol.encode(), _encode(event)),
            )
            await self._publisher.dead_letter(number, make)
