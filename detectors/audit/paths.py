"""Checks 12, 13, 15, 18 and 19: the way a liquidation takes."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.health import TOLERANCE, health, price_at
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, merged, not_tested
from detectors.audit.tape import Evidence
from detectors.fairness.episodes import Episode, Slice
from detectors.market_data.events import Kind

TICK = 1e-4
"""A limit as a ratio becomes a price by rounding to a tick: to less than a basis point."""


class Step(NamedTuple):
    """A slice with its episode, and its number in it from 0."""

    episode: Episode
    number: int
    part: Slice


def below_maintenance(evidence: Evidence) -> Finding:
    """Check 12: no liquidation starts while the position is above maintenance."""
    if not evidence.episodes or not evidence.has(Kind.POSITION):
        return no_liquidations()
    tally = Tally()
    unknown = 0
    for episode in evidence.episodes:
        unknown += not judge_health(evidence, episode.slices[0], tally, "was liquidated")
    return judged(
        tally, what="first slices", tolerance=TOLERANCE,
        claim=stated("liquidation", evidence.claims.default.liquidation, "trigger"),
        facts={"liquidations of unknown health": unknown},
    )  # fmt: skip


def acts_in_time(evidence: Evidence) -> Finding:
    """Check 13: an account below maintenance does not wait longer than claimed."""
    if not evidence.has(Kind.POSITION, Kind.REFERENCE, Kind.MARGIN):
        return not_tested(
            "positions, references and margins", "publish them; no liquidation is needed to begin"
        )
    waits = [wait for s in evidence.symbols.values() for wait in s.waiting.waits]
    facts: dict[str, float | str] = {"waits that ended with an action": len(waits)}
    if waits:
        facts |= {
            "median wait, seconds": float(np.median(waits)),
            "longest wait, seconds": max(waits),
        }
    tally = merged(symbol.waiting.tally for symbol in evidence.symbols.values())
    claims = evidence.claims.default.liquidation
    if claims.max_open_seconds is None:
        return inferred(
            f"{tally.population:,} accounts were certainly below maintenance for a time between "
            f"two references; the longest wait for an action was {max(waits, default=0.0):.1f} s",
            population=tally.population, facts=facts, tolerance=TOLERANCE,
        )  # fmt: skip
    return judged(
        tally, what="times below maintenance", tolerance=TOLERANCE, facts=facts,
        claim=stated("liquidation", claims, "max_open_seconds"),
    )  # fmt: skip


def reduce_only(evidence: Evidence) -> Finding:
    """Check 15: every slice, and every client's reduce-only order, reduces and never flips."""
    tally = merged(symbol.client_reduce_only for symbol in evidence.symbols.values())
    facts = {"fills of clients' reduce-only orders": tally.population}
    for _, _, part in steps_of(evidence):
        if math.isnan(part.quantity):
            continue
        left = abs(part.quantity) - part.filled
        right_side = part.selling == (part.quantity > 0.0)
        if right_side and left >= -1e-9 * part.filled:
            tally.held()
            continue
        what = "flips" if right_side else "enlarges"
        story = (
            f"{'sold' if part.selling else 'bought'} {part.filled:g} of a position of "
            f"{part.quantity:g}: this {what} it"
        )
        money = (-left if right_side else part.filled) * part.price
        tally.breach(Case(part.ts_event, part.symbol, part.account, money, money, story))
    if not tally.population:
        return no_liquidations()
    return judged(tally, what="slices and reduce-only fills", facts=facts)


def cool_down(evidence: Evidence) -> Finding:
    """Check 18: two slices of a position are apart by the claimed pause, unless deep under."""
    pauses, tally = [], Tally()
    for episode in evidence.episodes:
        claims = evidence.symbols[episode.symbol].claims.liquidation
        for before, part in zip(episode.slices[:-1], episode.slices[1:], strict=True):
            pause = (part.ts_event - before.ts_event) / 1e9
            pauses.append(pause)
            if claims.pause_seconds is None or pause >= claims.pause_seconds * (1 - 1e-6):
                tally.held()
                continue
            if claims.emergency_ratio and _is_deep(evidence, part, claims.emergency_ratio):
                tally.edge()
                continue
            story = f"{pause:.3f} s after the slice before it"
            size = claims.pause_seconds - pause
            tally.breach(Case(part.ts_event, part.symbol, part.account, size, part.paid, story))
    if not pauses:
        return not_tested(
            "liquidations of two slices or more",
            "in staging, liquidate a large position by a move that one slice does not restore",
        )
    facts = {
        "shortest pause, seconds": min(pauses),
        "median pause, seconds": float(np.median(pauses)),
    }
    claims = evidence.claims.default.liquidation
    if claims.pause_seconds is None:
        sentence = (
            f"two slices are {min(pauses):.2f} s apart or more, {np.median(pauses):.2f} s at the "
            "median"
        )
        return inferred(sentence, population=len(pauses), facts=facts)
    claim = stated("liquidation", claims, "pause_seconds", "emergency_ratio")
    return judged(tally, what="pauses", claim=claim, facts=facts)


