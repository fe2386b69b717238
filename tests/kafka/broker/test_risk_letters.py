"""On a real broker: each record of the risk's own streams that is no event has one dead letter."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from service.kafka.risk_letters import place_of
from tests.kafka.broker.rig import REQUIRED, Service, Venue, foreshock, until

pytestmark = pytest.mark.kafka

OWN = ("accounts", "liquidations", "insurance")
STREAMS = (*REQUIRED, "positions")
GOOD = {
    "accounts": b'{"ts_event":1767225600000000000,"account":"a","collateral_value":1}',
    "liquidations": b'{"ts_event":1767225600000000000,"symbol":"X","liquidation_id":"1",'
    b'"account":"a","phase":"start"}',
    "insurance": b'{"ts_event":1767225600000000000,"symbol":"*","balance":1}',
}


async def watching(service: Service) -> None:
    await service.wait_until("the risk is watched", lambda m: m.total("risk_watched") == 1)


async def test_each_has_one_over_starts_and_takeovers(kafka: str, tmp_path: Path):
    topics = {f"TOPICS__{name.upper()}": "" for name in OWN}
    async with Venue(kafka, tmp_path, STREAMS, partitions=2, **topics) as venue:
        names = {f"TOPICS__{name.upper()}": venue.topic(name) for name in OWN}
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        # More partitions than the topic of dead letters has.
        await admin.create_topics([NewTopic(venue.topic(name), 3, 1) for name in OWN])
        await admin.close()
        wanted: Counter[tuple[str, int, int]] = Counter()

        async def send(text: bytes, count: int = 7) -> None:
            for stream in OWN:
                for number in range(count):
                    key = b"%d" % number
                    await venue.send(stream, key, GOOD[stream])
                    sent = await venue.send(stream, key, b"%b %d" % (text, number))
                    wanted[sent.topic, sent.partition, sent.offset] += 1

        async def letters() -> Counter[tuple[str, int, int]]:
            return Counter(place_of(its.headers) for its in await venue.records("deadletters"))

        async def all_sent() -> bool:
            return set(await letters()) >= set(wanted)

        await send(b"before anyone watches")
        service = venue.start(**names)
        await until(all_sent, "what was there has dead letters")
        await watching(service)
        await send(b"while it is watched")
        await until(all_sent, "what comes has dead letters")
        service.kill()
        await send(b"while nobody watches")
        service = venue.start(**names)
        await until(all_sent, "what came meanwhile has dead letters")
        successor = venue.start(**names)
        await send(b"while two are there")
        await until(all_sent, "both know")
        service.kill()
        await send(b"before the other takes over")
        await watching(successor)
        await send(b"and after")
        await until(all_sent, "the successor goes on")
        await successor.stop()
        assert await letters() == wanted
        assert not successor.log("the watch over the risk of liquidations failed, retrying")


MAPPINGS = """
[[mappings]]
stream = "positions"
topics = ["{topic}"]
when = {{e = "position"}}


[mappings.fields]
ts_event = "t"
symbol = "s"
account = "u"
quantity = "q"
entry_price = "p"
leverage = "x"

[[mappings]]
stream = "references"
topics = ["{topic}"]
when = {{e = "mark"}}
fields = {{ts_event = "t", symbol = "s", mark_price = "p"}}

[[mappings]]
stream = "margins"
topics = ["{topic}"]
when = {{e = "mark"}}
fields = {{ts_event = "t", symbol = "s", maintenance_margin_rate = "r"}}

[[mappings]]
stream = "accounts"
topics = ["{topic}"]
when = {{e = "account"}}
fields = {{ts_event = "t", account = "u", equity = "m"}}
"""


async def test_one_topic_with_mapped_positions_and_accounts_has_one_for_each(
    kafka: str, tmp_path: Path
):
    config = tmp_path / "venue.toml"
    venue = Venue(kafka, tmp_path, ("venue",), partitions=2, CONFIG=str(config))
    config.write_text(MAPPINGS.format(topic=venue.topic("venue")), "utf-8")
    at = time.time_ns()
    async with venue:
        wanted: Counter[tuple[str, int, int]] = Counter()

        async def letters() -> Counter[tuple[str, int, int]]:
            return Counter(place_of(its.headers) for its in await venue.records("deadletters"))

        async def all_sent() -> bool:
            return set(await letters()) >= set(wanted)

        async def send() -> None:
            for text in ('{"e":"position","q":"two"}', '{"e":"account","m":"two"}', "{"):
                sent = await venue.send("venue", b"k", text.encode())
                wanted[sent.topic, sent.partition, sent.offset] += 1

        for good in (
            {"e": "position", "t": at, "s": "BTC", "u": "x", "q": 2, "p": 100, "x": 10},
            {"e": "mark", "t": at, "s": "BTC", "p": 100, "r": "0.05"},
            {"e": "account", "t": at, "u": "x", "m": 5},
        ):
            await venue.send("venue", b"k", json.dumps(good).encode())
        await send()
        service = venue.start()
        await watching(service)
        await until(all_sent, "what was there has dead letters")
        await service.wait_until("it is read", lambda m: m.total("records_total") == 6)
        assert await letters() == wanted  # the session and the watch refuse no record both
        metrics = await service.metrics()
        assert metrics.total("records_ignored_total") == 0
        assert metrics.total("records_of_risk_only_total") == 2  # those of the account
        await service.stop()
        await send()
        service = venue.start()
        await watching(service)
        await until(all_sent, "what came meanwhile has dead letters")
        await service.wait_until("it is read", lambda m: m.total("risk_positions") == 1)
        await service.stop()
        assert await letters() == wanted  # although the position waits, and is read again
        asked = ("whatif", "--kafka", "--shock=BTC=-20%", "--format", "json")
        done = await asyncio.to_thread(lambda: foreshock(*asked, **venue.settings))
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        (side,) = (its for its in answer["after"]["sides"] if its["side"] == "long")
        assert (side["symbol"], side["generations"][0]) == ("BTC", 200.0)
