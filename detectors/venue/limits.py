"""Whether a venue has tightened the limits of a symbol: raised its margins, or cut its leverage."""

from msgspec import Struct

from detectors.market_data.events import Margin

TIGHTER_RATIO = 1.1
"""Margin rates from this multiple of the last ones on, or a leverage cut by as much, are tighter. A
smaller step is upkeep."""

TIGHTENED_NS = 600_000_000_000
"""How long limits count as tightened after they took effect, in nanoseconds of event time."""


class LimitsState(Struct):
    """The last known limits of a symbol; part of a snapshot.

    Rates are ratios to notional, 0 while unknown. ``tightened_until_ns`` is the end of the time in
    which they count as tightened, in nanoseconds of event time.
    """

    initial: float = 0.0
    maintenance: float = 0.0
    leverage: float = 0.0
    tightened_until_ns: int = 0


def take(state: LimitsState, margin: Margin) -> None:
    """Compare the margin parameters of an event with the last ones, and remember them.

    Of tiers, the first one counts: it holds for every position.
    """
    first = margin.tiers[0] if margin.tiers else None
    initial = (first.initial_rate if first is not None else None) or margin.initial_margin_rate
    maintenance = (
        first.maintenance_rate if first is not None else None
    ) or margin.maintenance_margin_rate
    leverage = margin.max_leverage
    tighter = (
        _rises(state.initial, initial)
        or _rises(state.maintenance, maintenance)
        or (leverage is not None and _rises(leverage, state.leverage))
    )
    if tighter:
        effective_ns = max(margin.ts_event, margin.effective_at or 0)
        state.tightened_until_ns = effective_ns + TIGHTENED_NS
    state.initial = initial or state.initial
    state.maintenance = maintenance or state.maintenance
    state.leverage = leverage or state.leverage


def _rises(before: float, now: float | None) -> bool:
    # A tenth more, as it is written, is a little less than a tenth more as a float.
    return now is not None and 0.0 < before * TIGHTER_RATIO <= now * (1.0 + 1e-9)
