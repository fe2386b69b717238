"""Checks 11, 16 and 17: how much of a position is closed."""

import math
from collections import defaultdict

import numpy as np
from msgspec import structs

from detectors.audit.check import Check
from detectors.audit.claims import LiquidationClaims, reduction, stated
from detectors.audit.disparity import effect
from detectors.audit.health import TOLERANCE, price_at
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, not_tested
from detectors.audit.paths import Step, judge_health, no_liquidations, steps_of
from detectors.audit.tape import Evidence
from detectors.fairness.episodes import Episode, needed
from detectors.market_data.events import Kind
from detectors.risk.reduction import Reduction

SIZE_TOLERANCE = 0.01
"""Of a requested quantity against the claimed one, as a ratio; and one smallest trade."""

WHOLE_BAND = 0.05
"""Around the limit below which positions are closed whole, where both sizes are accepted."""


def strategy(evidence: Evidence) -> Finding:
    """Check 11: each slice has the size that the claimed strategy gives."""
    steps = [step for step in steps_of(evidence) if math.isfinite(step.part.requested)]
    if not steps:
        return no_liquidations()
    facts = _habits(evidence.episodes)
    claims = evidence.claims.default.liquidation
    if claims.strategy is None:
        return inferred(_habit(facts), population=len(steps), facts=facts)
    tally = Tally()
    for step in steps:
        symbol = evidence.symbols[step.part.symbol]
        mark = price_at(evidence, step.part)
        if mark is None or math.isnan(step.part.quantity):
            continue
        start = symbol.records.starts.get(step.part.liquidation_id)
        first = start.quantity_requested if start is not None else None
        sizes = _claimed_sizes(step, symbol.claims.liquidation, (mark.low, mark.high), first)
        least = symbol.least_quantity
        close = [_close(step.part.requested, low, high, least) for low, high in sizes]
        if close and close[0]:
            tally.held()
        elif any(close):
            tally.edge()
        else:
            low, high = sizes[0]
            off = min(abs(step.part.requested - low), abs(step.part.requested - high))
            story = (
                f"slice {step.number + 1} asks for {step.part.requested:g} of a position of "
                f"{step.part.quantity:g}; the claim gives {low:g}"
                + (f" to {high:g}" if high > low * (1 + SIZE_TOLERANCE) else "")
            )
            money = off * mark.near_high
            tally.breach(
                Case(step.part.ts_event, step.part.symbol, step.part.account, money, money, story)
            )
    claim = stated(
        "liquidation", claims, "strategy", "share", "whole_below", "whole_below_quantity"
    )
    return judged(
        tally, what="slices", claim=claim, facts=facts,
        tolerance="1 % and one smallest trade; 5 % around the limit of whole positions",
    )  # fmt: skip


def sufficiency(evidence: Evidence) -> Finding:
    """Check 16: no more is taken than the claim allows, and nothing once it is restored."""
    if not evidence.episodes or not evidence.has(Kind.POSITION, Kind.REFERENCE):
        return no_liquidations()
    claims = evidence.claims.default.liquidation
    tally, excess = Tally(), []
    for episode in evidence.episodes:
        over = _over_ratio(evidence, episode)
        if math.isfinite(over):
            excess.append((episode.first_quantity, over))
        for part in episode.slices[1:]:
            judge_health(evidence, part, tally, "was reduced again")
    facts: dict[str, float | str] = {}
    if excess:
        facts = _by_size(excess)
    words, quarters = effect(evidence)
    facts |= quarters
    has_limit = claims.over_median_ratio is not None or claims.over_p95_ratio is not None
    if excess and has_limit:
        _judge_quantiles(evidence, [over for _, over in excess], tally)
    if claims.strategy is None and not has_limit:
        return inferred(
            words or "excess over the sufficient reduction, by size, is among the facts",
            population=len(excess), facts=facts, tolerance=TOLERANCE,
        )  # fmt: skip
    found = judged(
        tally, what="later slices", facts=facts, tolerance=TOLERANCE,
        claim=stated("liquidation", claims, "strategy", "over_median_ratio", "over_p95_ratio"),
    )  # fmt: skip
    return structs.replace(found, sentence=f"{found.sentence}; {words}") if words else found


