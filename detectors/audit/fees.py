"""Checks of fees beside the testing guide: who gains when a position is opened or closed."""

import math

import numpy as np

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.fee_schedule import fees_in_force, published_rate
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, not_tested
from detectors.audit.paths import steps_of
from detectors.audit.symbol_tape import Symbol
from detectors.audit.tape import Evidence
from detectors.fairness.episodes import Slice

ROUNDING = 1e-6
"""Of a fee, as a ratio to notional."""


def fee_below_maintenance(evidence: Evidence) -> Finding:
    """The fee of a forced sale is below the lowest maintenance rate: nobody is bankrupt by it."""
    claims = evidence.claims.default.liquidation
    tally = Tally()
    for symbol in evidence.symbols.values():
        contract, fee = symbol.schedule.contract, _largest_rate(evidence, symbol)
        if contract is None or fee is None:
            continue
        rate = contract.tiers.rates[0]
        if fee < rate:
            tally.held()
        else:
            story = f"fee {fee:.4%}, lowest maintenance rate {rate:.4%}"
            tally.breach(Case(evidence.last_ns, symbol.symbol, "", fee / rate, 0.0, story))
    if not tally.population:
        return not_tested(
            "margins, and the fee of a forced sale (claimed, or the stream fees)",
            "state [liquidation] fee",
        )
    return judged(tally, what="symbols", claim=stated("liquidation", claims, "fee"))


def liquidator_profit(evidence: Evidence) -> Finding:
    """What the liquidator gains with a step is at most what is claimed or published."""
    tally = Tally()
    gains: list[tuple[float, Slice]] = []
    for _, _, part in steps_of(evidence):
        gain = _gain(part)
        if math.isfinite(gain) and part.paid > 0.0:
            gains.append((gain, part))
    if not gains:
        return not_tested(
            "liquidations with a fee, or takeovers with the mark price",
            "publish them; in staging, let one small position be taken over",
        )
    ratios = np.array([gain / part.paid for gain, part in gains])
    total = math.fsum(gain for gain, _ in gains)
    facts: dict[str, float | str] = {
        "gain of a step, median bps": float(np.median(ratios)) * 1e4,
        "gain of a step, largest bps": float(ratios.max()) * 1e4,
        "gain of all steps": total,
    }
    has_limit = False
    for gain, part in gains:
        limit = _profit_limit(evidence, evidence.symbols[part.symbol], part.ts_event)
        if limit is None:
            continue
        has_limit = True
        excess = gain - (limit + ROUNDING) * part.paid
        if excess <= 0.0:
            tally.held()
            continue
        story = (
            f"closed {part.filled:g} at {part.price:g} by {part.method or 'book'}: the liquidator "
            f"gained {gain:.2f}, {gain / part.paid * 1e4:.1f} bps; at most {limit * 1e4:.1f}"
        )
        tally.breach(Case(part.ts_event, part.symbol, part.account, excess, excess, story))
    if not has_limit:
        return inferred(
            f"the liquidator gained {np.median(ratios) * 1e4:.1f} bps with a step at the median, "
            f"{total:,.2f} in all", population=len(gains), facts=facts,
        )  # fmt: skip
    claim = stated("fees", evidence.claims.default.fees, "profit_ratio")
    return judged(tally, what="steps", claim=claim, facts=facts)


def maker_rebate(evidence: Evidence) -> Finding:
    """A rebate neither pays for trading with oneself, nor more than the spread."""
    tally, facts = Tally(), {}
    claims = evidence.claims.default.fees
    for symbol in evidence.symbols.values():
        schedules = fees_in_force(evidence, symbol.symbol, evidence.last_ns)
        if not schedules:
            continue
        maker = min(its.maker_rate for its in schedules)
        taker = min(its.taker_rate for its in schedules)
        spreads = symbol.minutes.column("spread_bps")[~symbol.minutes.stress()]
        spreads = spreads[np.isfinite(spreads)]
        half = float(np.median(spreads)) / 2.0 if len(spreads) else math.nan
        facts[f"rebate of {symbol.symbol}, bps"] = -maker * 1e4
        facts[f"median half spread of {symbol.symbol} in calm, bps"] = half
        problem = _rebate_problem(maker, taker, half, claims.rebate_spread_ratio)
        if problem is None:
            tally.held()
            continue
        tally.breach(Case(schedules[-1].ts_event, symbol.symbol, "", -maker * 1e4, 0.0, problem))
    if not tally.population:
        return not_tested("fees", "publish the schedule once; no trade is needed")
    return judged(
        tally, what="schedules", facts=facts, claim=stated("fees", claims, "rebate_spread_ratio"),
    )  # fmt: skip


def _rebate_problem(maker: float, taker: float, half: float, most: float | None) -> str | None:
    if maker + taker < -ROUNDING:
        return (
            f"maker {maker * 1e4:.2f} bps and taker {taker * 1e4:.2f} bps: who trades with himself "
            f"is paid {-(maker + taker) * 1e4:.2f} bps"
        )
    if most is not None and math.isfinite(half) and -maker * 1e4 > most * half:
        return (
            f"the rebate of {-maker * 1e4:.2f} bps is {-maker * 1e4 / max(half, 1e-9):.2f} of the "
            f"median half spread of {half:.2f} bps"
        )
    return None


def _gain(part: Slice) -> float:
    """Return what the venue's side gained with a step; NaN if nothing is stated.

    It is the fee, and with a takeover what the mark price is better than the price that was paid.
    """
    gain = part.fee
    if part.method in ("backstop", "auction") and math.isfinite(part.mark_price):
        sign = 1.0 if part.selling else -1.0
        taken = sign * (part.mark_price - part.price) * part.filled
        gain = taken + (0.0 if math.isnan(gain) else gain)
    return gain


def _largest_rate(evidence: Evidence, symbol: Symbol) -> float | None:
    """Return the largest fee of a forced sale that is claimed or published."""
    both = (
        symbol.claims.liquidation.fee,
        published_rate(evidence, symbol.symbol, evidence.last_ns),
    )
    return max((rate for rate in both if rate is not None), default=None)


def _profit_limit(evidence: Evidence, symbol: Symbol, at_ns: int) -> float | None:
    claimed = symbol.claims.fees.profit_ratio
    return claimed if claimed is not None else published_rate(evidence, symbol.symbol, at_ns)


CHECKS = (
    Check("M3", "fee_below_maintenance", "The fee of a forced sale is below every maintenance "
          "rate.", ("margins", "fees"), "this guide", fee_below_maintenance),
    Check("P1", "liquidator_profit", "The liquidator gains no more with a step than is stated.",
          ("liquidations", "fees"), "this guide", liquidator_profit),
    Check("P2", "maker_rebate", "A rebate neither pays for trading with oneself, nor more than the "
          "spread.", ("fees", "orders", "references"), "this guide", maker_rebate),
)  # fmt: skip
"""The checks of this group, in their order."""
