"""The checks of the feed itself: what is wrong here may be wrong everywhere."""

import math
from heapq import nlargest

import numpy as np

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, merged, not_tested
from detectors.audit.tape import Evidence
from detectors.market_data.events import Kind

MINUTE_NS = 60_000_000_000

BUSIEST_MINUTES = 5
"""So many minutes with most trades are held against calm."""


def sequence_gaps(evidence: Evidence) -> Finding:
    """No event is missing from the numbering of a symbol."""
    numberings = [symbol.numbering for symbol in evidence.symbols.values()]
    claims = evidence.claims.default.feed
    consecutive = [its for its in numberings if its.is_consecutive]
    tested = numberings if claims.numbered else consecutive
    tally = merged(its.gaps for its in tested)
    if not tally.population or claims.numbered is False:
        return not_tested(
            "consecutive sequence numbers", "number the events of each symbol, all streams together"
        )
    facts = {"missing numbers": sum(its.missing for its in tested)}
    return judged(tally, what="events", claim=stated("feed", claims, "numbered"), facts=facts)


def repeats(evidence: Evidence) -> Finding:
    """No event comes twice."""
    tally = merged(symbol.repeated_trades for symbol in evidence.symbols.values())
    for symbol in evidence.symbols.values():
        if symbol.numbering.is_consecutive:
            tally.add(symbol.numbering.repeats)
    if not tally.population:
        return not_tested("trades or sequence numbers", "record trades for a minute")
    return judged(tally, what="trade ids and sequence numbers")


def crossed_books(evidence: Evidence) -> Finding:
    """The book is not crossed while trading is continuous."""
    tally = merged(symbol.crossed for symbol in evidence.symbols.values())
    if not tally.population:
        return not_tested("orders and references", "record both for a minute")
    claims = evidence.claims.default.feed
    return judged(
        tally, what="references", claim=stated("feed", claims, "crossed_ratio"),
        allowed_ratio=claims.crossed_ratio, tolerance="looked at with each reference",
    )  # fmt: skip


def time_goes_forward(evidence: Evidence) -> Finding:
    """No event of a stream is older than the one before it."""
    tally = merged(evidence.disorder.values())
    if not tally.population:
        return not_tested("events", "record a stream")
    facts: dict[str, float | str] = {
        f"older events of {name}": its.breaches
        for name, its in evidence.disorder.items()
        if its.population
    }
    return judged(tally, what="events", facts=facts)


def reference_rate(evidence: Evidence) -> Finding:
    """References come as often in the five busiest minutes as in calm."""
    if not evidence.has(Kind.REFERENCE, Kind.TRADE):
        return not_tested("references and trades", "record both for an hour")
    claims = evidence.claims.default
    tally, worst = Tally(), 0.0
    facts: dict[str, float | str] = {}
    for symbol in evidence.symbols.values():
        times = symbol.references.times()
        trades = symbol.trades_by_minute
        if len(times) < 2 or not trades:
            continue
        gaps = np.diff(times) / 1e9
        usual = float(np.median(gaps))
        facts[f"usual gap of {symbol.symbol}, seconds"] = usual
        factor = 0.0
        for busy in nlargest(BUSIEST_MINUTES, trades, key=lambda number: (trades[number], number)):
            there = gaps[times[1:] // MINUTE_NS == busy]
            longest = float(there.max()) if len(there) else MINUTE_NS / 1e9
            factor = max(factor, longest / max(usual, 1e-9))
            if longest <= (claims.feed.busiest_factor or math.inf) * usual:
                tally.held()
                continue
            story = (
                f"{longest:.1f} s without a reference in a minute with {trades[busy]:,} trades; "
                f"usually {usual:.1f} s"
            )
            at = busy * MINUTE_NS
            tally.breach(Case(at, symbol.symbol, "", longest / max(usual, 1e-9), 0.0, story))
        facts[f"longest gap in its busiest minutes, seconds ({symbol.symbol})"] = factor * usual
        worst = max(worst, factor)
    if claims.feed.busiest_factor is None and tally.population:
        return inferred(
            f"the longest gap in the busiest minutes is {worst:.1f} times the usual one",
            population=tally.population, facts=facts,
        )  # fmt: skip
    return judged(
        tally, what="busiest minutes", facts=facts,
        claim=stated("feed", claims.feed, "busiest_factor"),
    )  # fmt: skip


def unknown_orders(evidence: Evidence) -> Finding:
    """Cancels and trades name orders that were published."""
    tally = merged(symbol.book.unknown for symbol in evidence.symbols.values())
    if not tally.population:
        return not_tested("cancels, or trades with order ids", "record them with the orders")
    claims = evidence.claims.default.feed
    if claims.unknown_orders_ratio is None:
        share = tally.breaches / tally.population
        return inferred(
            f"{share:.2%} of {tally.population:,} cancels and trades name orders that the record "
            "does not have; orders from before its start are among them",
            population=tally.population, facts={"share": share}, cases=tally.worst(),
        )  # fmt: skip
    return judged(
        tally, what="cancels and trades", claim=stated("feed", claims, "unknown_orders_ratio"),
        allowed_ratio=claims.unknown_orders_ratio,
    )  # fmt: skip


def trades_in_book(evidence: Evidence) -> Finding:
    """Each trade fills its resting order at that order's price."""
    tally = merged(symbol.book.outside for symbol in evidence.symbols.values())
    if not tally.population:
        return not_tested("trades with the ids of resting orders", "publish maker_order_id")
    return judged(tally, what="trades")


def coverage(evidence: Evidence) -> Finding:
    """Reported: the share of the open interest of which positions are known."""
    ratios = {
        f"longs over open interest of {symbol.symbol}": symbol.conservation.coverage_ratio
        for symbol in evidence.symbols.values()
        if symbol.conservation.tally.population
    }
    if not ratios:
        return not_tested("positions and open interest", "publish both")
    least = min(ratios.values())
    return inferred(
        f"at least {least:.1%} of the open interest of each symbol is known", facts=ratios,
        population=len(ratios),
    )  # fmt: skip


CHECKS = (
    Check("F1", "sequence_gaps", "No event is missing.", ("all streams",), "this guide",
          sequence_gaps),
    Check("F2", "repeats", "No event comes twice.", ("trades",), "this guide", repeats),
    Check("F3", "crossed_books", "The book is not crossed while trading is continuous.",
          ("orders", "cancels", "trades", "references"), "this guide", crossed_books),
    Check("F4", "time_goes_forward", "No event is older than the one before it.",
          ("all streams",), "this guide", time_goes_forward),
    Check("F5", "reference_rate", "References come as often in the busiest minutes as in calm.",
          ("references", "trades"), "this guide", reference_rate),
    Check("F6", "unknown_orders", "Cancels and trades name orders that were published.",
          ("orders", "cancels", "trades"), "this guide", unknown_orders),
    Check("F7", "trades_in_book", "Each trade fills its resting order at that order's price.",
          ("orders", "trades"), "this guide", trades_in_book),
    Check("F8", "coverage", "Reported: the share of the open interest that is known.",
          ("positions", "references"), "this guide", coverage),
)  # fmt: skip
"""The checks of this group, in their order."""
