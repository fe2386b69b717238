"""Takes snapshots, holds them until earlier records are acknowledged, and sends them to Kafka."""

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
    """Takes snapshots, and sends each of them when it is safe.

    After a crash, a stored state must not be newer than the stored alerts: such an alert would be
    lost. So a snapshot is held until every record sent before it is acknowledged.

    Parameters
    ----------
    publisher
        Sends the snapshots.
    membership
        The group membership. Snapshots are sent only while it is known to hold.
    settings_hash
        The hash of the settings under which the saved state was learned.
    group
        The consumer group of the saved state.
    """

    def __init__(
        self, publisher: Publisher, membership: Membership, settings_hash: str, group: str
    ) -> None:
        self._publisher = publisher
        self._membership = membership
        self._settings_hash = settings_hash
        self._group = group
        self._held: deque[_Held] = deque()

    def __len__(self) -> int:
        """Return the number of held snapshots."""
        return len(self._held)

    def take(self, symbols: Iterable[tuple[Partition, Sequence[str]]]) -> None:
        """Take snapshots of the current state of symbols."""
        wanted = [(partition, symbol) for partition, names in symbols for symbol in names]
        sent_before = self._publisher.unacknowledged() if wanted else []
        for partition, symbol in wanted:
            slot = 1 - partition.slots.get(symbol, 1)
            try:
                parts = snapshots.parts(
                    partition.task.snapshot(symbol),
                    slot=slot,
                    generation=f"{time.time_ns():x}",
                    settings=self._settings_hash,
                    group=self._group,
                )
            except Exception as error:  # noqa: BLE001 - the other symbols continue
                partition.task.not_saved(symbol)
                partition.task.aside.add(symbol, error)
                continue
            partition.slots[symbol] = slot
            partition.most_parts[symbol] = max(len(parts), partition.most_parts.get(symbol, 0))
            self._held.append(_Held(partition, symbol, parts, sent_before))

    async def send(self) -> None:
        """Send the held snapshots whose earlier records are all acknowledged."""
        while (
            self._held
            and self._membership.holds()
            and all(future.done() for future in self._held[0].sent_before)
        ):
            held = self._held.popleft()
            futures = await self._publisher.snapshot(held.partition.number, held.parts)
            held.partition.expect_snapshot(held.symbol, futures)

    def drop(self, partition: Partition, symbol: str | None = None) -> None:
        """Drop the held snapshots of a partition, or of one of its symbols."""
        kept: deque[_Held] = deque()
        for held in self._held:
            if held.partition is partition and symbol in (None, held.symbol):
                partition.drop_snapshot(held.symbol)
            else:
                kept.append(held)
        self._held = kept
