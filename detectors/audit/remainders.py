"""Checks of liquidations beside the testing guide: steps against depth, and what is left."""

import math

import numpy as np

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged
from detectors.audit.paths import no_liquidations, steps_of
from detectors.audit.tape import Evidence


def step_against_depth(evidence: Evidence) -> Finding:
    """A slice asks for no more of the visible depth than is claimed."""
    claims = evidence.claims.default.liquidation
    tally, shares = Tally(), []
    for _, _, part in steps_of(evidence):
        asked = part.requested if math.isfinite(part.requested) else part.filled
        if math.isnan(part.depth) or not asked:
            continue
        share = asked / part.depth if part.depth else math.inf
        shares.append(share)
        limit = evidence.symbols[part.symbol].claims.liquidation.depth_ratio
        if limit is None or share <= limit * (1 + 1e-9):
            tally.held()
            continue
        story = f"asked for {asked:g} when the book had {part.depth:g} within 1 % of the mid price"
        size = min(share, 1e9)
        tally.breach(Case(part.ts_event, part.symbol, part.account, size, part.paid, story))
    if not shares:
        return no_liquidations()
    known = np.minimum(np.array(shares), 1e9)
    facts: dict[str, float | str] = {
        "share of the depth, median": float(np.median(known)),
        "share of the depth, 95 %": float(np.quantile(known, 0.95)),
        "slices that asked for more than the book had": float((known > 1.0).sum()),
    }
    if claims.depth_ratio is None:
        return inferred(
            f"a slice asked for {np.median(known):.1%} of the depth within 1 % at the median; "
            f"{int((known > 1.0).sum()):,} of {len(known):,} asked for more than the book had",
            population=len(known), facts=facts,
        )  # fmt: skip
    return judged(
        tally, what="slices", facts=facts, claim=stated("liquidation", claims, "depth_ratio")
    )


def stuck_remainders(evidence: Evidence) -> Finding:
    """No liquidation leaves a part that is too small to be traded."""
    tally = Tally()
    for episode in evidence.episodes:
        symbol, last = evidence.symbols[episode.symbol], episode.slices[-1]
        left = abs(last.quantity) - last.filled
        if math.isnan(left):
            continue
        smallest = symbol.claims.liquidation.smallest_quantity or symbol.least_quantity
        # What is smaller than the rounding of the quantities is nothing.
        if left <= 1e-9 * abs(last.quantity) or left >= smallest * (1 - 1e-9):
            tally.held()
            continue
        held = symbol.holdings.held.get(episode.account)
        still = abs(held.quantity) if held is not None else 0.0
        if not 0.0 < still < smallest * (1 - 1e-9):
            tally.held()  # it went on: the account added to it, or the venue took it over
            continue
        story = f"left {still:g} of {episode.first_quantity:g}; the smallest trade is {smallest:g}"
        money = still * last.price
        tally.breach(Case(last.ts_event, episode.symbol, episode.account, still, money, story))
    if not tally.population:
        return no_liquidations()
    claims = evidence.claims.default.liquidation
    return judged(
        tally, what="liquidations", claim=stated("liquidation", claims, "smallest_quantity")
    )


CHECKS = (
    Check("L1", "step_against_depth", "A slice asks for no more of the depth than is claimed.",
          ("trades", "orders"), "this guide", step_against_depth),
    Check("L2", "stuck_remainders", "No liquidation leaves a part that is too small to trade.",
          ("trades", "positions"), "this guide", stuck_remainders),
)  # fmt: skip
"""The checks of this group, in their order."""