def price_protection(evidence: Evidence) -> Finding:
    """Check 19: no slice trades further from the mark price than its limit."""
    tally, worst = Tally(), 0.0
    for _, _, part in steps_of(evidence):
        mark = price_at(evidence, part)
        limit = evidence.symbols[part.symbol].claims.liquidation.price_limit
        if mark is None or math.isnan(part.worst_price):
            continue
        if part.selling:
            beyond = 1.0 - part.worst_price / mark.low
            near = 1.0 - part.worst_price / mark.near_low
        else:
            beyond = part.worst_price / mark.high - 1.0
            near = part.worst_price / mark.near_high - 1.0
        worst = max(worst, beyond)
        if limit is None or near <= limit + TICK:
            tally.held()
        elif beyond <= limit + TICK:
            tally.edge()
        else:
            money = part.filled * abs(part.worst_price - part.mid)
            story = f"traded at {part.worst_price:g}, {beyond:.2%} worse than the mark price"
            tally.breach(Case(part.ts_event, part.symbol, part.account, beyond, money, story))
    if not tally.population:
        return no_liquidations()
    claims = evidence.claims.default.liquidation
    facts = {"worst price of a slice against the mark, ratio": worst}
    if claims.price_limit is None:
        sentence = f"the worst slice traded {worst:.2%} from the mark price"
        return inferred(sentence, population=tally.population, facts=facts)
    return judged(
        tally, what="slices", facts=facts, tolerance=TOLERANCE,
        claim=stated("liquidation", claims, "price_limit"),
    )  # fmt: skip


def no_liquidations() -> Finding:
    """Return the finding of a check without liquidations."""
    return not_tested(
        "liquidations (trades with `liquidation`, or the stream liquidations) of accounts with "
        "positions",
        "in staging, open a small position at the highest leverage and move the index beyond its "
        "liquidation price",
    )


def steps_of(evidence: Evidence) -> Iterator[Step]:
    """Yield every slice with its episode and its number in it."""
    for episode in evidence.episodes:
        for number, part in enumerate(episode.slices):
            yield Step(episode, number, part)


def judge_health(evidence: Evidence, part: Slice, tally: Tally, what: str) -> bool:
    """Count whether a slice was due; False if nothing is known."""
    claims = evidence.symbols[part.symbol].claims
    basis = claims.liquidation.trigger or "mark"
    mark = price_at(evidence, part, basis)
    found = health(part, mark, claims.margin.buffer)
    if found.health == "unknown" or mark is None:
        return False
    if found.health == "below":
        tally.held()
    elif found.health == "borderline" or found.slack <= claims.insurance.tolerance:
        tally.edge()  # within the rounding of published amounts
    else:
        story = (
            f"{part.quantity:g} {what} with {found.slack:.2f} more than its maintenance margin at "
            f"the worst {basis} price, {mark.low if part.quantity > 0.0 else mark.high:.8g}"
        )
        tally.breach(Case(part.ts_event, part.symbol, part.account, found.slack, part.paid, story))
    return True


def _is_deep(evidence: Evidence, part: Slice, emergency: float) -> bool:
    """Return whether equity is certainly below ``emergency`` times the maintenance margin."""
    return health(part, price_at(evidence, part), emergency).health != "above"


CHECKS = (
    Check("12", "below_maintenance", "No liquidation starts above maintenance.",
          ("trades", "positions", "references", "margins"), "Perennial #39", below_maintenance),
    Check("13", "acts_in_time", "An account below maintenance is acted on in time.",
          ("trades", "positions", "references", "margins"), "this guide", acts_in_time),
    Check("15", "reduce_only", "Slices and reduce-only orders reduce, and never flip.",
          ("trades", "orders", "positions"), "Polymarket perpetuals, 2026", reduce_only),
    Check("18", "cool_down", "Two slices are apart by the claimed pause, unless deep under.",
          ("trades",), "percolator #300", cool_down),
    Check("19", "price_protection", "No slice trades beyond its limit of the mark price.",
          ("trades", "references"), "GMX #143; RTS 7 Art. 20(1)(a)", price_protection),
)  # fmt: skip
"""The checks of this group, in their order; 14 needs streams of `waterfall`."""
