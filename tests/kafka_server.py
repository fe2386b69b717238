"""The real broker of the tests: the one that is named, or one that is started for the session.

``FORESHOCK_TEST_KAFKA=host:port`` names a broker that already runs. Otherwise a broker is started
with ``deploy/kafka/kafka.py``, which needs Java and Maven. Where neither is possible the tests that
ask for it are skipped; with ``CI`` set they fail, because there nothing may go untested.
"""

import os
from collections.abc import Iterator

import pytest

from deploy.kafka.kafka import KafkaServer, missing_tools


def unavailable(reason: str) -> None:
    """Skip the running test for a reason; fail it where CI is set."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"{reason} (CI is set: nothing may be skipped)", pytrace=False)
    pytest.skip(reason)


def require_broker_tools() -> None:
    """Skip (in CI: fail) the running test where no broker can be started."""
    if missing := missing_tools():
        unavailable("no broker can be started: " + "; ".join(missing))


def session_broker() -> Iterator[str]:
    """Bootstrap servers of the session's broker, which lives until the generator is closed."""
    if named := os.environ.get("FORESHOCK_TEST_KAFKA"):
        yield named
        return
    require_broker_tools()
    with KafkaServer() as server:
        yield server.bootstrap_servers
