"""What a rule of liquidation does to small and to large positions: an effect, and not a breach."""

import math
from typing import NamedTuple

import numpy as np

from detectors.audit.claims import LiquidationClaims, reduction
from detectors.audit.health import price_at
from detectors.audit.tape import Evidence
from detectors.fairness.episodes import Episode, needed
from detectors.risk.reduction import Reduction

LEAST = 20
"""Liquidations below which quarters of size are not compared."""

FLOOR = 0.05
"""A difference between the smallest and the largest quarter below this share is not worth words."""


class Closed(NamedTuple):
    """What was closed of a position, and what would have sufficed, both as a share of it."""

    size: float
    taken: float
    needed: float


def closed(evidence: Evidence) -> list[Closed]:
    """Return each liquidation of a known position; what sufficed, at its worst mark price."""
    found = []
    for episode in evidence.episodes:
        need = _needed_ratio(evidence, episode)
        if math.isfinite(need) and math.isfinite(episode.taken_ratio):
            size = episode.first_quantity * episode.slices[0].price
            found.append(Closed(size, min(1.0, episode.taken_ratio), need))
    return found


def effect(evidence: Evidence) -> tuple[str, dict[str, float | str]]:
    """Return a sentence on the smallest and the largest quarter, and the numbers of all quarters.

    The sentence is empty if there are too few liquidations, or hardly a difference.
    """
    closes_whole = any(
        its.claims.liquidation.whole_below or its.claims.liquidation.whole_below_quantity
        for its in evidence.symbols.values()
    )
    cause = _cause(evidence.claims.default.liquidation, closes_whole=closes_whole)
    return compared(closed(evidence), cause)


def compared(rows: list[Closed], cause: str) -> tuple[str, dict[str, float | str]]:
    """Return the same of rows; ``cause`` ends the sentence.

    >>> rows = [Closed(size, 1.0, 0.6 if size < 6 else 1.0) for size in range(1, 21)]
    >>> compared(rows, "why")[0].partition(" would")[0]
    'the smallest quarter of positions was closed by 100% where 60%'
    >>> compared([Closed(size, 0.5, 0.5) for size in range(20)], "why")[0]
    ''
    """
    if len(rows) < LEAST:
        return "", {}
    facts: dict[str, float | str] = {}
    means = []
    for name, part in zip(
        ("smallest", "second", "third", "largest"),
        np.array_split(np.array(sorted(rows)), 4), strict=True,
    ):  # fmt: skip
        taken, need = float(part[:, 1].mean()), float(part[:, 2].mean())
        means.append((taken, need))
        facts[f"closed of the position, {name} quarter"] = taken
        facts[f"would have sufficed, {name} quarter"] = need
    (small, small_need), (large, large_need) = means[0], means[-1]
    if abs((small - small_need) - (large - large_need)) < FLOOR:
        return "", facts
    sentence = (
        f"the smallest quarter of positions was closed by {small:.0%} where {small_need:.0%} would "
        f"have sufficed, the largest by {large:.0%} where {large_need:.0%} would have: {cause}"
    )
    return sentence, facts


def _cause(claims: LiquidationClaims, *, closes_whole: bool) -> str:
    """Say what makes the difference."""
    if claims.strategy is None:
        return "whether this is the rule, no claim says"
    rules = {
        "full": "every position is closed whole",
        "sufficient": "no more is closed than restores the position",
        "steps": f"positions are closed in steps of {claims.share:.0%}"
        + (", and small ones whole" if closes_whole else ""),
    }
    return (
        f"an effect of the claimed rule that {rules[claims.strategy]}; not a breach of it (check "
        "11 judges whether it is kept)"
    )


def _needed_ratio(evidence: Evidence, episode: Episode) -> float:
    """Return what would have restored the position at the worst mark of its liquidation."""
    first = episode.slices[0]
    claims = evidence.symbols[episode.symbol].claims.liquidation
    rule = reduction(claims) or Reduction("sufficient")
    rule = rule._replace(kind="sufficient", fee_ratio=claims.fee or 0.0)
    marks = [price_at(evidence, part) for part in episode.slices]
    known = [mark for mark in marks if mark is not None]
    if first.tiers is None or not known or math.isnan(first.quantity) or not first.quantity:
        return math.nan
    if first.quantity > 0.0:
        worst = min(mark.near_low for mark in known)
    else:
        worst = max(mark.near_high for mark in known)
    return min(1.0, needed(first, first.tiers, rule, worst) / abs(first.quantity))
