"""A partition that does not advance turns /readyz to 503, whatever the cause."""

import asyncio
import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from aiokafka import TopicPartition

import service.run
from service.kafka.cluster.inspection import inspect_topics
from service.kafka.watching import progress
from service.settings.assembly import input_topics
from service.settings.load import load_settings
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import REQUIRED, Venue, environment, until


def ready(port: int) -> tuple[int, dict[str, str]]:
    """The status and the checks of ``/readyz``."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status, json.load(answer)["checks"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["checks"]


async def test_a_fault_that_nobody_listed_is_named_by_its_partition(
    kafka: str, tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "STUCK_SECONDS", 2.0)
    first, second = market.parts(0.5)
    async with Venue(kafka, tmp_path, REQUIRED) as venue:
        await venue.produce(first)
        settings = load_settings(None, environment(**venue.settings))
        topics = input_topics(settings, (await inspect_topics(settings)).topics)
        running = service.run.Service(settings, topics)
        http = await service.run.start_service_http(settings, 0, running)
        task = asyncio.create_task(running.run())
        try:

            async def is_ready() -> bool:
                return (await asyncio.to_thread(ready, http.port))[0] == 200

            async def not_ready() -> dict[str, str]:
                status, checks = await asyncio.to_thread(ready, http.port)
                return checks if status == 503 else {}

            await until(is_ready, "it is ready")
            stuck = TopicPartition(topics["trades"], next(iter(running.view().partitions)))
            # Somebody stops reading one topic partition behind the back of the session.
            everything = [tp for p in running.view().partitions.values() for tp in p.inputs]
            trades = [tp for tp in everything if tp.topic == stuck.topic]
            running._clients.consumer.pause(*trades)
            await venue.produce(second)
            checks = await until(not_ready, "it is not ready")
            running._clients.consumer.resume(*trades)
            await until(is_ready, "it is ready again")
        finally:
            running.stop()
            await task
            await http.close()
    named = {name: why for name, why in checks.items() if name.startswith("partition ")}
    assert named
    # What is unread in a paused topic is not known: nobody asks the broker about it.
    work = [rf"{topic} has |events of {topic} wait" for topic in map(re.escape, topics.values())]
    assert all(re.search("|".join(work), why) for why in named.values()), named
