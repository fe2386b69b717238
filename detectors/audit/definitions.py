"""Checks 1 to 10: the prices and the positions from which everything else follows."""

import itertools
import math

import numpy as np

from detectors.audit import mark_fit
from detectors.audit.check import Check
from detectors.audit.claims import mark_rule, stated
from detectors.audit.health import TOLERANCE, health, price_at
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, merged, not_tested
from detectors.audit.paths import no_liquidations
from detectors.audit.symbol_tape import Symbol
from detectors.audit.tape import Evidence
from detectors.market_data.events import Kind
from detectors.risk.contract import Contract
from detectors.risk.liquidation import liquidation_prices
from detectors.risk.mark_path import FROZEN_SECONDS, is_frozen
from detectors.risk.marks import MarkRule
from detectors.table import Floats, Ints

_STILL_SECONDS = (FROZEN_SECONDS + 1.0, 300.0)
"""Spans in which the mid price is measured while the index stands still."""

_BASES = ("mark", "index", "last", "mid")
_DEFAULT_CLAMP = 1.0
_SEGMENT = 600
"""References over which a window is fitted: ten minutes of one a second."""


def one_reference(evidence: Evidence) -> Finding:
    """Check 1: the claimed price explains every liquidation, and no other price is needed."""
    if not evidence.has(Kind.REFERENCE, Kind.POSITION) or not evidence.episodes:
        return no_liquidations()
    explained = dict.fromkeys(_BASES, 0)
    known, tally = 0, Tally()
    claim = evidence.claims.default.liquidation
    for episode in evidence.episodes:
        first = episode.slices[0]
        claims = evidence.symbols[episode.symbol].claims
        found = {
            basis: health(first, price_at(evidence, first, basis), claims.margin.buffer).health
            for basis in _BASES
        }
        if "unknown" in found.values():
            continue
        known += 1
        for basis in _BASES:
            explained[basis] += found[basis] != "above"
        claimed = claims.liquidation.trigger
        if claimed is None or found[claimed] == "below":
            tally.held()
        elif found[claimed] == "borderline":
            tally.edge()
        elif others := [name for name in _BASES if found[name] == "below"]:
            story = f"above maintenance by the {claimed} price, below by {' and '.join(others)}"
            tally.breach(Case(first.ts_event, first.symbol, first.account, first.paid,
                              first.paid, story))  # fmt: skip
        else:
            tally.held()  # no price explains it: that is what check 12 is for
    facts = {f"explained by {name}": count / max(known, 1) for name, count in explained.items()}
    if claim.trigger is None:
        best = max(_BASES, key=lambda name: explained[name])
        return inferred(
            f"the {best} price explains {explained[best]:,} of {known:,} liquidations",
            population=known, facts=facts,
        )  # fmt: skip
    return judged(
        tally, what="liquidations", claim=stated("liquidation", claim, "trigger"),
        tolerance=TOLERANCE, allowed_ratio=0.01, facts=facts,
    )  # fmt: skip


def index_sane(evidence: Evidence) -> Finding:
    """Check 2: the mark price stays near the index, and the index moves when the market does."""
    if not evidence.has(Kind.REFERENCE):
        return not_tested("references", "publish mark and index price; a quiet hour is enough")
    tally, facts = Tally(), {}
    for symbol in evidence.symbols.values():
        its = symbol.references
        mark, index = its.column("mark"), its.column("index")
        clamp = symbol.claims.mark.clamp
        with np.errstate(invalid="ignore"):
            premium = np.abs(mark / index - 1.0)
        known = np.isfinite(premium)
        if not known.any():
            continue
        facts[f"largest |mark / index - 1| of {symbol.symbol}"] = float(premium[known].max())
        beyond = premium > (math.inf if clamp is None else clamp + 1e-6)
        tally.held(int((known & ~beyond).sum()))
        for place in np.flatnonzero(beyond).tolist():
            story = f"mark {mark[place]:g}, index {index[place]:g}: {premium[place]:.2%} apart"
            tally.breach(Case(its.ts_event[place], symbol.symbol, "", float(premium[place]), 0.0,
                              story))  # fmt: skip
        _frozen_index(symbol, tally)
    claim = stated("mark", evidence.claims.default.mark, "clamp")
    return judged(tally, what="references", claim=claim, facts=facts)


