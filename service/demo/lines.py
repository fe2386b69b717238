"""The demo without a terminal: a line for each new event, and a progress line every few seconds.

The ground truth is marked. The detectors do not see it.
"""

from collections.abc import Callable, Iterator

from detectors.incidents.alerts import Alert
from service.demo.captions import distance, evidence, injection, money
from service.demo.observations import Observations, distance_bps
from service.demo.plan import Plan
from service.demo.status import Status

PROGRESS_SECONDS = 5.0

TOLD_BPS = (400, 200, 100, 50)
"""A line is written when a cascade is so near for the first time."""


class Lines:
    """Writes what is new since the last call.

    Parameters
    ----------
    plan, observations
        The plan and the observations of the demo.
    write
        Takes a line.
    """

    def __init__(
        self, plan: Plan, observations: Observations, write: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._observations = observations
        self._write = write
        self._written: set[tuple[str, str]] = set()
        self._phase = ""
        self._next_progress = 0.0

    def update(self, status: Status, now: float) -> None:
        """Write what is new at ``now``, in seconds of a monotonic clock."""
        if not self._written:
            self._write(
                f"Foreshock monitors a simulated exchange: {self._plan.scenario.description}"
            )
            self._write(f"  Kafka    {status.bootstrap_servers}")
            self._write(f"  console  {status.console_url}")
            self._write(f"  log      {status.log}")
            self._write(f"  alerts   kcat -b {status.bootstrap_servers} -C -u -t foreshock.alerts")
            self._written.add(("header", ""))
        new_entries = [item for item in self._entries() if item[1] not in self._written]
        for at_ns, key, text in sorted(new_entries):
            self._written.add(key)
            self._write(f"[{self._plan.clock(at_ns)}] {text}")
        if now >= self._next_progress or status.phase.partition(":")[0] != self._phase:
            self._next_progress = now + PROGRESS_SECONDS
            self._phase = status.phase.partition(":")[0]
            clock = self._plan.clock(self._observations.market_ns)
            self._write(
                f"[{clock}] {status.phase}; {status.read:,} events read, {status.rate:,.0f}/s, "
                f"lag {status.lag:,}, late {status.late:,}"
            )

    def _entries(self) -> Iterator[tuple[int, tuple[str, str], str]]:
        """Everything that has happened: the time, an identifier, and a sentence."""
        plan, observations = self._plan, self._observations
        for number, episode in enumerate(plan.scenario.episodes):
            for word, at in (("begins", episode.start_seconds), ("ends", episode.end_seconds)):
                at_ns = plan.start_ns + int(at * 1e9)
                if at_ns <= observations.market_ns:
                    text = f"ground truth, {word}: {injection(episode.kind)}"
                    yield at_ns, (f"episode {number}", word), text
        for cascade in observations.cascades:
            name, began = cascade.symbol, f"cascade {cascade.starts_at}"
            text = f"ground truth, begins: {name}, {injection('cascade')}"
            yield cascade.starts_at, (began, "begins"), text
            if cascade.ends_at <= observations.market_ns:
                text = (
                    f"ground truth, ends: {name}, the cascade; the mark price moved "
                    f"{cascade.peak_drawdown_ratio or 0.0:.1%}, "
                    f"{money(cascade.liquidated_notional or 0.0)} liquidated"
                )
                yield cascade.ends_at, (began, "ends"), text
        yield from self._distances()
        for view in (*observations.incidents.values(), *observations.positions.values()):
            for alert in (view.opened, view.escalated, *view.updates, view.resolved):
                if alert is not None:
                    state: str = alert.severity if alert.status == "firing" else alert.status
                    state += f", update {alert.update}" if alert.update else ""
                    yield alert.ts_event, (alert.alert_id, state), _sentence(state, alert)

    def _distances(self) -> Iterator[tuple[int, tuple[str, str], str]]:
        """The first record of risk of each symbol below each of the distances."""
        for symbol, records in self._observations.risks.items():
            left = list(TOLD_BPS)
            for record in records:
                bps = distance_bps(record)
                if bps is None or not left or bps > left[0]:
                    continue
                below = [its for its in left if bps <= its][-1]
                left = [its for its in left if its < below]
                yield (
                    record.ts_event,
                    (f"risk {symbol}", f"{below}"),
                    (f"risk: {symbol}: {distance(record)}"),
                )


def _sentence(state: str, alert: Alert) -> str:
    text = f"{state}: {alert.detector}: {alert.summary}"
    return text if state == "resolved" else f"{text} ({evidence(alert)})"
