"""What a monitor knows of a symbol that its successor cannot compute again from what it reads.

A successor reads the positions of a day, and flow and prices of half an hour. The rest takes longer
to learn: the moves of a day, how much depth survives, what forced flow does, since when a side is
near a cascade, and what was told of it. A memory holds it as it was at the end of one second, to
the last bit, so that the successor goes on from there as if it had been there itself.
"""

from zlib import crc32

from msgspec import Raw, Struct
from msgspec.structs import replace

from detectors.risk.ladder import Side
from detectors.risk.log_normal import LogNormal
from detectors.risk_watch.assessment import Learned
from detectors.risk_watch.cascade import Cascade, Told
from detectors.risk_watch.co_movement import CoMovement, MinuteReturns
from detectors.risk_watch.contagion import ToldSpread
from detectors.risk_watch.flow_history import FlowState
from detectors.risk_watch.forced_flow import Episode
from detectors.risk_watch.withdrawals import WithdrawalState

MEMORY_FORMAT = 1
"""The format of a memory: raise it with any change of its fields or their meaning."""

MEMORY_SECONDS = 300
"""A symbol's memory is kept once in this time. Each symbol has a second of its own in it."""


class Memory(Struct, kw_only=True):
    """The memory of one symbol, or with the symbol ``*`` of the venue.

    Attributes
    ----------
    format
        See `MEMORY_FORMAT`.
    ts_event
        The end of the second, in nanoseconds of event time.
    flow, withdrawals, factor, episode, returns
        What is learned of a symbol; null of the venue.
    near_since, told
        Of the symbol's `cascade`.
    spreads_since, told_spread
        Of the venue's `contagion`.
    conduct
        What the detectors of the venue's conduct remember, by their names.
    """

    symbol: str
    ts_event: int
    format: int = MEMORY_FORMAT
    flow: FlowState | None = None
    withdrawals: WithdrawalState | None = None
    factor: LogNormal | None = None
    episode: Episode | None = None
    returns: MinuteReturns | None = None
    near_since: dict[Side, int] = {}
    told: Told | None = None
    spreads_since: int | None = None
    told_spread: ToldSpread | None = None
    conduct: dict[str, Raw] = {}


def memory_is_due(symbol: str, ts_event: int) -> bool:
    """Whether the memory of a symbol is kept at the end of this second."""
    return ts_event // 1_000_000_000 % MEMORY_SECONDS == crc32(symbol.encode()) % MEMORY_SECONDS


def memory_of(
    symbol: str, ts_event: int, learned: Learned, cascade: Cascade | None, together: CoMovement
) -> Memory | None:
    """Return what is known of a symbol; None before the first summary of its book."""
    flow, episode = learned.flow.state(), learned.forced.episode
    if flow is None:
        return None
    return Memory(
        symbol=symbol,
        ts_event=ts_event,
        flow=flow,
        withdrawals=learned.withdrawals.state(),
        factor=learned.forced.factor,
        episode=replace(episode) if episode is not None else None,
        returns=together.state(symbol),
        near_since=dict(cascade.near_since) if cascade is not None else {},
        told=cascade.told if cascade is not None else None,
    )


def learned_of(memory: Memory) -> Learned | None:
    """Return what a memory holds of flow and depth; None if that is not usable."""
    learned = Learned()
    if memory.flow is None or memory.withdrawals is None or memory.factor is None:
        return None
    try:
        learned.flow.restore(memory.flow)
        learned.withdrawals.restore(memory.withdrawals)
    except ValueError:
        return None
    learned.forced.factor, learned.forced.episode = memory.factor, memory.episode
    return learned
