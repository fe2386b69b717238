"""What a scenario can turn: a market's parameters, and how they move in time."""

from collections.abc import Sequence
from dataclasses import dataclass


class Controls:
    """A market's parameters as they are now; calm is where everything is as made here.

    Attributes
    ----------
    activity
        Multiplies how often everybody acts.
    depth
        Multiplies the sizes that makers quote.
    spread
        Multiplies the distances at which makers quote.
    makers
        Share of the makers that quote at all.
    bids
        Share of the makers that quote bids.
    requotes
        Multiplies how often makers renew their quotes.
    volatility
        Multiplies the volatility of the contract's worth.
    leverage
        Leverage that the eager accounts go up to, as a share of the contract's maximum.
    eager_share
        Share of the leveraged accounts that are eager: raise leverage and buy. A share below one
        account is one account.
    eager_flow
        Share of the traders' orders that come from the eager accounts.
    excitement
        Multiplies how many market orders each one sets off.
    haste
        Multiplies how soon they follow.
    sell_flow
        Extra selling by market orders, in near depths (calm, one side) a second.
    layering
        What one account layers on the ask side without meaning to sell, in near depths.
    spoofing
        Size of an ask that one account places again and again without meaning to sell, in near
        depths.
    stuffing
        Orders that one account places and withdraws at once, relative to all others' in calm.
    lost
        Share of what the venue publishes that never arrives.
    lost_cancels, lost_trades
        Share of the cancels, and of the trades, that never arrive.
    stale
        Above zero the references that arrive repeat the prices of the first of them.
    """

    __slots__ = (
        "activity", "bids", "depth", "eager_flow", "eager_share", "excitement", "haste",
        "layering", "leverage", "lost", "lost_cancels", "lost_trades", "makers", "requotes",
        "sell_flow", "spoofing", "spread", "stale", "stuffing", "volatility",
    )  # fmt: skip

    def __init__(self) -> None:
        self.activity = 1.0
        self.depth = 1.0
        self.spread = 1.0
        self.makers = 1.0
        self.bids = 1.0
        self.requotes = 1.0
        self.volatility = 1.0
        self.leverage = 0.0
        self.eager_share = 0.0
        self.eager_flow = 0.0
        self.excitement = 1.0
        self.haste = 1.0
        self.sell_flow = 0.0
        self.layering = 0.0
        self.spoofing = 0.0
        self.stuffing = 0.0
        self.lost = 0.0
        self.lost_cancels = 0.0
        self.lost_trades = 0.0
        self.stale = 0.0


@dataclass(frozen=True, slots=True)
class Ramp:
    """Moves a parameter in a straight line to ``value``, from wherever it is, and leaves it.

    ``begin`` and ``end`` are seconds since the simulation's start.
    """

    parameter: str
    begin: float
    end: float
    value: float


@dataclass(frozen=True, slots=True)
class Episode:
    """One thing that is provoked.

    Attributes
    ----------
    kind
        Its label in the ground truth.
    start_seconds, end_seconds
        When the provocation begins and ends, in seconds since the simulation's start.
    strength
        As asked for; 1 is the nominal form.
    ramps
        The interventions.
    symbols
        Positions in the list of symbols where it happens; None means everywhere.
    labelled
        Whether it stands in the ground truth as an episode of its own.
    """

    kind: str
    start_seconds: float
    end_seconds: float
    strength: float
    ramps: tuple[Ramp, ...]
    symbols: tuple[int, ...] | None = (0,)
    labelled: bool = True


class ControlPath:
    """A market's ramps, followed in time."""

    def __init__(self, controls: Controls, ramps: Sequence[Ramp]) -> None:
        self._controls = controls
        self._waiting = sorted(ramps, key=lambda ramp: ramp.begin, reverse=True)
        self._moving: list[tuple[Ramp, float]] = []

    def follow(self, seconds: float) -> None:
        """Set the parameters to what they are so many seconds after the start."""
        while self._waiting and self._waiting[-1].begin <= seconds:
            ramp = self._waiting.pop()
            self._moving.append((ramp, getattr(self._controls, ramp.parameter)))
        if not self._moving:
            return
        for ramp, origin in self._moving:
            done = 1.0
            if ramp.end > seconds:
                done = (seconds - ramp.begin) / (ramp.end - ramp.begin)
            setattr(self._controls, ramp.parameter, origin + done * (ramp.value - origin))
        self._moving = [entry for entry in self._moving if entry[0].end > seconds]
