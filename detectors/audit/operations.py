"""Checks 25, 36 and 40: how the venue runs."""

import math

import numpy as np

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, merged, not_tested
from detectors.audit.paths import no_liquidations, steps_of
from detectors.audit.symbol_tape import HALTED
from detectors.audit.tape import Evidence
from detectors.market_data.events import Kind


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
    tally, highest = merged(s.fields.funding_resets for s in evidence.symbols.values()), 0.0
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


CHECKS = (
    Check("25", "halts", "Nothing is liquidated in a halt, nor within the grace after it.",
          ("statuses", "trades"), "Flatmoney #210; OKX", halts),
    Check("36", "funding", "Funding rates are within their cap; no funding index is reset.",
          ("references", "positions"), "Paradex, 19 Jan 2026", funding),
    Check("40", "prints", "Trades show all that liquidations closed.",
          ("trades", "liquidations"), "this guide", prints),
)  # fmt: skip
"""The checks of the testing guide in this group."""
