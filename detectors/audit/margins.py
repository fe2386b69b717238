"""Checks of margins beside the testing guide: the initial margin, reductions, and the tiers."""

import math

import numpy as np

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, merged, not_tested
from detectors.audit.paths import steps_of
from detectors.audit.tape import Evidence
from detectors.market_data.events import Kind
from detectors.risk.tiers import maintenance

REQUIREMENT_TOLERANCE = 1e-4
"""Of a stated requirement, relative: its mark price is rounded to a tick."""


def initial_margin(evidence: Evidence) -> Finding:
    """No order is accepted that leaves its account below the initial margin."""
    claims = evidence.claims.default.margin
    tally = merged(symbol.requirements.initial for symbol in evidence.symbols.values())
    if not tally.population:
        return not_tested(
            "isolated positions that grow by orders of their accounts, and margins with an initial "
            "rate or the highest leverage",
            "publish them; in staging, send an order for a little more than the margin allows",
        )
    tolerance = "the entry price, the mid price, and all marks that may have held"
    if not claims.initial_enforced:
        return inferred(
            f"{tally.breaches:,} of {tally.population:,} orders left an account below its initial "
            "margin", population=tally.population, cases=tally.worst(), money=tally.money,
            tolerance=tolerance,
        )  # fmt: skip
    return judged(
        tally, what="orders that traded at once and enlarged a position", tolerance=tolerance,
        claim=stated("margin", claims, "initial_enforced"),
    )  # fmt: skip


def reductions(evidence: Evidence) -> Finding:
    """Reducing a position is always possible, and never brings its liquidation nearer."""
    refused = merged(symbol.gate.reductions for symbol in evidence.symbols.values())
    nearer = merged(symbol.requirements.reduced for symbol in evidence.symbols.values())
    facts: dict[str, float | str] = {
        "reductions with an acknowledgement": refused.population,
        "position records of reductions": nearer.population,
    }
    tally = merged((refused, nearer))
    if not tally.population:
        return not_tested(
            "isolated positions that their accounts reduce, or acknowledgements of such orders",
            "publish positions with margins; in staging, reduce a losing position by half",
        )
    return judged(
        tally, what="reductions", facts=facts, tolerance="1 bp of the entry price",
    )  # fmt: skip


def requirements(evidence: Evidence) -> Finding:
    """Tiers rise, and the requirement that is applied is continuous at their bounds."""
    tally = Tally()
    for problem in evidence.unordered:
        tally.breach(Case(evidence.first_ns, "", "", 1.0, 0.0, f"a margin record: {problem}"))
    published = 0
    for symbol in evidence.symbols.values():
        margin = symbol.schedule.in_force
        if margin is not None and margin.tiers is not None:
            published += 1
            tally.held()  # tiers that do not rise are among those that were left out
    compared = 0
    for _, _, part in steps_of(evidence):
        known = (part.quantity, part.mark_price, part.maintenance, part.margin)
        if part.tiers is None or not all(map(math.isfinite, known)):
            continue
        compared += 1
        notional = abs(part.quantity) * part.mark_price
        required = float(maintenance(part.tiers, np.array([notional]))[0])
        excess = part.maintenance - required
        if abs(excess) <= REQUIREMENT_TOLERANCE * required:
            tally.held()
            continue
        story = (
            f"{part.maintenance:.2f} were required of a notional of {notional:.2f}; its tiers give "
            f"{required:.2f}"
        )
        money = abs(excess)
        tally.breach(Case(part.ts_event, part.symbol, part.account, money, money, story))
    if not tally.population:
        return not_tested(
            "margins with tiers, or liquidations with mark_price and maintenance_before",
            "publish them; in staging, compare the requirement just below and above a bound",
        )
    facts: dict[str, float | str] = {
        "symbols with tiers": published, "requirements compared": compared,
    }  # fmt: skip
    return judged(tally, what="tier lists and requirements", facts=facts, tolerance="1e-4")


def tiers(evidence: Evidence) -> Finding:
    """The maintenance tiers are those that are claimed."""
    claimed = evidence.claims.default.margin.tiers
    if claimed is None or not evidence.has(Kind.MARGIN):
        return not_tested(
            "claimed tiers, or margins", "state [margin] tiers, and publish the margins"
        )
    tally = Tally()
    for symbol in evidence.symbols.values():
        margin, expected = symbol.schedule.in_force, symbol.claims.margin.tiers
        if margin is None or margin.tiers is None or expected is None:
            continue
        same = [(t.up_to_notional, t.maintenance_rate) for t in margin.tiers] == [
            (t.up_to_notional, t.maintenance_rate) for t in expected
        ]
        if same:
            tally.held()
        else:
            story = "the published tiers are not the claimed ones"
            tally.breach(Case(margin.ts_event, symbol.symbol, "", 1.0, 0.0, story))
    return judged(tally, what="symbols with tiers", claim=stated("margin", evidence.claims.default
                  .margin, "buffer"))  # fmt: skip


def leverage(evidence: Evidence) -> Finding:
    """No position has a leverage setting above the symbol's maximum."""
    tally = merged(symbol.fields.leverages for symbol in evidence.symbols.values())
    if not tally.population:
        return not_tested("positions with leverage, and margins with max_leverage", "publish both")
    return judged(tally, what="position records")


CHECKS = (
    Check("M1", "tiers", "The published tiers are those that are claimed.", ("margins",),
          "this guide", tiers),
    Check("M2", "leverage", "No position has a leverage above the maximum.",
          ("positions", "margins"), "this guide", leverage),
    Check("M4", "initial_margin", "No order is accepted that leaves its account below the initial "
          "margin.", ("trades", "orders", "positions", "margins", "references"), "this guide",
          initial_margin),
    Check("M5", "reductions", "Reducing is always possible and never brings liquidation nearer.",
          ("positions", "margins", "acks"), "this guide", reductions),
    Check("M6", "requirements", "Tiers rise, and requirements are continuous at their bounds.",
          ("margins", "liquidations"), "this guide", requirements),
)  # fmt: skip
"""The checks of this group, in their order."""
