"""Dead letters of the streams that only the risk of positions needs: each record has one.

No session reads these streams, so no committed offset says which of their records have a dead
letter. The topic of dead letters itself does: the watch reads back what it holds of them when it
begins, and sends only what is missing. So a record that came while nobody watched has its dead
letter as well, and one that is read again has no second.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from service.formats.schemas import Schemas
from service.kafka.counters import ConsumerCounters
from service.kafka.read_back import read_back
from service.kafka.refusals import Refusals
from service.mapping.records import decode_records
from service.mapping.topics import topic_of
from service.outputs.publisher import Publisher
from service.pipeline.log_time import usable_ms
from service.pipeline.rejection import Rejection
from service.settings.assembly import decoders
from service.settings.types import Settings

Place = tuple[str, int, int]
"""The topic, the partition and the offset of a record."""


MOST_PLACES = 100_000
"""How many places of dead letters are remembered: some 20 MB."""

log = structlog.get_logger("foreshock.risk")


class Places:
    """Places of records that have a dead letter, the newest up to a limit.

    Parameters
    ----------
    limit
        The largest number of places.

    Attributes
    ----------
    dropped
        How many were forgotten at the limit, the oldest first: a record of them that is read again
        gets a second dead letter.

    Examples
    --------
    >>> places = Places(2)
    >>> for offset in range(3):
    ...     places.add(("t", 0, offset))
    >>> [places.take(("t", 0, offset)) for offset in range(3)], places.dropped
    ([False, True, True], 1)
    """

    def __init__(self, limit: int = MOST_PLACES) -> None:
        self._limit = limit
        self._places: dict[Place, None] = {}
        self.dropped = 0

    def add(self, place: Place) -> None:
        """Remember a place."""
        self._places[place] = None
        if len(self._places) > self._limit:
            del self._places[next(iter(self._places))]
            self.dropped += 1

    def take(self, place: Place) -> bool:
        """Forget a place; return whether it was known."""
        known = place in self._places
        if known:
            del self._places[place]
        return known


class OwnRejections:
    """Tells which rejections have no other dead letter: sessions refuse records of their topics.

    A topic of the mappings may have events of both, for example positions and accounts.

    Parameters
    ----------
    settings
        The settings.
    inputs
        The inputs that the sessions read.
    schemas
        The schemas of the registry.
    """

    def __init__(
        self, settings: Settings, inputs: Collection[str], schemas: Schemas | None = None
    ) -> None:
        self._inputs = frozenset(inputs)
        mapped = [name for name in inputs if topic_of(name) is not None]
        self._decoders = decoders(settings, mapped, schemas)

    def of(
        self, name: str, records: Sequence[Any], rejections: Sequence[Rejection]
    ) -> list[Rejection]:
        """Return the rejections of the records of an input that no session refuses."""
        if name not in self._inputs:
            return [*rejections]
        if name not in self._decoders:
            return []
        return [its for its in rejections if not self._refused(name, records[its.index])]

    def _refused(self, name: str, record: Any) -> bool:
        arrived_ms = usable_ms(record.timestamp, time.time_ns())
        return bool(decode_records(self._decoders[name], [record], [arrived_ms]).rejections)


class RiskLetters:
    """Sends the dead letters of these streams.

    Parameters
    ----------
    publisher, counters
        What sends and counts.
    topics
        The topics of these streams.

    Attributes
    ----------
    sent
        The places of the records that had a dead letter when the watch began, and have not been
        read again yet.
    """

    def __init__(
        self,
        publisher: Publisher,
        counters: ConsumerCounters,
        topics: Collection[str],
    ) -> None:
        self._publisher = publisher
        self._counters = counters
        self._topics = topics
        self._refusals = Refusals(publisher, counters, {})
        self._partitions = 0
        self.sent = Places()

    async def begin(self, reader: AIOKafkaConsumer, firsts: Mapping[TopicPartition, int]) -> None:
        """Read which records have a dead letter.

        Parameters
        ----------
        reader
            A started consumer without a group.
        firsts
            For each partition of the dead letters, where to begin: a dead letter before it is of a
            record that is not read again.
        """
        self._partitions = len(firsts)
        # An earlier watch of this process may still be sending some.
        if in_flight := self._publisher.unacknowledged():
            await asyncio.wait(in_flight)

        def note(letter: Any) -> None:
            place = place_of(letter.headers)
            if place is not None and place[0] in self._topics:
                self.sent.add(place)

        await read_back(reader, firsts, each=note)
        if self.sent.dropped:
            log.warning(
                "too many dead letters to remember: records that are read again may have a second",
                remembered=MOST_PLACES,
                forgotten=self.sent.dropped,
            )

    async def refuse(
        self, tp: TopicPartition, records: Sequence[Any], rejections: Sequence[Rejection]
    ) -> None:
        """Send the dead letters of refused records that have none yet."""
        missing = []
        for its in rejections:
            place = (tp.topic, tp.partition, records[its.index].offset)
            if not self.sent.take(place):
                missing.append(its)
        for its in missing:
            self._counters.dead_letters[tp.topic, its.reason] += 1
        # These streams may have more partitions than the topic of dead letters.
        await self._refusals.refuse(tp, records, missing, tp.partition % self._partitions)


def place_of(headers: Sequence[tuple[str, bytes]]) -> Place | None:
    """Return the place of the record that a dead letter is of; None if it names none.

    >>> place_of([("foreshock.topic", b"t"), ("foreshock.partition", b"2"),
    ...     ("foreshock.offset", b"17")])
    ('t', 2, 17)
    >>> place_of([("foreshock.topic", b"t")]) is None
    True
    """
    named = dict(headers)
    try:
        return (
            named["foreshock.topic"].decode(),
            int(named["foreshock.partition"]),
            int(named["foreshock.offset"]),
        )
    except (KeyError, ValueError):
        return None
