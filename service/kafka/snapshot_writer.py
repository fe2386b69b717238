"""Snapshots on their way to Kafka: taken, held until their time has come, and sent."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from service.kafka.membership import Membership
from service.kafka.partition import Partition
from service.outputs.publisher import Publisher
from service.pipeline import snapshots
from service.pipeline.snapshots import Part


class _Held(NamedTuple):
    partition: Partition
    symbol: str
    parts: list[Part]
    sent_before: Sequence[asyncio.Future[Any]]


class SnapshotWriter:
    """Takes snapshots, and sends those whose time has come.

    A state that is past an alert must not outlive it in a crash: a snapshot is held until all that
    was sent before it has been acknowledged.

    Parameters
    ----------
    publisher
        Sends them.
    membership
        Nothing is sent while it is not known to hold.
    settings_hash
        Of the settings that what is saved was learned under.
    """

    def __init__(self, publisher: Publisher, membership: Membership, settings_hash: str) -> None:
        self._publisher = publisher
        self._membership = membership
        self._settings_hash = settings_hash
        self._held: deque[_Held] = deque()

    def __len__(self) -> int:
        """How many are held."""
        return len(self._held)

    def take(self, symbols: Iterable[tuple[Partition, Sequence[str]]]) -> None:
        """Take snapshots of some symbols of partitions as they are now."""
        wanted = [(partition, symbol) for partition, names in symbols for symbol in names]
        sent_before = self._publisher.unacknowledged() if wanted else []
        for partition, symbol in wanted:
            slot = 1 - partition.slots.get(symbol, 1)
            parts = snapshots.parts(
                partition.task.snapshot(symbol),
                slot=slot,
                generation=f"{time.time_ns():x}",
                settings=self._settings_hash,
            )
            partition.slots[symbol] = slot
            partition.most_parts[symbol] = max(len(parts), partition.most_parts.get(symbol, 0))
            self._held.append(_Held(partition, symbol, parts, sent_before))

    async def send(self) -> None:
        """Send those before which everything has been acknowledged."""
        while (
            self._held
            and self._membership.holds()
            and all(future.done() for future in self._held[0].sent_before)
        ):
            held = self._held.popleft()
            futures = await self._publisher.snapshot(held.partition.number, held.parts)
            held.partition.expect_snapshot(held.symbol, futures)

    def drop(self, partition: Partition, symbol: str | None = None) -> None:
        """Do not send those of a partition, or of one symbol of it, that are held."""
        kept: deque[_Held] = deque()
        for held in self._held:
            if held.partition is partition and symbol in (None, held.symbol):
                partition.drop_snapshot(held.symbol)
            else:
                kept.append(held)
        self._held = kept
