"""An embedded Kafka broker: librdkafka's mock cluster, in memory.

It serves Kafka's protocol on a port of the loopback interface, to any client. It runs in threads of
its own, outside Python's interpreter lock. It keeps only the latest records of each partition
(5 MiB or 100,000), gives all of them one timestamp, and forms groups after 3 s.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaException, Producer

from service.errors import OperatorError

PARTITIONS = 4
"""Partitions of every topic that the broker creates."""

FETCH_WAIT_SECONDS = 0.05
"""The recommended maximum wait of a consumer's fetch request. The broker answers a request that
finds no records only after this wait, even if records have arrived in the meantime."""

_ANSWER_SECONDS = 10.0


@contextmanager
def embedded_broker(topics: Iterable[str]) -> Iterator[str]:
    """Run a broker that has these topics. Yields its address, ``host:port``.

    Raises
    ------
    OperatorError
        If the broker does not start.

    Examples
    --------
    >>> with embedded_broker(["market.orders"]) as bootstrap_servers:
    ...     bootstrap_servers.partition(":")[0]
    '127.0.0.1'
    """
    # The mock cluster lives as long as the client that requests it. Its log is not needed.
    with Producer({"test.mock.num.brokers": 1, "log_level": 0}) as owner:
        try:
            (broker,) = owner.list_topics(timeout=_ANSWER_SECONDS).brokers.values()
            for topic in topics:
                # Requesting a topic creates it.
                owner.list_topics(topic, timeout=_ANSWER_SECONDS)
        except KafkaException as error:
            raise OperatorError(f"the embedded broker does not start: {error}") from None
        yield f"{broker.host}:{broker.port}"
