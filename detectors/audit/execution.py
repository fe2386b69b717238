"""Checks of execution beside the testing guide: stops, and what rises together under stress."""

import math

import numpy as np

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.minutes import MINUTE_NS
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, merged, not_tested
from detectors.audit.symbol_tape import Symbol
from detectors.audit.tape import Evidence
from detectors.table import Flags, Floats

MEASURES = ("latency_ms", "spread_bps", "shortfall_bps")
LEAST_CALM = 5
"""Calm minutes below which there is nothing to compare with."""


def stops(evidence: Evidence) -> Finding:
    """Stops are filled near their trigger price, and in few pieces, in calm and under stress."""
    claims = evidence.claims.default.execution
    calm, stress = _stops(evidence, stressed=False), _stops(evidence, stressed=True)
    count = len(calm) + len(stress)
    if not count:
        return not_tested(
            "acknowledgements of stops (with trigger_price) that were filled",
            "publish them; in staging, place ten small stops and move the price through them, once "
            "with a full book and once with a thin one",
        )
    facts: dict[str, float | str] = {}
    for name, found in (("calm", calm), ("stress", stress)):
        facts[f"stops in {name}"] = len(found)
        if len(found):
            facts[f"shortfall in {name}, median bps"] = float(np.median(found[:, 0]))
            facts[f"shortfall in {name}, 95 % bps"] = float(np.quantile(found[:, 0], 0.95))
            facts[f"pieces in {name}, median"] = float(np.median(found[:, 1]))
            facts[f"pieces in {name}, 95 %"] = float(np.quantile(found[:, 1], 0.95))
    cases = merged(symbol.gate.stop_cases for symbol in evidence.symbols.values())
    if claims.stop_bps is None and claims.stop_pieces is None:
        every = np.concatenate([calm, stress])
        return inferred(
            f"{count:,} stops were filled {np.median(every[:, 0]):.1f} bps worse than their "
            f"trigger price, in {np.median(every[:, 1]):g} trades, at the median",
            population=count, facts=facts, cases=cases.worst(),
        )  # fmt: skip
    tally = Tally()
    for symbol in evidence.symbols.values():
        _judge_stops(symbol, tally)
    return judged(
        tally, what="stops", facts=facts, allowed_ratio=0.05,
        claim=stated("execution", claims, "stop_bps", "stop_pieces"),
    )  # fmt: skip


def joint_stress(evidence: Evidence) -> Finding:
    """Latency, spread and shortfall do not rise together for long."""
    claims = evidence.claims.default.execution
    tally, facts = Tally(), {}
    missing = set(MEASURES)
    for symbol in evidence.symbols.values():
        its = symbol.minutes
        stress = its.stress()
        limits: dict[str, Flags] = {}
        for name in MEASURES:
            column = its.column(name)
            known = np.isfinite(column)
            if (known & ~stress).sum() < LEAST_CALM or not (known & stress).any():
                continue
            missing.discard(name)
            calm = column[known & ~stress]
            with np.errstate(invalid="ignore"):
                limits[name] = column > np.quantile(calm, 0.95)
            ratio = float(np.median(column[known & stress]) / max(float(np.median(calm)), 1e-9))
            facts[f"{name} of {symbol.symbol}, stress over calm"] = ratio
        if len(limits) < 2:
            continue
        joint = np.logical_and.reduce(list(limits.values()))
        _count_minutes(symbol, joint, tally)
    if not tally.population:
        return not_tested(
            "a minute in which positions are closed by force, and five calm ones, with references, "
            "orders and trades (and acks for the latency)",
            "record a time of stress; in staging, liquidate small positions while market orders "
            "are sent",
        )
    without = f"; without {', '.join(sorted(missing))}, which no stream tells" if missing else ""
    if claims.joint_ratio is None:
        return inferred(
            f"{', '.join(name for name in MEASURES if name not in missing)} rose together in "
            f"{tally.breaches:,} of {tally.population:,} minutes{without}",
            population=tally.population, facts=facts, cases=tally.worst(),
        )  # fmt: skip
    return judged(
        tally, what="minutes", facts=facts, allowed_ratio=claims.joint_ratio,
        claim=stated("execution", claims, "joint_ratio"),
        tolerance=f"above the 95 % quantile of calm minutes at the same time{without}",
    )  # fmt: skip


def _stops(evidence: Evidence, *, stressed: bool) -> Floats:
    """Return shortfall in bps and number of pieces of each stop in calm, or under stress."""
    rows = [
        (bps, float(pieces))
        for symbol in evidence.symbols.values()
        for at, bps, pieces in zip(
            symbol.gate.stop_ns, symbol.gate.stop_bps, symbol.gate.stop_pieces, strict=True
        )
        if symbol.minutes.stress_at(at) == stressed
    ]
    return np.array(rows, np.float64).reshape(-1, 2)


def _judge_stops(symbol: Symbol, tally: Tally) -> None:
    claims, gate = symbol.claims.execution, symbol.gate
    most_bps = math.inf if claims.stop_bps is None else claims.stop_bps
    most_pieces = math.inf if claims.stop_pieces is None else claims.stop_pieces
    for at, bps, pieces in zip(gate.stop_ns, gate.stop_bps, gate.stop_pieces, strict=True):
        if bps <= most_bps and pieces <= most_pieces:
            tally.held()
            continue
        when = "under stress" if symbol.minutes.stress_at(at) else "in calm"
        story = f"a stop was filled {bps:.1f} bps worse than its trigger in {pieces} trades {when}"
        tally.breach(Case(at, symbol.symbol, "", bps, 0.0, story))


def _count_minutes(symbol: Symbol, joint: Flags, tally: Tally) -> None:
    its = symbol.minutes
    for place, number in enumerate(its.number):
        if not joint[place]:
            tally.held()
            continue
        spread, shortfall, latency = (
            getattr(its, name)[place] for name in ("spread_bps", "shortfall_bps", "latency_ms")
        )
        parts = [
            text.format(value)
            for text, value in (
                ("spread {:.1f} bps", spread),
                ("market orders {:.1f} bps worse than the mid price", shortfall),
                ("99 % of answers within {:.1f} ms", latency),
                ("{:.1f} trades an order", its.pieces[place]),
            )
            if math.isfinite(value)
        ]
        size = spread if math.isfinite(spread) else 0.0
        at = number * MINUTE_NS
        tally.breach(Case(at, symbol.symbol, "", size, 0.0, ", ".join(parts)))


CHECKS = (
    Check("E1", "stops", "Stops are filled near their trigger price and in few pieces.",
          ("acks", "trades"), "this guide", stops),
    Check("E2", "joint_stress", "Latency, spread and shortfall do not rise together for long.",
          ("orders", "trades", "references", "acks"), "this guide", joint_stress),
)  # fmt: skip
"""The checks of this group, in their order."""
