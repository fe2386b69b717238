"""Checks 33 to 35: how the venue changes its margin parameters."""

import itertools
import math
from collections import defaultdict

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.health import slack
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, not_tested
from detectors.audit.precedents import precedents
from detectors.audit.tape import Evidence
from detectors.fairness.margin_history import Change, oscillation
from detectors.market_data.events import Kind

AFTER_SECONDS = 60.0
"""Liquidations so soon after a rise are compared with the old parameters."""


def notice(evidence: Evidence) -> Finding:
    """Check 33: a change is announced in time, with a reason where one is claimed."""
    changes = _changes(evidence)
    if not changes:
        return _no_changes(evidence)
    claims = evidence.claims.default.parameters
    notices = [(change.effective_ns - change.announced_ns) / 1e9 for change in changes]
    silent = sum(1 for change in changes if not change.reason)
    facts = {
        "changes": len(changes),
        "shortest notice, seconds": min(notices),
        "without a reason": silent,
    }
    if claims.notice_seconds is None and not claims.reasons_given:
        return inferred(
            f"{len(changes):,} changes; the shortest notice was {min(notices):.0f} s",
            population=len(changes), facts=facts,
        )  # fmt: skip
    tally = Tally()
    for change, given in zip(changes, notices, strict=True):
        short = (claims.notice_seconds or 0.0) - given
        unexplained = bool(claims.reasons_given) and not change.reason
        if short <= 0.0 and not unexplained:
            tally.held()
            continue
        story = f"{change.name} {change.before:g} to {change.after:g} with {given:.0f} s notice"
        if unexplained:
            story += " and no reason"
        tally.breach(Case(change.effective_ns, change.symbol, "", max(short, 1.0), 0.0, story))
    claim = stated("parameters", claims, "notice_seconds", "reasons_given")
    return judged(tally, what="changes", claim=claim, facts=facts)


def cooling(evidence: Evidence) -> Finding:
    """Check 34: two changes are apart by the cooling time, and parameters do not oscillate."""
    changes = _changes(evidence)
    if not changes:
        return _no_changes(evidence)
    claims = evidence.claims.default.parameters
    by_name: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in changes:
        by_name[change.symbol, change.name].append(change)
    tally = Tally()
    gaps, worst_churn, worst_signs = [], 0.0, 0
    for (symbol, name), its in by_name.items():
        signs, swing = oscillation(its)
        worst_churn, worst_signs = max(worst_churn, swing), max(worst_signs, signs)
        too_often = claims.max_sign_changes is not None and signs > claims.max_sign_changes
        if too_often or (claims.max_churn is not None and swing >= claims.max_churn):
            story = f"{name} changed direction {signs} times within a day; churn {swing:.1f}"
            tally.breach(Case(its[-1].effective_ns, symbol, "", float(signs), 0.0, story))
        else:
            tally.held()
        for before, after in itertools.pairwise(its):
            gap = (after.effective_ns - before.effective_ns) / 1e9
            gaps.append(gap)
            if claims.cooling_seconds is None:
                continue
            turned = (before.after - before.before) * (after.after - after.before) < 0.0
            required = claims.cooling_seconds * (2.0 if turned else 1.0)
            if gap >= required:
                tally.held()
                continue
            story = f"{name} to {after.after:g} {gap:.0f} s after {before.after:g}"
            story += "; back in the other direction" if turned else ""
            tally.breach(Case(after.effective_ns, symbol, "", required - gap, 0.0, story))
    facts = {
        "shortest gap, seconds": min(gaps, default=math.nan),
        "most changes of direction in a day": worst_signs,
        "largest churn": worst_churn,
        **precedents(evidence, changes),
    }
    claim = stated("parameters", claims, "cooling_seconds", "max_sign_changes", "max_churn")
    if not claim:
        return inferred(
            f"{len(changes):,} changes, at least {min(gaps, default=math.nan):.0f} s apart; at "
            f"most {worst_signs} changes of direction in a day",
            population=len(changes), facts=facts,
        )  # fmt: skip
    return judged(tally, what="parameters and gaps", claim=claim, facts=facts)


