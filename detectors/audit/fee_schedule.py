"""The fees in force at a time: those that the venue publishes, and those that it claims."""

from detectors.audit.symbol_tape import Symbol
from detectors.audit.tape import Evidence
from detectors.market_data.risk_events import FeeSchedule


def fees_in_force(evidence: Evidence, symbol: str, at_ns: int) -> list[FeeSchedule]:
    """Return the schedule of each class of clients in force at a time, the last published last."""
    latest: dict[str, FeeSchedule] = {}
    for its in evidence.fees:
        if its.symbol == symbol and (its.effective_at or its.ts_event) <= at_ns:
            latest[its.tier or ""] = its
    return list(latest.values())


def published_rate(evidence: Evidence, symbol: str, at_ns: int) -> float | None:
    """Return the largest published fee of a forced sale of any class; None without one."""
    rates = [its.liquidation_rate for its in fees_in_force(evidence, symbol, at_ns)]
    return max((rate for rate in rates if rate is not None), default=None)


def forced_rate(evidence: Evidence, symbol: Symbol, at_ns: int) -> float | None:
    """Return the fee of a forced sale: the claimed one, or else the published one."""
    claimed = symbol.claims.liquidation.fee
    return claimed if claimed is not None else published_rate(evidence, symbol.symbol, at_ns)
