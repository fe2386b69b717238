"""The check of monitoring: whether cascades were warned of, and how long before."""

from typing import NamedTuple

import numpy as np

from detectors.audit.beside import VENUE, Warned
from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, not_tested
from detectors.audit.tape import Evidence

CASCADE_LIQUIDATIONS = 10
"""Liquidations of a symbol, each within a minute of the one before, that are a cascade."""

APART_NS = 60_000_000_000
BEFORE_NS = 1_800_000_000_000
"""A warning counts for a cascade that begins within half an hour."""


class Cascade(NamedTuple):
    """A run of liquidations of one symbol; ``notional`` is what they closed."""

    symbol: str
    start_ns: int
    end_ns: int
    liquidations: int
    notional: float


def cascades(evidence: Evidence) -> list[Cascade]:
    """Return the cascades of a record, in the order of their beginnings."""
    found: list[Cascade] = []
    for name in evidence.symbols:
        run: list[tuple[int, float]] = []
        own = [(e.ts_event, e.notional) for e in evidence.episodes if e.symbol == name]
        for at, notional in [*own, (2**63, 0.0)]:
            if run and at - run[-1][0] > APART_NS:
                if len(run) >= CASCADE_LIQUIDATIONS:
                    total = sum(part for _, part in run)
                    found.append(Cascade(name, run[0][0], run[-1][0], len(run), total))
                run = []
            run.append((at, notional))
    return sorted(found, key=lambda its: (its.start_ns, its.symbol))


def warnings(evidence: Evidence) -> Finding:
    """Each cascade of the record has an alert before it, that is still open or recent."""
    claims, alerts = evidence.claims.default.monitoring, evidence.beside.alerts
    found = cascades(evidence)
    if alerts is None:
        return not_tested(
            "alerts (alerts.ndjson beside the record)",
            "write them with `foreshock replay DIR --alerts DIR/alerts.ndjson`, or record the "
            "topic foreshock.alerts",
        )
    if not found:
        return not_tested(
            f"a cascade: {CASCADE_LIQUIDATIONS} liquidations of a symbol, each within a minute",
            "record a day with one, or simulate it: `foreshock simulate day --scenario cascade`",
        )
    tally, leads = Tally(), []
    facts: dict[str, float | str] = {}
    for cascade in found:
        warned = _warning(cascade, alerts)
        name = f"{cascade.symbol} at {cascade.start_ns}"
        size = f"{cascade.liquidations:,} liquidations, {cascade.notional:,.0f} closed"
        if warned is None:
            facts[name] = f"{size}; no warning"
            story = f"{size}; no alert within half an hour before it"
        else:
            lead = (cascade.start_ns - warned.ts_event) / 1e9
            leads.append(lead)
            facts[name] = f"{size}; {warned.detector} {lead:.1f} s before"
            if lead >= claims.lead_seconds:
                tally.held()
                continue
            story = f"{size}; {warned.detector} only {lead:.1f} s before it"
        money = cascade.notional
        tally.breach(Case(cascade.start_ns, cascade.symbol, "", money, money, story))
    if claims.warned_ratio is None:
        median = f", {np.median(leads):.1f} s before at the median" if leads else ""
        return inferred(
            f"{len(leads):,} of {len(found):,} cascades had a warning{median}",
            population=len(found), facts=facts, cases=tally.worst(),
        )  # fmt: skip
    return judged(
        tally, what="cascades", facts=facts, allowed_ratio=1.0 - claims.warned_ratio,
        claim=stated("monitoring", claims, "warned_ratio", "lead_seconds"),
    )  # fmt: skip


def _warning(cascade: Cascade, alerts: tuple[Warned, ...]) -> Warned | None:
    """Return the earliest alert that warns of a cascade: it fires before it, and is not over."""
    ended = {
        its.alert_id
        for its in alerts
        if its.status == "resolved" and its.ts_event <= cascade.start_ns - APART_NS
    }
    before = [
        its
        for its in alerts
        if its.status == "firing"
        and its.symbol in (cascade.symbol, VENUE)
        and cascade.start_ns - BEFORE_NS <= its.ts_event <= cascade.start_ns
        and its.alert_id not in ended
    ]
    return min(before, key=lambda its: its.ts_event, default=None)


CHECKS = (
    Check("W1", "warnings", "Each cascade has a warning before it.", ("trades", "alerts"),
          "this guide", warnings),
)  # fmt: skip
"""The checks of this group, in their order."""
