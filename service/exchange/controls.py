"""The market parameters that a scenario can change, and how they change over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["open", "auction", "halted", "expired"]


class Controls:
    """A market's current parameters. The initial values are those of a calm market.

    Attributes
    ----------
    activity
        Multiplies the activity of all participants.
    depth
        Multiplies the makers' quote sizes.
    spread
        Multiplies the makers' quote distances.
    makers
        Share of the makers that quote.
    bids
        Share of the makers that quote bids.
    requotes
        Multiplies how often makers renew their quotes.
    volatility
        Multiplies the volatility of the contract's fundamental value.
    leverage
        The leverage that eager accounts rise to, as a share of the contract's maximum.
    eager_share
        Share of the leveraged accounts that are eager: they raise leverage and buy. A share below
        one account means one account.
    eager_flow
        Share of the traders' orders that come from eager accounts.
    excitement
        Multiplies the number of market orders that each market order triggers.
    haste
        Divides the delay of the triggered orders.
    sell_flow
        Extra selling by market orders, in near depths (calm, one side) per second.
    layering
        Size of the asks that the manipulator layers without intent to sell, in near depths.
    spoofing
        Size of the ask that the manipulator places repeatedly without intent to sell, in near
        depths.
    stuffing
        Orders that the manipulator places and withdraws at once, relative to all other
        participants' orders in a calm market.
    lost
        Share of the published events that never arrive.
    lost_cancels, lost_trades
        Share of the cancels and of the trades that never arrive.
    cross_leverage
        Above zero, the cross-margin accounts that are long withdraw what they have beyond this
        leverage. Only the first of their symbols counts.
    margin_scale
        Multiplies the contract's margin rates; the venue announces a change before it applies it.
    auction, halted, expired
        Above zero, the contract is in a call auction, is halted, or has expired.
    stale
        Above zero: arriving references repeat the prices of the first of them.
    """

    __slots__ = (
        "activity", "auction", "bids", "cross_leverage", "depth", "eager_flow", "eager_share",
        "excitement", "expired", "halted", "haste", "layering", "leverage", "lost", "lost_cancels",
        "lost_trades", "makers", "margin_scale", "requotes", "sell_flow", "spoofing", "spread",
        "stale", "stuffing", "volatility",
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
        self.cross_leverage = 0.0
        self.margin_scale = 1.0
        self.auction = 0.0
        self.halted = 0.0
        self.expired = 0.0

    @property
    def state(self) -> State:
        """The trading state that the contract is in."""
        if self.expired:
            return "expired"
        if self.halted:
            return "halted"
        return "auction" if self.auction else "open"


@dataclass(frozen=True, slots=True)
class Ramp:
    """Moves a parameter linearly from its current value to ``value``, where it stays.

    ``begin`` and ``end`` are seconds since the simulation's start.
    """

    parameter: str
    begin: float
    end: float
    value: float


@dataclass(frozen=True, slots=True)
class Episode:
    """One injected episode.

    Attributes
    ----------
    kind
        Its label in the ground truth.
    start_seconds, end_seconds
        When the injection begins and ends, in seconds since the simulation's start.
    strength
        The requested strength; 1 is nominal.
    ramps
        The parameter changes.
    symbols
        Positions in the list of symbols. None means all symbols.
    labelled
        Whether the ground truth lists it as an episode of its own.
    """

    kind: str
    start_seconds: float
    end_seconds: float
    strength: float
    ramps: tuple[Ramp, ...]
    symbols: tuple[int, ...] | None = (0,)
    labelled: bool = True


class ControlPath:
    """Applies a market's ramps to its parameters over time."""

    def __init__(self, controls: Controls, ramps: Sequence[Ramp]) -> None:
        self._controls = controls
        self._waiting = sorted(ramps, key=lambda ramp: ramp.begin, reverse=True)
        self._moving: list[tuple[Ramp, float]] = []

    def follow(self, seconds: float) -> None:
        """Set the parameters to their values at this many seconds after the start."""
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
