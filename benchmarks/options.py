"""What the measurements have in common: their options, and the broker that they measure on."""

import argparse
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka.admin import AdminClient
from process import ROOT

sys.path.insert(0, str(ROOT))  # for deploy, which is not installed

from deploy.kafka.kafka import KafkaServer

BUILD = ROOT / "build"


class Broker(NamedTuple):
    """A running broker; the names of all topics and groups of this run begin with ``prefix``."""

    servers: str
    prefix: str


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options that every measurement has."""
    parser.add_argument(
        "--out", type=Path, default=BUILD, help="folder of the results (default build)"
    )
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="seconds, on hardly any data: shows that it works; the figures mean nothing",
    )


def add_broker(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a broker."""
    parser.add_argument(
        "--kafka",
        metavar="HOST:PORT",
        help="use this broker instead of a new one; the run's topics are deleted at the end",
    )


@contextmanager
def broker(named: str | None, **options: Any) -> Iterator[Broker]:
    """The named broker, or one with these options of KafkaServer for the time of the context."""
    if named is None:
        with KafkaServer(**options) as server:
            yield Broker(server.bootstrap_servers, "")
        return
    prefix = f"foreshock-{uuid.uuid4().hex[:8]}-"
    try:
        yield Broker(named, prefix)
    finally:
        admin = AdminClient({"bootstrap.servers": named, "log_level": 0})
        topics = [name for name in admin.list_topics(timeout=30).topics if name.startswith(prefix)]
        for deleted in admin.delete_topics(topics).values() if topics else ():
            deleted.result()
