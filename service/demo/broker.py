"""An embedded Kafka broker: librdkafka's mock cluster, in memory, for as long as it is wanted.

It speaks Kafka's protocol on a port of the loopback interface, to any client. It runs in threads
of its own, outside Python's interpreter lock. It keeps the latest records of each partition only
(5 MiB or 100,000), has one timestamp for all of them, and its groups are formed after 3 s.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaException, Producer

from service.errors import OperatorError

PARTITIONS = 4
"""What every topic that the broker creates by itself has."""

FETCH_WAIT_SECONDS = 0.05
"""How long its consumers should let it hold a request for records: one that finds none is answered
when this is over, even if some have come in the meantime."""

_ANSWER_SECONDS = 10.0


@contextmanager
def embedded_broker(topics: Iterable[str]) -> Iterator[str]:
    """Run a broker that has these topics; yields its address, ``host:port``.

    Raises
    ------
    OperatorError
        It does not start.

    Examples
    --------
    >>> with embedded_broker(["market.orders"]) as bootstrap_servers:
    ...     bootstrap_servers.partition(":")[0]
    '127.0.0.1'
    """
    # The cluster belongs to the client that asks for it, and its log is of no use to anybody.
    with Producer({"test.mock.num.brokers": 1, "log_level": 0}) as owner:
        try:
            (broker,) = owner.list_topics(timeout=_ANSWER_SECONDS).brokers.values()
            for topic in topics:
                # Asking for a topic creates it.
                owner.list_topics(topic, timeout=_ANSWER_SECONDS)
        except KafkaException as error:
            raise OperatorError(f"the embedded broker does not start: {error}") from None
        yield f"{broker.host}:{broker.port}"
