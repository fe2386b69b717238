"""Topics: what is needed, what is wrong, and that a real broker is brought to it."""

import asyncio
import socket
import uuid
from collections.abc import Sequence

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from service.errors import ConfigurationError, OperatorError
from service.kafka.cluster import inspection as cluster_module
from service.kafka.cluster.inspection import create_missing, inspect_topics, verify_topics
from service.kafka.cluster.topics import Topic, examine, wanted_topics
from service.pipeline.wire import AUDIT_STREAMS, RISK_STREAMS
from service.settings.types import KafkaSettings, OutputSettings, Settings, TopicSettings

DEFAULT = Settings()


def cluster(
    without: Sequence[str] = (), configs: dict[str, dict[str, str]] | None = None, **partitions: int
):
    """The topics of a cluster as it should be, but for what is given."""
    topics = {}
    for wanted in wanted_topics(DEFAULT):
        key = wanted.key.rpartition(".")[2]
        if key not in without:
            held = {**wanted.configs, "max.message.bytes": "1048588"}
            held |= (configs or {}).get(key, {})
            topics[wanted.name] = Topic(wanted.name, partitions.get(key, 12), held)
    return topics


def test_a_cluster_as_it_should_be_has_no_problems():
    report = examine(DEFAULT, cluster())
    assert (report.partitions, report.problems, report.missing) == (12, (), ())


def test_optional_inputs_may_be_missing_or_off():
    optional = ["references", "margins", "positions", "statuses", *RISK_STREAMS, *AUDIT_STREAMS]
    report = examine(DEFAULT, cluster(without=optional))
    assert report.problems == ()
    assert [topic.key for topic in report.missing] == [
        "topics.references",
        "topics.margins",
        "topics.positions",
        "topics.statuses",
        "topics.accounts",
        "topics.liquidations",
        "topics.insurance",
        "topics.acks",
        "topics.fees",
    ]
    off = Settings(topics=TopicSettings(margins=""), outputs=OutputSettings(killswitch=""))
    assert examine(off, cluster(without=["margins", "killswitch"])).missing == ()


def test_only_topics_that_no_symbol_waits_for_may_have_any_number_of_partitions():
    report = examine(DEFAULT, cluster(accounts=1, liquidations=3, insurance=50, acks=2, fees=1))
    assert (report.problems, report.partitions) == ((), 12)


@pytest.mark.parametrize(
    ("topics", "words"),
    [
        (
            cluster(without=["trades"]),
            (
                "the topic market.trades (topics.trades) does not exist; `foreshock topics "
                "--create` creates it, or set topics.trades to the topic that holds the trades"
            ),
        ),
        (
            cluster(without=["alerts"]),
            "foreshock.alerts (outputs.alerts) does not exist; `foreshock topics --create`",
        ),
        (
            cluster(trades=6),
            "market.orders has 12, market.cancels has 12, market.trades has 6",
        ),
        (
            cluster(trades=6),
            (
                "`kafka-topics.sh --bootstrap-server localhost:9092 --alter --topic market.trades "
                "--partitions 12`"
            ),
        ),
        (cluster(positions=6), "market.positions has 6"),
        (
            cluster(alerts=1),
            "foreshock.alerts (outputs.alerts) has 1 partitions, the input topics have 12",
        ),
        (cluster(snapshots=16), "Kafka cannot remove partitions"),
        (
            cluster(configs={"snapshots": {"cleanup.policy": "delete"}}),
            "foreshock.snapshots (outputs.snapshots) has cleanup.policy=delete and needs compact",
        ),
        (
            cluster(configs={"snapshots": {"cleanup.policy": "compact,delete"}}),
            "--add-config cleanup.policy=compact`",
        ),
        (
            cluster(configs={"alerts": {"cleanup.policy": "compact"}}),
            "only the last record of each symbol would be kept",
        ),
        (
            cluster(configs={"snapshots": {"max.message.bytes": "65536"}}),
            "has max.message.bytes=65536, but its records may have up to 1048576",
        ),
    ],
)
def test_each_problem_is_a_sentence_that_says_how_to_mend_it(topics: dict[str, Topic], words: str):
    (problem,) = examine(DEFAULT, topics).problems
    assert words in problem


