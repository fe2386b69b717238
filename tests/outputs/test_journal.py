"""The journal: what is written of a process, and that a failure to write stops nothing."""

import asyncio

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from service.outputs import journal
from service.outputs.journal import Journal, JournalEntry, judging_settings
from service.settings.secrets import Secret
from service.settings.types import DetectionSettings, KafkaSettings, Settings


class Topic:
    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.failures = 0

    async def send(self, entry: JournalEntry) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaConnectionError("no broker")
        self.entries.append(entry)

    @property
    def occasions(self) -> list[str]:
        return [entry.occasion for entry in self.entries]

    async def until(self, *occasions: str) -> None:
        while self.occasions != list(occasions):  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.001)


async def kept(its: Journal, topic: Topic, *occasions: str) -> None:
    """Keep the journal until these entries are written."""
    keeping = asyncio.create_task(its.keep(topic.send))
    try:
        await asyncio.wait_for(topic.until(*occasions), 30.0)
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


async def test_a_start_a_change_and_a_stop_are_written_with_the_settings():
    topic, changed = Topic(), Settings(detection=DetectionSettings(false_alarms_per_day=0.5))
    its = Journal(Settings(), "host-1")
    await its.stopped(topic.send)
    assert topic.entries == [], "it never started"
    await kept(its, topic, "started")
    its.reloaded(changed)
    await kept(its, topic, "started", "reloaded")
    await its.stopped(topic.send)
    assert topic.occasions == ["started", "reloaded", "stopped"]
    budgets = [entry.settings["detection"]["false_alarms_per_day"] for entry in topic.entries[:2]]
    assert budgets == [1.0, 0.5]
    assert topic.entries[2].settings == {}
    assert {entry.instance for entry in topic.entries} == {"host-1"}


async def test_a_change_while_an_entry_is_sent_is_written_next():
    topic = Topic()
    its = Journal(Settings(), "host-1")
    budgets = iter((0.5, 0.25))

    async def send(entry: JournalEntry) -> None:
        await topic.send(entry)
        budget = next(budgets, None)
        if budget is not None:  # the configuration is read again while this entry is sent
            its.reloaded(Settings(detection=DetectionSettings(false_alarms_per_day=budget)))

    keeping = asyncio.create_task(its.keep(send))
    try:
        await asyncio.wait_for(topic.until("started", "reloaded", "reloaded"), 30.0)
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
    written = [entry.settings["detection"]["false_alarms_per_day"] for entry in topic.entries]
    assert written == [1.0, 0.5, 0.25]


async def test_it_beats_while_nothing_happens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(journal, "HEARTBEAT_SECONDS", 0.001)
    topic = Topic()
    keeping = asyncio.create_task(Journal(Settings(), "a").keep(topic.send))
    while len(topic.entries) < 3:  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0.001)
    keeping.cancel()
    await asyncio.wait({keeping})
    assert topic.occasions[:3] == ["started", "running", "running"]


async def test_a_start_that_could_not_be_written_is_written_later(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(journal, "HEARTBEAT_SECONDS", 0.001)
    topic = Topic()
    topic.failures = 2
    keeping = asyncio.create_task(Journal(Settings(), "a").keep(topic.send))
    while len(topic.entries) < 2:  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0.001)
    keeping.cancel()
    await asyncio.wait({keeping})
    assert topic.occasions[:2] == ["started", "running"]


def test_no_secret_and_no_connection_is_in_the_journal():
    settings = Settings(kafka=KafkaSettings(sasl_password=Secret("planted")))
    written = msgspec.json.encode(judging_settings(settings))
    assert b"planted" not in written
    assert b"kafka" not in written
    assert msgspec.json.decode(written)["time"]["bar_seconds"] == 1.0
