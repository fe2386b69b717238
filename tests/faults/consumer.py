"""A replacement of aiokafka's consumer, with the behaviour of version 0.14.

Kept from the original: rebalances are eager and run concurrently with polls. Exceptions of a
listener are swallowed. ``stop`` calls no listener. ``getmany`` returns nothing during a rebalance.
A commit is retried until the broker accepts or refuses it. ``seek``, ``pause`` and a new assignment
drop records that were fetched but not yet returned. A member that the broker no longer knows
rejoins as a new member.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata, OffsetAndTimestamp

from tests.faults.broker import Broker, Record
from tests.faults.clock import current_process
from tests.faults.group import Joined
from tests.faults.network import Network
from tests.faults.reading import Assignment, ReadState

RETRY_SECONDS = 0.1
GROUP_ERRORS = (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError)


class Consumer:
    """A consumer, in a group or without one."""

    def __init__(
        self,
        broker: Broker,
        network: Network,
        fetch_limit: Callable[[], int],
        *,
        request_timeout_ms: int,
        fetch_max_wait_ms: int,
        auto_offset_reset: str,
        isolation_level: str,
        group_id: str | None = None,
        enable_auto_commit: bool = True,
        session_timeout_ms: int = 10_000,
        heartbeat_interval_ms: int = 3_000,
        **_: Any,
    ) -> None:
        assert isolation_level == "read_committed"
        # A session decides where to go on; who reads without a group goes on at the beginning.
        assert auto_offset_reset == ("earliest" if group_id is None else "none")
        assert group_id is None or not enable_auto_commit
        self._broker = broker
        self._network = network
        self._fetch_limit = fetch_limit
        self._timeout = request_timeout_ms / 1e3
        self._max_wait = fetch_max_wait_ms / 1e3
        self._in_group = group_id is not None
        self._session_timeout = session_timeout_ms / 1e3
        self._heartbeat_interval = heartbeat_interval_ms / 1e3
        self._assignment: Assignment | None = None
        self._reassigning = False
        self._listener: Any = None
        self._subscribed = asyncio.Event()
        self._assigned = asyncio.Event()
        self._changed = asyncio.Event()
        self._arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rejoin = asyncio.Event()
        self._closing = asyncio.Event()
        self._generation = -1
        self._member = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._heartbeats: asyncio.Task[None] | None = None
        self._fetcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect."""
        await self._network.request("connect", lambda: None, self._timeout)
        loop = asyncio.get_running_loop()
        self._fetcher = loop.create_task(self._fetch_forever())
        if self._in_group:
            self._coordination = loop.create_task(self._coordinate())

    async def stop(self) -> None:
        """Leave the group and disconnect; no listener is called."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._in_group:
            self._rejoin.set()
            self._subscribed.set()
            await self._coordination
            await self._stop_heartbeats()
            if self._generation > 0:
                with contextlib.suppress(KafkaError):
                    await self._network.request(
                        "leave", lambda: self._broker.group.leave(self._member), self._timeout
                    )
        if self._fetcher is not None:
            self._fetcher.cancel()
        if not self._network.reaches(current_process.get()):
            raise asyncio.CancelledError  # of a task that aiokafka has cancelled and waits for

    # The public interface.

    def subscribe(self, topics: list[str], listener: Any) -> None:
        """Join the group."""
        assert topics
        self._listener = listener
        self._reassigning = True
        self._subscribed.set()

    def assign(self, tps: Iterable[TopicPartition]) -> None:
        """Read these partitions, without a group."""
        self._replace(tps)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        """Continue from an offset."""
        state = self._state(tp)
        state.position = offset
        state.fetched = []
        state.error = None
        self._changed.set()

    def pause(self, *tps: TopicPartition) -> None:
        """Return no records of these partitions."""
        for tp in tps:
            self._state(tp).paused = True

    def resume(self, *tps: TopicPartition) -> None:
        """Return records of these partitions again."""
        for tp in tps:
            self._state(tp).paused = False
        self._changed.set()

    def highwater(self, tp: TopicPartition) -> int | None:
        """The offset of the next record, according to the last fetch response."""
        assert self._assignment is not None
        assert tp in self._assignment.states
        return self._assignment.states[tp].highwater

    def partitions_for_topic(self, topic: str) -> set[int]:
        """The partitions of a topic; here they are known at once."""
        return set(range(self._broker.partitions(topic)))

    def last_stable_offset(self, tp: TopicPartition) -> int | None:
        """Up to where all transactions were complete, as the last answer to a fetch said."""
        assert self._assignment is not None
        assert tp in self._assignment.states
        return self._assignment.states[tp].stable

    def last_poll_timestamp(self, tp: TopicPartition) -> int | None:
        """Time of the last ``highwater`` update, in ms of the wall clock."""
        assert self._assignment is not None
        assert tp in self._assignment.states
        return self._assignment.states[tp].timestamp

    async def position(self, tp: TopicPartition) -> int:
        """The offset of the next record to return."""
        position = self._state(tp).position
        assert position is not None
        return position

    async def getmany(
        self,
        *tps: TopicPartition,
        timeout_ms: int = 0,
        max_records: int | None = None,
    ) -> dict[TopicPartition, list[Record]]:
        """The fetched records; waits if there are none."""
        if self._closing.is_set():
            raise ConsumerStoppedError
        if self._in_group and self._coordination.done():
            self._coordination.result()
        loop = asyncio.get_running_loop()
        remaining = timeout_ms / 1e3
        while True:
            if self._reassigning:
                await self._assigned.wait()
            drained: dict[TopicPartition, list[Record]] = {}
            if self._assignment is not None:
                drained, emptied = self._assignment.drain(tps, max_records or 1_000_000)
                if emptied:
                    self._changed.set()
                if not drained:
                    self._raise_out_of_range()
            if drained or remaining <= 0:
                return drained
            began = loop.time()
            self._arrived = loop.create_future()
            done, _ = await asyncio.wait([self._arrived], timeout=remaining)
            if not done:
                return {}
            remaining -= loop.time() - began

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit; retry until the broker accepts or refuses."""
        if self._assignment is None:
            raise IllegalStateError
        for tp in offsets:
            if tp not in self._assignment.states:
                raise IllegalStateError
        while True:
            member, generation = self._member, self._generation
            try:
                await self._network.request(
                    "commit",
                    lambda m=member, g=generation: self._broker.commit(m, g, offsets),
                    self._timeout,
                )
            except GROUP_ERRORS as error:
                if not isinstance(error, RebalanceInProgressError):
                    self._reset_generation()
                self._rejoin.set()
                raise CommitFailedError from error
            except KafkaError as error:
                if not error.retriable or self._network.is_closed:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def beginning_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offsets."""
        partitions = list(tps)
        return await self._ask(lambda: {tp: self._broker.beginning(tp) for tp in partitions})

    async def end_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The last stable offsets."""
        partitions = list(tps)
        return await self._ask(lambda: {tp: self._broker.stable_end(tp) for tp in partitions})

    async def offsets_for_times(
        self, times_ms: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """The first records at or after these times."""
        return await self._ask(lambda: self._broker.offsets_for_times(times_ms))

    async def _ask(self, question: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._timeout
        while True:
            try:
                return await self._network.request("list_offsets", question, self._timeout)
            except KafkaError as error:
                if self._network.is_closed:
                    raise
                if loop.time() >= until:
                    raise KafkaTimeoutError from error
                await asyncio.sleep(RETRY_SECONDS)

    def _raise_out_of_range(self) -> None:
        """Tell who polls that an offset is gone; without a group, go on at the beginning."""
        assert self._assignment is not None
        try:
            self._assignment.raise_error()
        except OffsetOutOfRangeError as error:
            self._changed.set()
            if self._in_group:
                raise
            for tp in error.args[0]:
                self._state(tp).position = self._broker.beginning(tp)

    def _wake(self) -> None:
        if not self._arrived.done():
            self._arrived.set_result(None)

    def _state(self, tp: TopicPartition) -> ReadState:
        if self._assignment is None or tp not in self._assignment.states:
            raise IllegalStateError(f"Partition {tp} is not assigned")
        return self._assignment.states[tp]

    def _replace(self, tps: Iterable[TopicPartition]) -> None:
        if self._assignment is not None:
            self._assignment.active = False
        self._assignment = Assignment(tps)
        self._changed.set()

    # Background tasks.

    async def _fetch_forever(self) -> None:
        while True:
            assignment = self._assignment
            positions = assignment.fetch_positions() if assignment is not None else {}
            if assignment is None or not positions:
                self._changed.clear()
                await self._changed.wait()
                continue
            limit = self._fetch_limit()
            try:
                answer = await self._network.request(
                    "fetch",
                    lambda p=positions, m=limit: self._broker.fetch(p, self._max_wait, m),
                    self._timeout + self._max_wait,
                )
            except KafkaError:
                await asyncio.sleep(RETRY_SECONDS)
                if self._network.is_closed:
                    return
                continue
            if assignment.active and assignment.accept(positions, answer):
                self._wake()

    async def _coordinate(self) -> None:
        await self._subscribed.wait()
        prepared = False
        self._rejoin.set()
        while not self._closing.is_set():
            await self._rejoin.wait()
            if self._closing.is_set():
                return
            if not prepared:
                await self._prepare()
                prepared = True
            await self._stop_heartbeats()
            joined = await self._join()
            if joined is None:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._rejoin.clear()
            self._member, self._generation = joined.member, joined.generation
            await self._accept_assignment(joined)
            prepared = False
            self._heartbeats = asyncio.get_running_loop().create_task(self._heartbeat())

    async def _prepare(self) -> None:
        self._reassigning = True
        self._assigned.clear()
        revoked = frozenset(self._assignment.states) if self._assignment is not None else set()
        with contextlib.suppress(Exception):  # aiokafka logs it and continues
            await self._listener.on_partitions_revoked(revoked)

    async def _join(self) -> Joined | None:
        # The broker identifies the member by the name that it assigned at the previous join.
        member = self._member
        try:
            joined: Joined = await self._network.request(
                "join",
                lambda: self._broker.group.join(
                    member, self._session_timeout, self._session_timeout
                ),
                max(self._timeout, self._session_timeout) + 5,
            )
        except KafkaError as error:
            if isinstance(error, GROUP_ERRORS):
                self._reset_generation()
            return None
        return joined

    async def _accept_assignment(self, joined: Joined) -> None:
        self._replace(joined.assigned)
        self._reassigning = False
        self._assigned.set()
        self._wake()
        with contextlib.suppress(Exception):  # as above
            await self._listener.on_partitions_assigned(set(joined.assigned))

    async def _heartbeat(self) -> None:
        wait = self._heartbeat_interval
        while self._member:
            await asyncio.sleep(wait)
            member, generation = self._member, self._generation
            wait = self._heartbeat_interval
            try:
                await self._network.request(
                    "heartbeat",
                    lambda m=member, g=generation: self._broker.group.heartbeat(m, g),
                    self._timeout,
                )
            except RebalanceInProgressError:
                self._rejoin.set()
            except (UnknownMemberIdError, IllegalGenerationError):
                self._reset_generation()
            except KafkaError:
                wait = RETRY_SECONDS
                if self._network.is_closed:
                    return

    async def _stop_heartbeats(self) -> None:
        if self._heartbeats is not None:
            self._heartbeats.cancel()
            self._heartbeats = None

    def _reset_generation(self) -> None:
        self._member, self._generation = "", -1
        self._rejoin.set()
