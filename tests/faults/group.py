"""The coordinator of a consumer group: Kafka's classic protocol with the service's assignor.

A member that joins, leaves or expires starts a rebalance. Every member learns of it at its next
request, revokes all its partitions, and rejoins. A member that has not rejoined by the rebalance
timeout is removed.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.errors import IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError

from tests.faults.clock import VirtualLoop

METADATA_SECONDS = 5.0


@dataclass(slots=True)
class Joined:
    """The answer to a member that joined."""

    member: str
    generation: int
    assigned: list[TopicPartition]


@dataclass(slots=True)
class _Member:
    name: str
    session_timeout: float
    expires: asyncio.TimerHandle | None = None
    joining: "asyncio.Future[Joined] | None" = None


class Group:
    """The group's members, and their rights."""

    def __init__(
        self,
        loop: VirtualLoop,
        context: Context,
        topics: Sequence[str],
        partitions: Callable[[str], int],
    ) -> None:
        self._loop = loop
        self._context = context
        self._topics = topics
        self._partitions = partitions
        self._members: dict[str, _Member] = {}
        self._member_count = 0
        self._rebalancing = False
        self._deadline: asyncio.TimerHandle | None = None
        self.generation = 0
        self.owners: dict[int, str] = {}

    @property
    def stable(self) -> bool:
        """Whether every member knows its assignment."""
        return not self._rebalancing

    def join(
        self, member: str, session_timeout: float, rebalance_timeout: float
    ) -> "asyncio.Future[Joined]":
        """Join or rejoin. The answer comes when all members have joined."""
        if member and member not in self._members:
            raise UnknownMemberIdError
        if not member:
            self._member_count += 1
            member = f"member-{self._member_count}"
            self._members[member] = _Member(member, session_timeout)
        entry = self._members[member]
        entry.joining = self._loop.create_future()
        answer = entry.joining
        self._renew(entry)
        if not self._rebalancing:
            self._begin(rebalance_timeout)
        self._complete_if_all_joined()
        return answer

    def metadata_changed(self) -> None:
        """The leader finds other numbers of partitions when it next asks for them."""
        self._loop.call_later(METADATA_SECONDS, self._rebalance, context=self._context)

    def _rebalance(self) -> None:
        if self._members and not self._rebalancing:
            self._begin(max(its.session_timeout for its in self._members.values()))

    def leave(self, member: str) -> None:
        """Leave in order."""
        if member in self._members:
            self._remove(member)

    def heartbeat(self, member: str, generation: int) -> None:
        """Record a heartbeat. Raises the group's errors."""
        entry = self._checked_member(member, generation)
        self._renew(entry)
        if self._rebalancing:
            raise RebalanceInProgressError

    def check_commit(self, member: str, generation: int) -> None:
        """Check a commit: allowed during a rebalance, but not from an earlier generation."""
        if generation < 0 and not self._members:
            return  # a consumer without a group may commit if the group has no members
        self._renew(self._checked_member(member, generation))

    def _checked_member(self, member: str, generation: int) -> _Member:
        if member not in self._members:
            raise UnknownMemberIdError
        if generation != self.generation:
            raise IllegalGenerationError
        return self._members[member]

    def _renew(self, entry: _Member) -> None:
        if entry.expires is not None:
            entry.expires.cancel()
        entry.expires = self._loop.call_later(
            entry.session_timeout, self._expire, entry.name, context=self._context
        )

    def _expire(self, member: str) -> None:
        entry = self._members.get(member)
        if (
            entry is not None and entry.joining is None
        ):  # a member that waits for the others is alive
            self._remove(member)

    def _remove(self, member: str) -> None:
        entry = self._members.pop(member)
        if entry.expires is not None:
            entry.expires.cancel()
        if not self._members:
            self._rebalancing = False
            if self._deadline is not None:
                self._deadline.cancel()
            self.generation += 1
            self.owners = {}
        elif self._rebalancing:
            self._complete_if_all_joined()
        else:
            self._begin(entry.session_timeout)

    def _begin(self, rebalance_timeout: float) -> None:
        self._rebalancing = True
        self._deadline = self._loop.call_later(
            rebalance_timeout, self._complete, context=self._context
        )

    def _complete_if_all_joined(self) -> None:
        if self._rebalancing and all(entry.joining is not None for entry in self._members.values()):
            self._complete()

    def _complete(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        for name in [name for name, entry in self._members.items() if entry.joining is None]:
            timer = self._members.pop(name).expires
            if timer is not None:
                timer.cancel()
        self._rebalancing = False
        self.generation += 1
        self.owners = {}
        names = sorted(self._members)
        for i, name in enumerate(names):
            entry = self._members[name]
            assigned = []
            count = min(map(self._partitions, self._topics))
            for topic in self._topics:
                share, extra = divmod(count, len(names))
                first = i * share + min(i, extra)
                numbers = range(first, first + share + (i < extra))
                assigned += [TopicPartition(topic, number) for number in numbers]
                self.owners.update(dict.fromkeys(numbers, name))
            joining, entry.joining = entry.joining, None
            self._renew(entry)
            if joining is not None and not joining.done():
                joining.set_result(Joined(name, self.generation, assigned))
