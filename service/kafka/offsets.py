"""The consumer group's offsets: asked for, and committed only by who is still meant to."""

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
"""How long a commit may take once nobody else was found to have committed."""

log = structlog.get_logger("foreshock.consumer")


class GroupOffsets:
    """What the group has committed.

    Parameters
    ----------
    clients
        The session's.
    group_id
        The group.
    membership
        Of this process, in the group.
    """

    def __init__(self, clients: Clients, group_id: str, membership: Membership) -> None:
        self._clients = clients
        self._group_id = group_id
        self._membership = membership

    async def committed(
        self, tps: Iterable[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's offsets, of those that have one."""
        committed = await self._clients.admin.list_consumer_group_offsets(
            self._group_id, partitions=list(tps)
        )
        return {tp: meta for tp, meta in committed.items() if meta.offset >= 0}

    async def commit(
        self, partitions: Sequence[Partition], offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> bool:
        """Commit offsets of partitions; False if the group went on without this member."""
        while True:
            if not self._membership.holds() and await self._is_replaced(partitions, offsets):
                log.warning("not committed: the group went on without this member")
                return False
            began = time.monotonic()
            try:
                # One that is on its way for longer may meet a group that went on, and is empty.
                async with asyncio.timeout(self._membership.left_seconds() or COMMIT_SECONDS):
                    await self._clients.consumer.commit(offsets)
            except TimeoutError:
                continue
            except (CommitFailedError, IllegalStateError) as error:
                # Whoever owns the partitions now starts from the last commit.
                log.warning("commit refused", reason=str(error))
                return False
            self._membership.renew(began)
            return True

    async def _is_replaced(
        self, partitions: Sequence[Partition], tried: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> bool:
        """Whether somebody else has committed what is owned here.

        A group that has become empty takes offsets even of a member that it no longer knows. What
        was ``tried`` may have got through without an answer.
        """
        ours = {tp: at for partition in partitions for tp, at in partition.committed.items()}
        committed = await self.committed(ours)
        known = {tp: {at, tried[tp].offset if tp in tried else at} for tp, at in ours.items()}
        return any(tp not in committed or committed[tp].offset not in known[tp] for tp in ours)