def really_partial(evidence: Evidence) -> Finding:
    """Check 17: where partial liquidation is claimed, a part of the position is left."""
    shares: list[tuple[float, float]] = []
    is_partial: list[bool] = []
    tally = Tally()
    for episode in evidence.episodes:
        claims = evidence.symbols[episode.symbol].claims.liquidation
        mark = price_at(evidence, episode.slices[0])
        if mark is None or math.isnan(episode.first_quantity):
            continue
        limit = _whole_limit(claims, mark.low)
        if episode.first_quantity > limit * (1 + WHOLE_BAND):
            left = max(0.0, 1.0 - episode.taken_ratio)
            shares.append((episode.first_quantity * mark.low, left))
            is_partial.append(left > 1e-9 and not _asks_for_all(episode))
            if is_partial[-1]:
                tally.held()
                continue
            story = "an eligible position was closed whole, or as far as the book reached"
            tally.breach(Case(episode.ts_event, episode.symbol, episode.account, episode.notional,
                              episode.notional, story))  # fmt: skip
    if not shares:
        return not_tested(
            "liquidations of positions above the limit of whole ones",
            "in staging, liquidate one position well above the limit by a small move of the index",
        )
    partial = sum(is_partial)
    facts: dict[str, float | str] = {"partial": partial / len(shares)}
    facts |= _by_size(shares, "left of the position")
    claims = evidence.claims.default.liquidation
    sentence = f"{partial:,} of {len(shares):,} eligible liquidations left a part of the position"
    if claims.partial_ratio is None:
        return inferred(sentence, population=len(shares), facts=facts)
    return judged(
        tally, what="eligible liquidations", facts=facts, allowed_ratio=1.0 - claims.partial_ratio,
        claim=stated("liquidation", claims, "partial_ratio"),
    )  # fmt: skip


def _asks_for_all(episode: Episode) -> bool:
    """Return whether a slice asked for all that was left: then the book decided what remained."""
    return any(its.requested >= abs(its.quantity) * (1 - 1e-9) for its in episode.slices)


def _claimed_sizes(
    step: Step,
    claims: LiquidationClaims,
    marks: tuple[float, float],
    first: float | None = None,
) -> list[tuple[float, float]]:
    """Return the quantities that the claim may give, the plain reading first.

    ``first`` is the size at the beginning, if the venue's record of it states one.

    A liquidation that ended and began again within ten seconds looks like one: the sizes at its
    later actions come after that at the first.
    """
    held = abs(step.part.quantity)
    if claims.strategy == "full":
        return [(held, held)]
    rule = reduction(claims)
    assert rule is not None
    sizes = []
    if claims.strategy == "sufficient":
        tiers = step.part.tiers
        if tiers is None:
            return []
        both = sorted(needed(step.part, tiers, rule, mark) for mark in marks)
        limit = _whole_limit(claims, marks[0])
        return [(held, held) if held <= limit else (both[0], both[1])]
    earlier = step.episode.slices[: step.number + 1]
    stated_first = [] if first is None else [abs(first)]
    bases = [*stated_first, *step.part.served_sizes, *(abs(part.quantity) for part in earlier)]
    for before in dict.fromkeys(bases):
        if math.isnan(before):
            continue
        limit = _whole_limit(claims, marks[0])
        whole, part = min(before, held), min(rule.step_ratio * before, held)
        if before <= limit * (1 - WHOLE_BAND):
            sizes.append((whole, whole))
        elif before > limit * (1 + WHOLE_BAND):
            sizes.append((part, part))
        else:
            sizes += [(whole, whole), (part, part)]
    return sizes


def _close(requested: float, low: float, high: float, least: float) -> bool:
    slack = least * (1 + 1e-9)
    return low * (1 - SIZE_TOLERANCE) - slack <= requested <= high * (1 + SIZE_TOLERANCE) + slack