def mark_recomputable(evidence: Evidence) -> Finding:
    """Check 3: the published mark price follows from the book, the index and the claimed rule."""
    if not evidence.has(Kind.REFERENCE, Kind.ORDER):
        return not_tested("references and orders", "record both streams for ten minutes")
    tally, facts = Tally(), {}
    claims = evidence.claims.default.mark
    is_claimed = False
    for symbol in evidence.symbols.values():
        its = symbol.references
        rules = mark_fit.candidates(its, clamp_of(symbol))
        best = mark_fit.best_fit(its.column("mark"), rules)[0]
        facts[f"best fit of {symbol.symbol}"] = (
            f"{best.rule.kind} {best.rule.seconds:g} s, off by {best.error_bps:.2f} bps"
        )
        rule = mark_rule_of(symbol)
        if rule is None:
            continue
        is_claimed = True
        _compare_mark(symbol, rule, tally)
    if not is_claimed:
        return inferred("the rules that fit the mark prices best are among the facts", facts=facts)
    return judged(
        tally, what="references", claim=stated("mark", claims, "method", "window_seconds", "clamp"),
        tolerance=f"{claims.tolerance_bps:g} bps beyond what the lowest and the highest mid price "
        "between two references give",
        allowed_ratio=0.01, facts=facts,
    )  # fmt: skip


def window_constant(evidence: Evidence) -> Finding:
    """Check 4: the averaging of the mark price changes only when the venue says so."""
    if not evidence.has(Kind.REFERENCE, Kind.ORDER):
        return not_tested("references and orders", "record both streams for an hour")
    tally = Tally()
    for symbol in evidence.symbols.values():
        rule = mark_rule_of(symbol)
        if rule is None or rule.kind == "last":
            continue
        _fit_segments(symbol, rule, tally)
    if not tally.population:
        return not_tested(
            "claimed or published method and window of the mark price",
            "state [mark] method and window_seconds, or publish mark_method and mark_window_ns",
        )
    claim = stated("mark", evidence.claims.default.mark, "method", "window_seconds")
    return judged(tally, what="segments of ten minutes", claim=claim)


def liquidation_price(evidence: Evidence) -> Finding:
    """Check 7: the published liquidation price follows from the position and the margins."""
    tally = merged(symbol.waiting.published for symbol in evidence.symbols.values())
    if not tally.population:
        return not_tested(
            "isolated positions with margin and liquidation price, and margins",
            "publish both for one account, and open a small position",
        )
    error = max(symbol.waiting.published_error for symbol in evidence.symbols.values())
    return judged(
        tally, what="position records", tolerance="1 bp of the entry price", allowed_ratio=0.001,
        facts={"largest error, bps of the entry price": error * 1e4},
    )  # fmt: skip


def uncertainty_budget(evidence: Evidence) -> Finding:
    """Check 8: how far the liquidation price moves if fee and slippage count (reported)."""
    fee = evidence.claims.default.liquidation.fee
    if not evidence.has(Kind.POSITION) or fee is None:
        return not_tested(
            "positions, and a claimed fee of a forced sale",
            "state [liquidation] fee; the slippage is taken from the liquidations",
        )
    notional = uncertain = 0.0
    gaps: list[float] = []
    for symbol in evidence.symbols.values():
        contract, its = symbol.schedule.contract, symbol.references
        if contract is None or not len(its):
            continue
        mark = its.mark[-1]
        rows = [
            (held.quantity, held.entry_price, held.margin)
            for held in symbol.holdings.held.values()
            if held.quantity and not math.isnan(held.margin) and held.margin > 0.0
        ]
        if not rows or math.isnan(mark):
            continue
        quantity, entry, margin = (np.array(column) for column in zip(*rows, strict=True))
        slips = [p.concession_bps for p in symbol.slices if math.isfinite(p.concession_bps)]
        extra = fee + (max(0.0, float(np.quantile(slips, 0.9))) / 1e4 if slips else 0.0)
        free = liquidation_prices(Contract(contract.tiers), quantity, entry, margin)
        dear = liquidation_prices(Contract(contract.tiers), quantity, entry, margin, extra)
        distance, gap = np.abs(mark - free), np.abs(dear - free)
        size = np.abs(quantity) * mark
        notional += float(size.sum())
        uncertain += float(size[gap > distance / 2.0].sum())
        gaps += (gap / mark * 1e4).tolist()
    if not gaps:
        return not_tested("open positions with a margin at the end", "record some")
    share = uncertain / notional
    return inferred(
        f"fee and slippage move the liquidation price by {np.median(gaps):.1f} bps (median); for "
        f"{share:.1%} of the notional that is more than half of its distance",
        population=len(gaps),
        facts={"median gap, bps": float(np.median(gaps)), "share of notional": share},
    )


