"""The broker of the tests: a named one, or one that is started for the session.

``FORESHOCK_TEST_KAFKA=host:port`` names a running broker. Otherwise ``deploy/kafka/kafka.py``
starts one, which needs Java and Maven. If neither is possible, tests that need a broker are
skipped. With ``CI`` set they fail, so that CI skips nothing.
"""

import os
from collections.abc import Iterator

import pytest

from deploy.kafka.kafka import KafkaServer, missing_tools


def unavailable(reason: str) -> None:
    """Skip the running test with a reason; fail it if CI is set."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"{reason} (CI is set, so no test may be skipped)", pytrace=False)
    pytest.skip(reason)


def require_broker_tools() -> None:
    """Skip (in CI: fail) the running test if no broker can be started."""
    if missing := missing_tools():
        unavailable("cannot start a broker: " + "; ".join(missing))


def session_broker() -> Iterator[str]:
    """Bootstrap servers of the session's broker, which runs until the generator is closed."""
    if named := os.environ.get("FORESHOCK_TEST_KAFKA"):
        yield named
        return
    require_broker_tools()
    with KafkaServer() as server:
        yield server.bootstrap_servers