def _over_ratio(evidence: Evidence, episode: Episode) -> float:
    """Return what was taken beyond the sufficient reductions, over the first size."""
    claims = evidence.symbols[episode.symbol].claims.liquidation
    rule = reduction(claims) or Reduction("sufficient")
    rule = rule._replace(kind="sufficient", fee_ratio=claims.fee or 0.0)
    over = 0.0
    for part in episode.slices:
        mark = price_at(evidence, part)
        if mark is None or part.tiers is None or math.isnan(part.quantity):
            return math.nan
        worst = mark.near_low if part.quantity > 0.0 else mark.near_high
        need = needed(part, part.tiers, rule, worst)
        if not math.isnan(need):
            over += max(0.0, part.filled - need)
    return over / episode.first_quantity


def _judge_quantiles(evidence: Evidence, excess: list[float], tally: Tally) -> None:
    claims = evidence.claims.default.liquidation
    for name, share, limit in (
        ("median", 0.5, claims.over_median_ratio),
        ("95 % quantile", 0.95, claims.over_p95_ratio),
    ):
        if limit is None:
            continue
        value = float(np.quantile(excess, share))
        if value <= limit:
            tally.held()
        else:
            story = f"the {name} of the excess is {value:.3f} of the position; claimed {limit:g}"
            tally.breach(Case(evidence.last_ns, "*", "", value - limit, 0.0, story))


def _by_size(
    pairs: list[tuple[float, float]], what: str = "excess over sufficient"
) -> dict[str, float | str]:
    """Return the means of a value by quarter of size; two numbers or more."""
    ordered = np.array([value for _, value in sorted(pairs)])
    quarters = np.array_split(ordered, 4) if len(ordered) >= 4 else [ordered]
    names = ("smallest quarter", "second quarter", "third quarter", "largest quarter")
    return {
        f"{what}, {name if len(quarters) == 4 else 'all'}": float(part.mean())
        for name, part in zip(names, quarters, strict=False)
    }


def _habits(episodes: list[Episode]) -> dict[str, float | str]:
    """Return how the venue closes: share of the first slice, share of whole closings, pause."""
    first = [
        e.slices[0].requested / e.first_quantity
        for e in episodes
        if math.isfinite(e.slices[0].requested) and e.first_quantity > 0.0
    ]
    pauses = [
        (after.ts_event - before.ts_event) / 1e9
        for episode in episodes
        for before, after in zip(episode.slices[:-1], episode.slices[1:], strict=True)
    ]
    parts: dict[float, int] = defaultdict(int)
    for share in first:
        parts[round(share, 2)] += 1
    common = max(parts, key=lambda share: parts[share], default=math.nan)
    stepped = [share for share in first if share < 0.999]
    facts: dict[str, float | str] = {
        "liquidations": len(episodes),
        "share of whole first slices": 1.0 - len(stepped) / len(first) if first else math.nan,
        "most common first share": common,
    }
    if stepped:
        facts["median share of partial first slices"] = float(np.median(stepped))
    if pauses:
        facts["median pause, seconds"] = float(np.median(pauses))
    return facts


def _habit(facts: dict[str, float | str]) -> str:
    whole = facts["share of whole first slices"]
    text = f"{whole:.0%} of liquidations begin with the whole position"
    if "median share of partial first slices" in facts:
        share = facts["median share of partial first slices"]
        text += f", the others with {share:.0%} of it (median)"
    return text


def _whole_limit(claims: LiquidationClaims, mark: float) -> float:
    """Return the quantity up to which a position is closed whole."""
    if claims.strategy == "full":
        return math.inf
    return max(claims.whole_below / mark, claims.whole_below_quantity)


CHECKS = (
    Check("11", "strategy", "Each slice has the size that the claimed strategy gives.",
          ("trades", "orders", "positions", "references"),
          "Hyperliquid, Liquidations: steps of 20 %", strategy),
    Check("16", "sufficiency", "No more is taken than claimed, and nothing once it is restored.",
          ("trades", "positions", "references", "margins"),
          "Chitra, arXiv:2512.01112; Drift; mango-v4 #440", sufficiency),
    Check("17", "really_partial", "Eligible liquidations leave a part of the position.",
          ("trades", "positions"), "Sentiment #294", really_partial),
)  # fmt: skip
"""The checks of this group, in their order."""