def conservation(evidence: Evidence) -> Finding:
    """Check 9: longs, shorts and open interest add up, and change only by trades."""
    tally = merged(symbol.conservation.tally for symbol in evidence.symbols.values())
    if not tally.population or not evidence.has(Kind.POSITION):
        return not_tested(
            "positions, trades with accounts, and open interest in the references",
            "publish all three; trade once between two accounts of your own",
        )
    facts = {
        f"longs over open interest of {symbol.symbol}": symbol.conservation.coverage_ratio
        for symbol in evidence.symbols.values()
    }
    return judged(tally, what="references", tolerance="1e-6 of the open interest", facts=facts)


def explained(evidence: Evidence) -> Finding:
    """Check 10: each position is the one before plus the account's fills."""
    tally = merged(symbol.holdings.explained for symbol in evidence.symbols.values())
    if not tally.population:
        return not_tested(
            "positions and trades with accounts", "publish both, and trade twice with one account"
        )
    return judged(
        tally, what="position records", tolerance="quantities to 1e-9, entry prices to 1e-6"
    )


def clamp_of(symbol: Symbol) -> float:
    """Return the claimed distance of mark and index, or else the published one."""
    published = symbol.schedule.in_force.mark_clamp if symbol.schedule.in_force else None
    claimed = symbol.claims.mark.clamp
    return claimed if claimed is not None else published or _DEFAULT_CLAMP


def mark_rule_of(symbol: Symbol) -> MarkRule | None:
    """Return the claimed mark rule, or else the published one."""
    published, claims = symbol.schedule.in_force, symbol.claims.mark
    method = claims.method or (published.mark_method if published else None)
    seconds = claims.window_seconds
    if seconds is None and published is not None and published.mark_window_ns is not None:
        seconds = published.mark_window_ns / 1e9
    if method is None or (seconds is None and method != "last"):
        return None
    return mark_rule(method, seconds or 0.0)


def _compare_mark(symbol: Symbol, rule: MarkRule, tally: Tally) -> None:
    its = symbol.references
    published = its.column("mark")
    clamp, allowed = clamp_of(symbol), symbol.claims.mark.tolerance_bps / 1e4
    middle = mark_fit.recomputed(its, rule, clamp)
    low, high = mark_fit.bounds(its, rule, clamp)
    with np.errstate(invalid="ignore"):
        off = np.maximum(low / published - 1.0, 1.0 - high / published)
        near = np.abs(middle / published - 1.0) <= allowed
    known = np.isfinite(off)
    broken = known & (off > allowed)
    tally.held(int((known & near & ~broken).sum()))
    tally.edge(int((known & ~near & ~broken).sum()))
    for place in np.flatnonzero(broken).tolist():
        story = (
            f"mark {published[place]:.8g}; {rule.kind} over {rule.seconds:g} s gives "
            f"{low[place]:.8g} to {high[place]:.8g}"
        )
        tally.breach(
            Case(its.ts_event[place], symbol.symbol, "", float(off[place]) * 1e4, 0.0, story)
        )


