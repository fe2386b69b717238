"""Checks 29 to 32: automatic deleveraging."""

import math

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, not_tested
from detectors.audit.tape import Evidence
from detectors.fairness.queue import Deleveraging, distance, out_of_turn, pro_rata, water_filling

_ADL_PLAN = (
    "publish both sides of each deleveraging in liquidations (method adl, the other side with the "
    "reason counterparty); in staging, empty the insurance fund and bankrupt one small account"
)


def adl_necessary(evidence: Evidence) -> Finding:
    """Check 29: nobody is deleveraged while the fund could have taken the position."""
    claims = evidence.claims.default.adl
    events = _deleveragings(evidence)
    if not events or not evidence.insurance or claims.reserve_ratio is None:
        return not_tested(
            "deleveragings, insurance, and a claimed reserve of the fund",
            f"{_ADL_PLAN}; state [adl] reserve_ratio: the fund's least equity over its positions",
            claim=stated("adl", claims, "reserve_ratio"),
        )
    tally = Tally()
    for its in events:
        free = evidence.fund_free.get((its.ts_event, its.liquidation_id), math.nan)
        loss = its.needed * abs(its.mark - its.price)
        required = loss + claims.reserve_ratio * its.needed * its.mark
        if math.isnan(free):
            continue
        # Half of it already: what the fund can bear of a step it takes, and only the rest is left.
        if free < required:
            tally.held()
            continue
        story = (
            f"{its.needed:g} deleveraged although the fund had {free:.2f} to spare; the position "
            f"needed {required:.2f}"
        )
        money = its.needed * its.mark
        tally.breach(Case(its.ts_event, its.symbol, "", money, money, story))
    return judged(
        tally, what="deleveragings", claim=stated("adl", claims, "reserve_ratio"),
        tolerance="the fund's balance, and its positions at the last mark prices",
    )  # fmt: skip


def adl_exact(evidence: Evidence) -> Finding:
    """Check 30: both sides of a deleveraging are equal, and no target is closed beyond zero."""
    events = _deleveragings(evidence)
    if not events:
        return not_tested("deleveragings", _ADL_PLAN)
    tally, at_loss, targets = Tally(), 0, 0
    for its in events:
        closed = math.fsum(its.closed.values())
        known = {one.account: one for one in its.candidates}
        wrong = [
            f"{account} lost {quantity:g} of {abs(known[account].quantity):g}"
            for account, quantity in its.closed.items()
            if account in known and quantity > abs(known[account].quantity) * (1 + 1e-9)
        ]
        targets += len(its.closed)
        at_loss += sum(
            known[account].quantity * (its.price - known[account].entry_price) < 0.0
            for account in its.closed
            if account in known
        )
        if abs(closed - its.needed) > 1e-9 * its.needed:
            wrong.append(f"{its.needed:g} left the bankrupt position, {closed:g} the other side")
        if not wrong:
            tally.held()
            continue
        story = f"{its.liquidation_id}: {'; '.join(wrong[:3])}"
        money = abs(closed - its.needed) * its.mark
        tally.breach(Case(its.ts_event, its.symbol, "", money, money, story))
    return judged(
        tally, what="deleveragings", tolerance="1e-9 of the quantity",
        facts={"targets": targets, "targets at a loss": at_loss},
    )  # fmt: skip


def adl_order(evidence: Evidence) -> Finding:
    """Check 31: the queue is that of the claimed score."""
    events, claims = _deleveragings(evidence), evidence.claims.default.adl
    if not events or claims.score is None:
        return not_tested(
            "deleveragings, and a claimed score", f"{_ADL_PLAN}; state [adl] score",
            claim=stated("adl", claims, "score"),
        )  # fmt: skip
    tally, volume, total = Tally(), 0.0, 0.0
    for its in events:
        late = out_of_turn(its, claims.score)
        closed = math.fsum(its.closed.values())
        volume, total = volume + late * its.mark, total + closed * its.mark
        if late <= claims.inversion_ratio * closed + 1e-9 * closed:
            tally.held()
            continue
        story = f"{late:g} of {closed:g} was closed of accounts whose turn it was not"
        money = late * its.mark
        tally.breach(Case(its.ts_event, its.symbol, "", money, money, story))
    return judged(
        tally, what="deleveragings", claim=stated("adl", claims, "score", "inversion_ratio"),
        tolerance="scores at the mark of the record, of published positions",
        facts={"share of volume out of turn": volume / total if total else 0.0},
    )  # fmt: skip


def adl_benchmark(evidence: Evidence) -> Finding:
    """Check 32: how far from other rules the deleveraging was (reported)."""
    events = [
        its
        for its in _deleveragings(evidence)
        if any(one.account in its.closed for one in its.candidates)
    ]
    if not events:
        return not_tested("deleveragings of published positions", _ADL_PLAN)
    weights = [its.needed * its.mark for its in events]
    total = math.fsum(weights)
    far = {
        name: math.fsum(
            weight * distance(its, rule(its)) for weight, its in zip(weights, events, strict=True)
        )
        / total
        for name, rule in (("pro rata", pro_rata), ("water-filling", water_filling))
    }
    overshoot = math.fsum(
        max(0.0, math.fsum(its.closed.values()) - its.needed) * its.mark for its in events
    )
    parts = [f"{share:.0%} away from {name}" for name, share in far.items()]
    facts: dict[str, float | str] = {f"distance to {name}": share for name, share in far.items()}
    facts |= {"notional": total, "overshoot, notional": overshoot}
    sentence = f"{len(events):,} deleveragings closed {total:,.0f}, {' and '.join(parts)}"
    return inferred(sentence, population=len(events), facts=facts)


def _deleveragings(evidence: Evidence) -> list[Deleveraging]:
    return [its for symbol in evidence.symbols.values() for its in symbol.records.deleveraged]


CHECKS = (
    Check("29", "adl_necessary", "Nobody is deleveraged while the fund can bear the position.",
          ("liquidations", "insurance", "positions"), "WhiteBIT: stages", adl_necessary),
    Check("30", "adl_exact", "Both sides are equal, and no target is closed beyond zero.",
          ("liquidations", "positions"), "percolator ADL-1 to 5; GMX #153", adl_exact),
    Check("31", "adl_order", "The queue is that of the claimed score.",
          ("liquidations", "positions"), "this guide", adl_order),
    Check("32", "adl_benchmark", "Reported: distance to pro rata and to water-filling.",
          ("liquidations", "positions"), "Campbell et al., arXiv:2603.15963", adl_benchmark),
)  # fmt: skip
"""The checks of this group, in their order."""