def test_a_cluster_that_tells_no_configurations_is_not_accused():
    topics = {name: Topic(name, topic.partitions, {}) for name, topic in cluster().items()}
    assert examine(DEFAULT, topics).problems == ()


def unreachable(server: str):
    return Settings(kafka=KafkaSettings(bootstrap_servers=server))


async def test_a_broker_that_is_not_there_is_said_in_a_sentence(capsys: pytest.CaptureFixture[str]):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OperatorError) as caught:
            await verify_topics(unreachable(address))
    assert f"no Kafka broker answers at {address}" in str(caught.value)
    assert "FORESHOCK_KAFKA__BOOTSTRAP_SERVERS" in str(caught.value)
    assert capsys.readouterr() == ("", "")


async def test_something_that_is_no_broker_does_not_hold_the_start_up(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(cluster_module, "ANSWER_SECONDS", 0.5)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()  # accepts, but never answers
        # Well below the forty seconds that a client gives a request by itself.
        async with asyncio.timeout(30):
            with pytest.raises(OperatorError, match="no Kafka broker answers"):
                await inspect_topics(unreachable(f"127.0.0.1:{mute.getsockname()[1]}"))


def own_topics(kafka: str):
    """Settings whose topics no other test uses."""
    mark = uuid.uuid4().hex[:8]
    names = {key: f"{key}.{mark}" for key in TopicSettings.__struct_fields__}
    outputs = {key: f"{key}.{mark}" for key in OutputSettings.__struct_fields__}
    return Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka),
        topics=TopicSettings(**names),
        outputs=OutputSettings(**outputs),
    )


async def make_topics(settings: Settings, partitions: dict[str, int]) -> None:
    """Create topics behind the service's back, and wait until the broker tells of them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, count, 1) for name, count in partitions.items()])
    await admin.close()
    async with asyncio.timeout(180):
        while len((await inspect_topics(settings)).topics) < len(partitions):  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # nobody tells when it is so


@pytest.mark.kafka
async def test_missing_topics_are_created_as_they_must_be(kafka: str):
    settings = own_topics(kafka)
    with pytest.raises(OperatorError, match=r"does not exist; `foreshock topics --create`"):
        await verify_topics(settings)
    created = await create_missing(settings, 4, None)
    assert created == [topic.name for topic in wanted_topics(settings)]
    report = await verify_topics(settings)
    assert report.partitions == 4
    assert {topic.partitions for topic in report.topics.values()} == {4}
    snapshots = report.topics[settings.outputs.snapshots]
    assert snapshots.configs["cleanup.policy"] == "compact"
    assert await create_missing(settings, None, None) == []


@pytest.mark.kafka
async def test_new_topics_follow_the_input_topics_that_exist(kafka: str):
    settings = own_topics(kafka)
    await make_topics(settings, {settings.topics.orders: 3})
    with pytest.raises(ConfigurationError, match="existing input topics have 3 partitions"):
        await create_missing(settings, 5, 1)
    await create_missing(settings, None, 1)
    assert (await verify_topics(settings)).partitions == 3


@pytest.mark.kafka
async def test_unequal_counts_on_a_broker_stop_the_start(kafka: str):
    settings = own_topics(kafka)
    await make_topics(settings, {settings.topics.orders: 4, settings.topics.trades: 2})
    with pytest.raises(OperatorError, match=r"orders.* has 4, trades.* has 2"):
        await verify_topics(settings)


@pytest.mark.kafka
async def test_what_the_broker_refuses_is_told_in_its_words(kafka: str):
    with pytest.raises(OperatorError, match=r"refused to create .*(?i:replication factor)"):
        await create_missing(own_topics(kafka), 2, 7)
