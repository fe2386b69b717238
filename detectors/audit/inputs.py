"""Checks 5 and 6: what the prices are made of, and how old they may be."""

import numpy as np

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, merged, not_tested
from detectors.audit.paths import no_liquidations
from detectors.audit.tape import Evidence
from detectors.market_data.events import Kind


def single_source(evidence: Evidence) -> Finding:
    """Check 5: no single index source moves the mark price far."""
    claims = evidence.claims.default.mark
    tally = merged(symbol.sources.tally for symbol in evidence.symbols.values())
    claim = stated("mark", claims, "source_shift_bps")
    if not tally.population:
        return not_tested(
            "index sources in the references",
            "publish name, price and weight of each index source; then move one source of a "
            "staging index by 1 % for 10 s and watch the mark price", claim=claim,
        )  # fmt: skip
    worst = max(
        (symbol.sources for symbol in evidence.symbols.values()), key=lambda its: its.largest_bps
    )
    facts: dict[str, float | str] = {
        "largest shift by a source, bps": worst.largest_bps,
        "its name": worst.name,
        "references whose index is neither mean nor median of its sources": sum(
            symbol.sources.unexplained for symbol in evidence.symbols.values()
        ),
        "oldest source, seconds": max(
            symbol.sources.oldest_seconds for symbol in evidence.symbols.values()
        ),
    }
    if claims.source_shift_bps is None:
        return inferred(
            f"source {worst.name} moved the index by up to {worst.largest_bps:.2f} bps",
            population=tally.population, facts=facts,
        )  # fmt: skip
    return judged(tally, what="references with sources", claim=claim, facts=facts)


def staleness(evidence: Evidence) -> Finding:
    """Check 6: nothing is liquidated on an old reference."""
    if not evidence.has(Kind.REFERENCE) or not evidence.episodes:
        return no_liquidations()
    tally, oldest, flagged = Tally(), 0.0, 0
    claim = evidence.claims.default.mark.stale_seconds
    for episode in evidence.episodes:
        symbol = evidence.symbols[episode.symbol]
        times = symbol.references.times()
        limit = symbol.claims.mark.stale_seconds
        flagged += any(symbol.references.stale)
        for part in episode.slices:
            place = int(np.searchsorted(times, part.ts_event, side="right")) - 1
            if place < 0:
                continue
            age = (part.ts_event - int(times[place])) / 1e9
            oldest = max(oldest, age)
            is_flagged = bool(symbol.references.stale[place])
            if not is_flagged and (limit is None or age <= limit):
                tally.held()
                continue
            what = "was marked as stale" if is_flagged else f"was {age:.1f} s old"
            story = f"closed {part.filled:g} when the last reference {what}"
            tally.breach(Case(part.ts_event, part.symbol, part.account, age, part.paid, story))
    facts: dict[str, float | str] = {"oldest reference at a slice, seconds": oldest}
    if claim is None and not flagged:
        return inferred(
            f"the oldest reference at a slice was {oldest:.1f} s old",
            population=tally.population, facts=facts,
        )  # fmt: skip
    stated_as = stated("mark", evidence.claims.default.mark, "stale_seconds")
    return judged(tally, what="slices", claim=stated_as, facts=facts)


CHECKS = (
    Check("5", "single_source", "No single index source moves the mark price beyond its limit.",
          ("references with index sources",), "JELLY, Hyperliquid, 26 Mar 2025", single_source),
    Check("6", "staleness", "Nothing is liquidated on a reference older than its limit.",
          ("references", "trades"), "percolator #422; exactly/protocol #794", staleness),
)  # fmt: skip
"""The checks of this group, in their order."""
