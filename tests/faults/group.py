"""The coordinator of one consumer group, by Kafka's classic protocol with the Range assignor.

A joining member, a leaving one and one that is no longer heard of make a rebalance: every member is
told so when it next gives a sign, hands back all that it has, and joins anew. Who has not joined by
the rebalance timeout is out.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.errors import IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError

from tests.faults.clock import VirtualLoop


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
    """The group's members, and who may do what."""

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
        self._names = 0
        self._rebalancing = False
        self._deadline: asyncio.TimerHandle | None = None
        self.generation = 0
        self.owners: dict[int, str] = {}

    @property
    def stable(self) -> bool:
        """Whether every member knows what it owns."""
        return not self._rebalancing

    def join(
        self, member: str, session_timeout: float, rebalance_timeout: float
    ) -> "asyncio.Future[Joined]":
        """Join, for the first time or anew; the answer comes when all have."""
        if member and member not in self._members:
            raise UnknownMemberIdError
        if not member:
            self._names += 1
            member = f"member-{self._names}"
            self._members[member] = _Member(member, session_timeout)
        its = self._members[member]
        its.joining = self._loop.create_future()
        answer = its.joining
        self._alive(its)
        if not self._rebalancing:
            self._begin(rebalance_timeout)
        self._complete_if_all_joined()
        return answer

    def leave(self, member: str) -> None:
        """Leave in order."""
        if member in self._members:
            self._remove(member)

    def heartbeat(self, member: str, generation: int) -> None:
        """A sign of life. Raises what the member must know."""
        its = self._known(member, generation)
        self._alive(its)
        if self._rebalancing:
            raise RebalanceInProgressError

    def check_commit(self, member: str, generation: int) -> None:
        """Whether a member may commit: also while others join, but not from an earlier life."""
        if generation < 0 and not self._members:
            return  # a consumer without a group may, where there is no group
        self._alive(self._known(member, generation))

    def _known(self, member: str, generation: int) -> _Member:
        if member not in self._members:
            raise UnknownMemberIdError
        if generation != self.generation:
            raise IllegalGenerationError
        return self._members[member]

    def _alive(self, its: _Member) -> None:
        if its.expires is not None:
            its.expires.cancel()
        its.expires = self._loop.call_later(
            its.session_timeout, self._expire, its.name, context=self._context
        )

    def _expire(self, member: str) -> None:
        its = self._members.get(member)
        if its is not None and its.joining is None:  # who waits for the others is not dead
            self._remove(member)

    def _remove(self, member: str) -> None:
        its = self._members.pop(member)
        if its.expires is not None:
            its.expires.cancel()
        if not self._members:
            self._rebalancing = False
            if self._deadline is not None:
                self._deadline.cancel()
            self.generation += 1
            self.owners = {}
        elif self._rebalancing:
            self._complete_if_all_joined()
        else:
            self._begin(its.session_timeout)

    def _begin(self, rebalance_timeout: float) -> None:
        self._rebalancing = True
        self._deadline = self._loop.call_later(
            rebalance_timeout, self._complete, context=self._context
        )

    def _complete_if_all_joined(self) -> None:
        if self._rebalancing and all(its.joining is not None for its in self._members.values()):
            self._complete()

    def _complete(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        for name in [name for name, its in self._members.items() if its.joining is None]:
            timer = self._members.pop(name).expires
            if timer is not None:
                timer.cancel()
        self._rebalancing = False
        self.generation += 1
        self.owners = {}
        names = sorted(self._members)
        for i, name in enumerate(names):
            its = self._members[name]
            assigned = []
            for topic in self._topics:
                count = self._partitions(topic)
                share, more = divmod(count, len(names))
                first = i * share + min(i, more)
                numbers = range(first, first + share + (i < more))
                assigned += [TopicPartition(topic, number) for number in numbers]
                self.owners.update(dict.fromkeys(numbers, name))
            joining, its.joining = its.joining, None
            self._alive(its)
            if joining is not None and not joining.done():
                joining.set_result(Joined(name, self.generation, assigned))
