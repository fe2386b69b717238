"""What the owner of partition number 0 watches for the whole venue: the market, and its risk."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

from aiokafka import AIOKafkaConsumer

from detectors.incidents.alerts import Alert
from service.kafka.clients import Clients
from service.kafka.counters import ConsumerCounters
from service.kafka.market_watch import MarketWatch
from service.kafka.risk_watch import RiskWatch
from service.kafka.session import Session
from service.pipeline.output import Watcher
from service.settings.types import Settings


class VenueWatch:
    """Both watches; the parameters are those of `RiskWatch`.

    Attributes
    ----------
    market, risk
        The watches.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Mapping[str, str],
        session: Session,
        clients: Clients,
        counters: ConsumerCounters,
        connect: Callable[[], AIOKafkaConsumer],
        waits: Callable[[], Iterator[float]],
        watcher: Watcher | None = None,
    ) -> None:
        shared = session, clients, counters, connect, waits, watcher
        self.market = MarketWatch(settings, *shared)
        self.risk = RiskWatch(settings, topics, *shared)

    def open_alerts(self) -> dict[int, list[Alert] | None]:
        """Return the open alerts of both, as ``OpenAlerts``."""
        return {**self.market.open_alerts(), **self.risk.open_alerts()}

    async def run(self) -> None:
        """Run both forever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.market.run())
            group.create_task(self.risk.run())
