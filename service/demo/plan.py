"""What a demonstration is to show: which market, from when to when, and how fast."""

from dataclasses import dataclass

from service.exchange.scenarios.catalogue import Scenario, scenario
from service.exchange.venue.contracts import contracts

SYMBOLS = 4
MARKET_SECONDS = 1_800.0
"""The market time that most scenarios fit into, with a warm-up before it."""

AFTERMATH_SECONDS = 180.0
"""What is shown after a scenario that does not."""

MIN_SPEED = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A demonstration.

    Attributes
    ----------
    scenario, seed
        The market, as for `service.exchange.simulation.simulate`.
    start_ns
        Market time at which it begins, in nanoseconds since the epoch.
    market_seconds
        How long it runs, in market time.
    speed
        Seconds of market time a second.
    """

    scenario: Scenario
    seed: int
    start_ns: int
    market_seconds: float
    speed: float

    @property
    def seconds(self) -> float:
        """How long it runs, by the clock."""
        return self.market_seconds / self.speed

    @property
    def end_ns(self) -> int:
        """Market time at which it ends."""
        return self.start_ns + int(self.market_seconds * 1e9)

    @property
    def symbols(self) -> list[str]:
        """The contracts that are traded."""
        return [contract.symbol for contract in contracts(SYMBOLS)]

    def provoked_since(self, symbol: str) -> int | None:
        """Market time at which something is first done to a symbol; None if nothing ever is."""
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
    """Plan a demonstration of a scenario.

    Parameters
    ----------
    name
        The scenario.
    seed
        The market's.
    seconds
        How long it is to run, by the clock.
    speed
        Seconds of market time a second; None for what the scenario needs to fit, at least 1.
    now_ns
        The time now: the market's time ends about then, so that none of it is in the future.
    """
    chosen = scenario(name)
    if speed is None:
        ends = [episode.end_seconds + AFTERMATH_SECONDS for episode in chosen.episodes]
        speed = max(MIN_SPEED, max(MARKET_SECONDS, *ends, 0.0) / seconds)
    market_seconds = seconds * speed
    start_ns = (now_ns // 1_000_000_000) * 1_000_000_000 - int(market_seconds) * 1_000_000_000
    return Plan(chosen, seed, start_ns, market_seconds, speed)