def silent_liquidations(evidence: Evidence) -> Finding:
    """Check 35: who was liquidated by a rise of the maintenance margin, and not by the price."""
    rises = [
        change
        for change in _changes(evidence)
        if "maintenance" in change.name and change.after > change.before
    ]
    if not rises:
        return _no_changes(evidence, "rises of a maintenance margin")
    claims = evidence.claims.default.parameters
    tally = Tally()
    for episode in evidence.episodes:
        part = episode.slices[0]
        rise = _rise_before(rises, part.symbol, part.ts_event)
        if rise is None or math.isnan(part.quantity) or part.tiers is None:
            continue
        mark = evidence.symbols[part.symbol].references.around("mark", part.ts_event)
        if mark is None:
            continue
        worst = mark.near_low if part.quantity > 0.0 else mark.near_high
        # With the old rate the requirement was lower by this share.
        spared = slack(part, worst, rise.before / rise.after) >= 0.0
        if not spared:
            tally.held()
            continue
        seconds = (part.ts_event - rise.effective_ns) / 1e9
        short = (rise.effective_ns - rise.announced_ns) / 1e9 < (claims.notice_seconds or 0.0)
        story = (
            f"liquidated {seconds:.1f} s after {rise.name} rose from {rise.before:g} to "
            f"{rise.after:g}; the old rate would have spared it"
        )
        case = Case(part.ts_event, part.symbol, part.account, part.paid, part.paid, story)
        if short or claims.notice_seconds is None:
            tally.breach(case)
        else:
            tally.held()
    facts = {"liquidated by a rise": tally.breaches, "notional": tally.money}
    if claims.notice_seconds is None or not tally.population:
        return inferred(
            f"{len(rises):,} rises; they alone liquidated {tally.breaches:,} accounts",
            population=tally.population, facts=facts, cases=tally.worst(), money=tally.money,
        )  # fmt: skip
    return judged(
        tally, what="liquidations after a rise", facts=facts,
        claim=stated("parameters", claims, "notice_seconds"),
    )  # fmt: skip


def _changes(evidence: Evidence) -> list[Change]:
    """Return the changes of known values, in the order of their effect."""
    found = [
        change
        for symbol in evidence.symbols.values()
        for change in symbol.schedule.changes
        if math.isfinite(change.before)
    ]
    return sorted(found, key=lambda change: (change.effective_ns, change.symbol, change.name))


def _rise_before(rises: list[Change], symbol: str, ts_event: int) -> Change | None:
    for rise in reversed(rises):
        seconds = (ts_event - rise.effective_ns) / 1e9
        if rise.symbol == symbol and 0.0 <= seconds <= AFTER_SECONDS:
            return rise
    return None


def _no_changes(evidence: Evidence, what: str = "changes of margin parameters") -> Finding:
    claim = stated(
        "parameters", evidence.claims.default.parameters, "notice_seconds", "cooling_seconds"
    )
    if evidence.has(Kind.MARGIN):
        return not_tested(
            f"{what}; the margins were constant",
            "in staging, raise a maintenance rate by a tenth for an hour, and lower it again",
            claim=claim,
        )
    return not_tested("margins", "publish them, with announced_at and effective_at", claim=claim)


CHECKS = (
    Check("33", "notice", "Changes are announced in time.", ("margins",), "Arcadia #134", notice),
    Check("34", "cooling", "Changes are apart by the cooling time, and do not oscillate.",
          ("margins",), "BCBS-CPMI-IOSCO d590; Murphy, Vasios & Vause 2014", cooling),
    Check("35", "silent_liquidations", "A rise without notice liquidates nobody.",
          ("margins", "trades", "positions", "references"), "Arcadia #134", silent_liquidations),
)  # fmt: skip
"""The checks of this group, in their order."""
