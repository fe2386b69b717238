"""A commit that hangs is not left to reach a group that has gone on meanwhile."""

import asyncio
import time
from types import SimpleNamespace

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from service.kafka.membership import Membership
from service.kafka.offsets import GroupOffsets

TP = TopicPartition("market.orders", 0)


class Group:
    """The broker's side: what is committed; the first commit is lost on its way."""

    def __init__(self, *, others_commit: int | None, got_through: bool = False) -> None:
        self.offset = 100
        self.asked = 0
        self._others_commit = others_commit
        self._got_through = got_through

    async def commit(self, offsets):
        self.asked += 1
        if self.asked == 1:
            if self._got_through:
                self.offset = offsets[TP].offset
            await asyncio.Event().wait()
        self.offset = offsets[TP].offset

    async def list_consumer_group_offsets(self, _group_id, partitions):
        if self._others_commit is not None:
            self.offset = self._others_commit
        return {tp: OffsetAndMetadata(self.offset, "") for tp in partitions}


async def committed(group: Group) -> bool:
    """Whether a member for a moment longer, at 100, takes its commit of 110 for made."""
    membership = Membership(session_timeout_seconds=0.05)
    membership.renew(time.monotonic())
    offsets = GroupOffsets(SimpleNamespace(consumer=group, admin=group), "group", membership)
    partition = SimpleNamespace(committed={TP: 100})
    async with asyncio.timeout(30):
        return await offsets.commit([partition], {TP: OffsetAndMetadata(110, "")})


async def test_a_commit_that_hangs_while_another_goes_on_is_given_up():
    group = Group(others_commit=150)
    assert not await committed(group)
    assert group.offset == 150


async def test_a_commit_that_hangs_is_tried_again_where_nobody_went_on():
    group = Group(others_commit=None)
    assert await committed(group)
    assert (group.offset, group.asked) == (110, 2)


async def test_what_got_through_without_an_answer_is_not_taken_for_another_owner():
    group = Group(others_commit=None, got_through=True)
    assert await committed(group)
    assert group.offset == 110