def _fit_segments(symbol: Symbol, rule: MarkRule, tally: Tally) -> None:
    """Compare the claimed window with the others, over segments that can tell them apart."""
    its, clamp = symbol.references, clamp_of(symbol)
    published = its.column("mark")
    own = mark_fit.Candidate(rule, mark_fit.recomputed(its, rule, clamp))
    rules = mark_fit.candidates(its, clamp)
    low, high = mark_fit.bounds(its, rule, clamp)
    allowed = symbol.claims.mark.tolerance_bps
    with np.errstate(invalid="ignore"):
        off = np.maximum(low / published - 1.0, 1.0 - high / published) * 1e4
    for first in range(0, len(its) - _SEGMENT // 2, _SEGMENT):
        last = first + _SEGMENT
        known = off[first:last][np.isfinite(off[first:last])]
        outside = float(np.mean(known > allowed)) if len(known) else 0.0
        stated_fit = mark_fit.best_fit(published, [own], first, last)[0]
        best = mark_fit.best_fit(published, rules, first, last)[0]
        same = best.rule.kind == rule.kind and math.isclose(best.rule.seconds, rule.seconds)
        if same or outside < 0.05 or stated_fit.error_bps < 2.0 * best.error_bps:
            tally.held()
            continue
        off_bps = stated_fit.error_bps
        story = (
            f"{best.rule.kind} over {best.rule.seconds:g} s fits to {best.error_bps:.1f} bps, the "
            f"stated {rule.kind} over {rule.seconds:g} s to {off_bps:.1f} bps"
        )
        tally.breach(Case(its.ts_event[first], symbol.symbol, "", off_bps, 0.0, story))


def _frozen_index(symbol: Symbol, tally: Tally) -> None:
    """Find times over a minute in which the index stood still and the mid price did not."""
    its = symbol.references
    times, index, mid = its.times(), its.column("index"), its.column("mid")
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = np.diff(np.log(mid))
    moving = steps[np.isfinite(steps)]
    if not len(moving):
        return
    sizes = np.abs(moving[moving != 0.0])  # the median of all is 0 where it mostly rests
    if not len(sizes):
        return
    usual = float(np.median(sizes) / 0.6745 * math.sqrt(len(sizes) / len(moving)))
    edges = [*np.flatnonzero(np.diff(index, prepend=math.nan) != 0.0).tolist(), len(index)]
    for first, after in itertools.pairwise(edges):
        seconds = (int(times[after - 1]) - int(times[first])) / 1e9
        if seconds <= FROZEN_SECONDS or not math.isfinite(index[first]):
            continue
        tally.held()
        moves = {
            span: _largest_move(times[first:after], mid[first:after], span)
            for span in _STILL_SECONDS
        }
        missed = [span for span, moved in moves.items() if is_frozen(moved, usual, span)]
        if not missed:
            continue
        tally.population -= 1
        moved = moves[missed[0]]
        story = (
            f"index {index[first]:g} for {seconds:.0f} s; within {missed[0]:g} s the mid moved by "
            f"{moved:.2%}"
        )
        tally.breach(Case(its.ts_event[first], symbol.symbol, "", moved, 0.0, story))


def _largest_move(times: Ints, mid: Floats, seconds: float) -> float:
    """Return the largest change of the logarithm of the mid price within so many seconds."""
    ends = np.searchsorted(times, times + int(seconds * 1e9))
    begins = np.flatnonzero(ends < len(times))
    with np.errstate(invalid="ignore"):
        moves = np.abs(np.log(mid[ends[begins]] / mid[begins]))
    return float(np.max(moves[np.isfinite(moves)], initial=0.0))


CHECKS = (
    Check("1", "one_reference", "The claimed price decides every liquidation.",
          ("references", "positions", "trades"), "this guide", one_reference),
    Check("2", "index_sane", "The mark price is within its clamp of the index, and the index moves "
          "when the market does.", ("references", "orders"), "Aster XPL, 25 Sep 2025", index_sane),
    Check("3", "mark_recomputable", "The mark price follows from the book, the index and the "
          "claimed rule in 99 % of references.", ("references", "orders", "trades"),
          "Hyperliquid, Robust price indices", mark_recomputable),
    Check("4", "window_constant", "The averaging window changes only when it is announced.",
          ("references", "orders", "margins"), "this guide", window_constant),
    Check("7", "liquidation_price", "99.9 % of liquidation prices follow from position and margins "
          "to 1 bp.", ("positions", "margins"),
          "Binance, Leverage and Margin; Hyperliquid, Liquidations", liquidation_price),
    Check("8", "uncertainty_budget", "Reported: how far fee and slippage move the liquidation "
          "price.", ("positions", "margins"), "this guide", uncertainty_budget),
    Check("9", "conservation", "Longs equal shorts equal open interest, and change by trades only.",
          ("positions", "trades", "references"), "percolator C3", conservation),
    Check("10", "positions_explained", "Each position is the one before plus its fills.",
          ("positions", "trades"), "Paradex, 19 Jan 2026", explained),
)  # fmt: skip
"""The checks of this group, in their order."""
