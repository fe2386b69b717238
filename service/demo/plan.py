"""The plan of a demo: the market, its start and end, and its speed."""

from dataclasses import dataclass

from service.exchange.scenarios.catalogue import Scenario, scenario
from service.exchange.venue.contracts import contracts

SYMBOLS = 4
MARKET_SECONDS = 1_800.0
"""Market time that fits most scenarios, warm-up included."""

AFTERMATH_SECONDS = 180.0
"""Market time shown after the end of a longer scenario."""

MIN_SPEED = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one demo.

    Attributes
    ----------
    scenario, seed
        The market, as for `service.exchange.simulation.simulate`.
    start_ns
        Market time of the start, in nanoseconds since the epoch.
    market_seconds
        Duration in market time.
    speed
        Seconds of market time per second.
    """

    scenario: Scenario
    seed: int
    start_ns: int
    market_seconds: float
    speed: float

    @property
    def seconds(self) -> float:
        """Duration in wall-clock time."""
        return self.market_seconds / self.speed

    @property
    def end_ns(self) -> int:
        """Market time of the end."""
        return self.start_ns + int(self.market_seconds * 1e9)

    @property
    def symbols(self) -> list[str]:
        """The traded contracts."""
        return [contract.symbol for contract in contracts(SYMBOLS)]

    def injected_since(self, symbol: str) -> int | None:
        """Market time of the first injection in a symbol; None if there is none."""
        starts = [
            episode.start_seconds
            for episode in self.scenario.episodes
            if episode.symbols is None or self.symbols.index(symbol) in episode.symbols
        ]
        return self.start_ns + int(min(starts) * 1e9) if starts else None

    def clock(self, at_ns: int) -> str:
        """A market time as minutes and seconds since the start.

        >>> make_plan("calm", seed=1, seconds=90, speed=None, now_ns=10**18).clock(10**18)
        '30:00'
        """
        minutes, seconds = divmod(max(0, at_ns - self.start_ns) // 1_000_000_000, 60)
        return f"{minutes:02d}:{seconds:02d}"


def make_plan(name: str, *, seed: int, seconds: float, speed: float | None, now_ns: int) -> Plan:
    """Plan a demo of a scenario.

    Parameters
    ----------
    name
        The scenario.
    seed
        The market's seed.
    seconds
        Duration in wall-clock time.
    speed
        Seconds of market time per second. None means the speed at which the scenario fits, at
        least 1.
    now_ns
        The current time. Market time ends at about this time, so no event is in the future.
    """
    chosen = scenario(name)
    if speed is None:
        ends = [episode.end_seconds + AFTERMATH_SECONDS for episode in chosen.episodes]
        speed = max(MIN_SPEED, max(MARKET_SECONDS, *ends, 0.0) / seconds)
    market_seconds = seconds * speed
    start_ns = (now_ns // 1_000_000_000) * 1_000_000_000 - int(market_seconds) * 1_000_000_000
    return Plan(chosen, seed, start_ns, market_seconds, speed)
