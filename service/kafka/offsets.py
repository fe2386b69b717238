"""Reads the offsets of the consumer group, and commits them unless this member is replaced."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import OffsetAndMetadata

from service.kafka.clients import Clients
from service.kafka.membership import Membership
from service.kafka.partition import Partition

COMMIT_SECONDS = 3.0
"""The time limit of a commit, in seconds, after a check that no other member has committed."""

log = structlog.get_logger("foreshock.consumer")


class GroupOffsets:
    """The committed offsets of the consumer group.

    Parameters
    ----------
    clients
        The clients of the session.
    group_id
        The name of the group.
    membership
        The membership of this process in the group.
    """

    def __init__(self, clients: Clients, group_id: str, membership: Membership) -> None:
        self._clients = clients
        self._group_id = group_id
        self._membership = membership

    async def committed(
        self, tps: Iterable[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Return the group's committed offsets; partitions without one are left out."""
        committed = await self._clients.admin.list_consumer_group_offsets(
            self._group_id, partitions=list(tps)
        )
        return {tp: meta for tp, meta in committed.items() if meta.offset >= 0}

    async def commit(
        self, partitions: Sequence[Partition], offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> bool:
        """Commit offsets of partitions; return False if another member has replaced this one."""
        while True:
            if not self._membership.holds() and await self._is_replaced(partitions, offsets):
                log.warning("not committed: another member has replaced this one")
                return False
            started_at = time.monotonic()
            try:
                # A commit in flight for longer could reach a group that another member has advanced
                # and that is empty now. Such a group would accept the commit.
                async with asyncio.timeout(self._membership.left_seconds() or COMMIT_SECONDS):
                    await self._clients.consumer.commit(offsets)
            except TimeoutError:
                continue
            except (CommitFailedError, IllegalStateError) as error:
                # The new owner of the partitions starts from the last commit.
                log.warning("commit refused", reason=str(error))
                return False
            self._membership.renew(started_at)
            return True

    async def _is_replaced(
        self, partitions: Sequence[Partition], attempted: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> bool:
        """Return whether another member has committed offsets of the partitions owned here.

        The check is needed because an empty group accepts offsets even from a member that it no
        longer knows. The offsets ``attempted`` also count as committed here: that commit may have
        succeeded without an answer.
        """
        own = {tp: offset for partition in partitions for tp, offset in partition.committed.items()}
        committed = await self.committed(own)
        expected = {
            tp: {offset, attempted[tp].offset if tp in attempted else offset}
            for tp, offset in own.items()
        }
        return any(tp not in committed or committed[tp].offset not in expected[tp] for tp in own)
