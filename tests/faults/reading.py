"""The read state of the replacement consumer: positions, and fetched records not yet returned."""

import time
from collections.abc import Iterable, Mapping

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from tests.faults.broker import Fetched, Record


class ReadState:
    """The read state of a topic partition."""

    __slots__ = (
        "error",
        "fetched",
        "highwater",
        "next",
        "paused",
        "position",
        "stable",
        "timestamp",
    )

    def __init__(self) -> None:
        self.position: int | None = None
        self.paused = False
        self.highwater: int | None = None
        self.stable: int | None = None
        self.error: OffsetOutOfRangeError | None = None
        self.next = 0  # where reading goes on once all that was fetched has been returned
        self.timestamp: int | None = None
        self.fetched: list[Record] = []


class Assignment:
    """The partitions assigned to a consumer; the next rebalance replaces it."""

    def __init__(self, tps: Iterable[TopicPartition]) -> None:
        self.states = {tp: ReadState() for tp in tps}
        self.active = True

    def fetch_positions(self) -> dict[TopicPartition, int]:
        """The positions to fetch: partitions that are not paused and have no unreturned records."""
        return {
            tp: state.position
            for tp, state in self.states.items()
            if state.position is not None
            and not state.paused
            and not state.fetched
            and state.error is None
        }

    def accept(
        self, requested: Mapping[TopicPartition, int], answer: Mapping[TopicPartition, Fetched]
    ) -> bool:
        """Accept a response, except where the position changed; return whether it had records."""
        has_records = False
        for tp, its in answer.items():
            state = self.states[tp]
            if state.position != requested[tp]:
                continue
            if its.error is not None:
                state.error = its.error
                has_records = True
                continue
            state.highwater, state.stable = its.high_watermark, its.stable
            state.timestamp = time.time_ns() // 1_000_000
            state.next = its.next
            if its.records:
                state.fetched = its.records
                has_records = True
            else:
                state.position = its.next
        return has_records

    def raise_error(self) -> None:
        """Raise what a fetch was refused with, once."""
        for state in self.states.values():
            if state.error is not None:
                error, state.error = state.error, None
                raise error

    def drain(
        self, tps: tuple[TopicPartition, ...], room: int
    ) -> tuple[dict[TopicPartition, list[Record]], bool]:
        """Records to return, and whether there is room for more. Drops paused records."""
        drained: dict[TopicPartition, list[Record]] = {}
        emptied = False
        for tp, state in self.states.items():
            if not state.fetched or (tps and tp not in tps):
                continue
            if state.paused:
                state.fetched = []
                continue
            drained[tp], state.fetched = state.fetched[:room], state.fetched[room:]
            state.position = drained[tp][-1].offset + 1 if state.fetched else state.next
            room -= len(drained[tp])
            emptied = emptied or not state.fetched
            if room == 0:
                break
        return drained, emptied
