"""How far a stand-in consumer has read, and what it has fetched and not yet returned."""

import time
from collections.abc import Iterable, Mapping

from aiokafka import TopicPartition

from tests.faults.broker import Record

Fetched = Mapping[TopicPartition, tuple[int, list[Record]]]
"""What a fetch answers: the offset of the next record to be written, and records."""


class Place:
    """Where reading a topic partition stands."""

    __slots__ = ("fetched", "highwater", "paused", "position", "timestamp")

    def __init__(self) -> None:
        self.position: int | None = None
        self.paused = False
        self.highwater: int | None = None
        self.timestamp: int | None = None
        self.fetched: list[Record] = []


class Assignment:
    """What a consumer has been given to read; another takes its place at the next rebalance."""

    def __init__(self, tps: Iterable[TopicPartition]) -> None:
        self.places = {tp: Place() for tp in tps}
        self.active = True

    def wanted(self) -> dict[TopicPartition, int]:
        """From where to fetch: not what is paused or has records that wait to be returned."""
        return {
            tp: place.position
            for tp, place in self.places.items()
            if place.position is not None and not place.paused and not place.fetched
        }

    def accept(self, asked: Mapping[TopicPartition, int], answer: Fetched) -> bool:
        """Take an answer, but where somebody has sought elsewhere; whether it brought records."""
        brought = False
        for tp, (highwater, records) in answer.items():
            place = self.places[tp]
            if place.position != asked[tp]:
                continue
            place.highwater = highwater
            place.timestamp = time.time_ns() // 1_000_000
            if records:
                place.fetched = records
                brought = True
        return brought

    def drain(
        self, tps: tuple[TopicPartition, ...], room: int
    ) -> tuple[dict[TopicPartition, list[Record]], bool]:
        """Records to return, and whether there is room to fetch more; what is paused is dropped."""
        drained: dict[TopicPartition, list[Record]] = {}
        emptied = False
        for tp, place in self.places.items():
            if not place.fetched or (tps and tp not in tps):
                continue
            if place.paused:
                place.fetched = []
                continue
            drained[tp], place.fetched = place.fetched[:room], place.fetched[room:]
            place.position = drained[tp][-1].offset + 1
            room -= len(drained[tp])
            emptied = emptied or not place.fetched
            if room == 0:
                break
        return drained, emptied
