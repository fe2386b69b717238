"""Checks 25 and 36 to 40, and those of margins and fees: how the venue runs."""

import math

import numpy as np

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, merged, not_tested
from detectors.audit.paths import no_liquidations, steps_of
from detectors.audit.symbol_tape import HALTED
from detectors.audit.tape import Evidence
from detectors.market_data.events import Kind

_ACKS = "acknowledgements of orders (received, accepted, rejected with a reason)"


def halts(evidence: Evidence) -> Finding:
    """Check 25: nothing is liquidated in a halt, nor soon after it."""
    claims = evidence.claims.default.liquidation
    if not evidence.has(Kind.STATUS):
        return not_tested(
            "statuses", "publish trading states; in staging, halt a symbol for a minute while an "
            "account is below maintenance", claim=stated("liquidation", claims,
            "resume_grace_seconds"),
        )  # fmt: skip
    grace = (claims.resume_grace_seconds or 0.0) * 1e9
    tally = Tally()
    for _, _, part in steps_of(evidence):
        states = evidence.symbols[part.symbol].states
        before = [entry for entry in states if entry[0] <= part.ts_event]
        at, state, until = before[-1] if before else (0, "open", 0)
        resumed = min(until, part.ts_event) if state in HALTED else at
        is_halted = state in HALTED and part.ts_event < until
        was_halted = len(before) > 1 and before[-2][1] in HALTED and state not in HALTED
        soon = (was_halted or (state in HALTED and not is_halted)) and (
            part.ts_event - resumed < grace
        )
        if not is_halted and not soon:
            tally.held()
            continue
        what = "in a halt" if is_halted else f"{(part.ts_event - resumed) / 1e9:.1f} s after a halt"
        story = f"closed {part.filled:g} {what}"
        tally.breach(Case(part.ts_event, part.symbol, part.account, part.paid, part.paid, story))
    if not tally.population:
        return no_liquidations()
    return judged(tally, what="slices", claim=stated("liquidation", claims, "resume_grace_seconds"))


def funding(evidence: Evidence) -> Finding:
    """Check 36: the funding rate is within its cap, and no account's funding index is reset."""
    claims = evidence.claims.default.funding
    tally, highest = merged(s.funding_resets for s in evidence.symbols.values()), 0.0
    for symbol in evidence.symbols.values():
        rates = symbol.references.column("funding")
        known = np.flatnonzero(np.isfinite(rates))
        if not len(known):
            continue
        highest = max(highest, float(np.abs(rates[known]).max()))
        cap = symbol.claims.funding.cap
        if cap is None:
            continue
        beyond = known[np.abs(rates[known]) > cap * (1 + 1e-9)]
        tally.held(len(known) - len(beyond))
        for place in beyond.tolist():
            story = f"funding rate {rates[place]:.4%}; the cap is {cap:.4%}"
            at = symbol.references.ts_event[place]
            tally.breach(Case(at, symbol.symbol, "", abs(float(rates[place])), 0.0, story))
    facts = {"largest funding rate, ratio": highest}
    if not tally.population:
        if highest == 0.0:
            return not_tested("funding rates", "publish them with the references")
        return inferred(f"the largest funding rate was {highest:.4%}", facts=facts)
    return judged(
        tally, what="rates and funding indices", claim=stated("funding", claims, "cap"),
        facts=facts,
    )  # fmt: skip


def rejects(_: Evidence) -> Finding:
    """Check 37: limits of orders a second bind all classes alike, and cancels never."""
    return not_tested(
        _ACKS,
        "publish them; in staging, send twice the limit from a maker's and a client's session, and "
        "cancels beside it",
    )


def latency(_: Evidence) -> Finding:
    """Check 38: acknowledgements are not much slower under stress."""
    return not_tested(
        _ACKS, "publish them; in staging, compare the 99 % quantile in calm and in a simulated rush"
    )


def reaction(_: Evidence) -> Finding:
    """Check 39: a halt follows its cause within five seconds, and cancels stay possible."""
    return not_tested(
        "acknowledgements of orders, and causes of halts",
        "publish them; in staging, trip the kill switch and cancel a resting order",
    )


def prints(evidence: Evidence) -> Finding:
    """Check 40: the trades show all that the liquidations closed."""
    tally = merged(symbol.records.prints for symbol in evidence.symbols.values())
    if not evidence.has(Kind.LIQUIDATION):
        return not_tested(
            "liquidations", "publish them beside the trades; one liquidation is enough"
        )
    shown = math.fsum(
        part.filled for _, _, part in steps_of(evidence) if part.method in ("", "book")
    )
    unstated = sum(not part.method for _, _, part in steps_of(evidence))
    return judged(
        tally, what="slices in the book", tolerance="1e-9 of the quantity",
        facts={"quantity in trades": shown, "slices without a record": unstated},
    )  # fmt: skip


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
    tally = merged(symbol.leverages for symbol in evidence.symbols.values())
    if not tally.population:
        return not_tested("positions with leverage, and margins with max_leverage", "publish both")
    return judged(tally, what="position records")


def fee_below_maintenance(evidence: Evidence) -> Finding:
    """The fee of a forced sale is below the lowest maintenance rate: nobody is bankrupt by it."""
    fee = evidence.claims.default.liquidation.fee
    if fee is None:
        return not_tested("claimed fee", "state [liquidation] fee")
    tally = Tally()
    for symbol in evidence.symbols.values():
        contract = symbol.schedule.contract
        if contract is None:
            continue
        rate = contract.tiers.rates[0]
        if fee < rate:
            tally.held()
        else:
            story = f"fee {fee:.4%}, lowest maintenance rate {rate:.4%}"
            tally.breach(Case(evidence.last_ns, symbol.symbol, "", fee / rate, 0.0, story))
    claim = stated("liquidation", evidence.claims.default.liquidation, "fee")
    return judged(tally, what="symbols", claim=claim)


CHECKS = (
    Check("25", "halts", "Nothing is liquidated in a halt, nor within the grace after it.",
          ("statuses", "trades"), "Flatmoney #210; OKX", halts),
    Check("36", "funding", "Funding rates are within their cap; no funding index is reset.",
          ("references", "positions"), "Paradex, 19 Jan 2026", funding),
    Check("37", "rejects", "Rate limits bind all classes alike, and cancels never.", ("acks",),
          "RTS 7 Art. 18(1)(a), (3)(g)", rejects),
    Check("38", "latency", "Acknowledgements are not much slower under stress.", ("acks",),
          "this guide", latency),
    Check("39", "reaction", "A halt follows its cause within 5 s; cancels stay possible.",
          ("statuses", "acks"), "RTS 7 Art. 12(3), 18, 20(2)(b)", reaction),
    Check("40", "prints", "Trades show all that liquidations closed.",
          ("trades", "liquidations"), "this guide", prints),
)  # fmt: skip
"""The checks of the testing guide in this group."""

BESIDE = (
    Check("M1", "tiers", "The published tiers are those that are claimed.", ("margins",),
          "this guide", tiers),
    Check("M2", "leverage", "No position has a leverage above the maximum.",
          ("positions", "margins"), "this guide", leverage),
    Check("M3", "fee_below_maintenance", "The fee of a forced sale is below every maintenance "
          "rate.", ("margins",), "this guide", fee_below_maintenance),
)  # fmt: skip
"""Checks beside those of the testing guide."""
