"""Checks of automation: clients that retry, orders after a trip, and who re-arms."""

from detectors.audit.beside import CLOSED
from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, merged, not_tested
from detectors.audit.tape import Evidence
from detectors.kill_switch.machine import AUTOMATIC
from detectors.kill_switch.switch import KillSwitch
from detectors.market_data.events import Kind

SWITCHES = "kill switches (switches.ndjson beside the record)"


def retries(evidence: Evidence) -> Finding:
    """Clients wait longer after each rejection: a constant rate makes a rush last."""
    tally, claims = evidence.answers.runs, evidence.claims.default.automation
    if not evidence.has(Kind.ACK):
        return not_tested(
            "acknowledgements of orders (the stream acks)",
            "publish them; in staging, refuse every order of a test client for a minute",
        )
    refused = sum(its.rejected for its in evidence.answers.accounts.values())
    facts: dict[str, float | str] = {
        "orders refused": refused, "rows of 20 rejections or more": tally.population,
    }  # fmt: skip
    if not tally.population:
        return inferred(
            f"{refused:,} orders were refused, never 20 of one account in a row",
            population=refused, facts=facts,
        )  # fmt: skip
    if not claims.backoff:
        return inferred(
            f"{tally.breaches:,} of {tally.population:,} rows of rejections came at a constant "
            "rate: these clients retry without backoff",
            population=tally.population, facts=facts, cases=tally.worst(),
        )  # fmt: skip
    return judged(
        tally, what="rows of rejections", facts=facts,
        claim=stated("automation", claims, "backoff"),
        tolerance="the later half of the pauses is more than 1.5 times the earlier half",
    )  # fmt: skip


def after_trip(evidence: Evidence) -> Finding:
    """Nothing new is accepted in a halt, nor after a trip of the kill switch."""
    claims = evidence.claims.default.automation
    tally = merged(symbol.gate.accepted for symbol in evidence.symbols.values())
    periods = sum(
        state == "halted" for symbol in evidence.symbols.values() for _, state, _ in symbol.states
    )
    switches = evidence.beside.switches or ()
    tripped = len({(its.symbol, its.since) for its in switches if its.state in CLOSED})
    facts: dict[str, float | str] = {"halts": periods, "trips and holds": tripped}
    if not periods and not tripped:
        return not_tested(
            f"halts (statuses) or {SWITCHES}",
            "in staging, halt a symbol, or trip the kill switch, while a client sends orders",
        )
    if not claims.accepts_nothing:
        return inferred(
            f"{tally.breaches:,} new orders were accepted in {periods:,} halts and after "
            f"{tripped:,} trips", population=tally.population, facts=facts, cases=tally.worst(),
            money=tally.money,
        )  # fmt: skip
    tally.held(periods + tripped)
    return judged(
        tally, what="halts, trips and orders within them", facts=facts,
        claim=stated("automation", claims, "accepts_nothing"),
    )  # fmt: skip


def rearmed(evidence: Evidence) -> Finding:
    """A tripped switch is re-armed by whom it may be, not too soon, and with a reason."""
    claims = evidence.claims.default.automation
    switches = evidence.beside.switches
    if switches is None:
        return not_tested(
            SWITCHES,
            "record the topic foreshock.switchlog, or write it with `foreshock replay --switches`; "
            "in staging, trip and re-arm a symbol",
        )
    tally, by = Tally(), set()
    latest: dict[str, KillSwitch] = {}
    for its in switches:
        if its.drill:
            continue
        before = latest.get(its.symbol)
        latest[its.symbol] = its
        if before is None or before.state not in CLOSED or its.state == before.state:
            continue
        by.add(its.by)
        problem = _problem(before, its, claims.rearmed_by, claims.least_tripped_seconds)
        if problem is None:
            tally.held()
        else:
            lasted = (its.since - before.since) / 1e9
            tally.breach(Case(its.ts_event, its.symbol, its.by, lasted, 0.0, problem))
    if not tally.population:
        return not_tested(
            "the end of a trip among the kill switches", "in staging, trip and re-arm a symbol"
        )
    return judged(
        tally, what="ends of trips", facts={"ended by": ", ".join(sorted(by))},
        claim=stated("automation", claims, "rearmed_by", "least_tripped_seconds"),
    )  # fmt: skip


def _problem(
    before: KillSwitch, after: KillSwitch, allowed: tuple[str, ...] | None, least_seconds: float
) -> str | None:
    """Return what is wrong with the end of a trip; None if it is as declared."""
    what = f"went from {before.state} to {after.state} by {after.by or 'nobody'}"
    if after.state in CLOSED:
        return None
    lasted = (after.since - before.since) / 1e9
    problem = None
    if after.by == AUTOMATIC and (before.state == "held" or after.state != "reduce_only"):
        problem = "without an operator a trip ends in reduce_only only"
    elif after.by == AUTOMATIC and lasted < least_seconds:
        problem = f"after {lasted:.1f} s; it lasts {least_seconds:g} s at least"
    elif after.by != AUTOMATIC and not (after.by and after.reason):
        problem = f"without a {'reason' if after.by else 'name'}"
    elif after.by != AUTOMATIC and allowed is not None and after.by not in allowed:
        problem = f"who is not among {', '.join(allowed)}"
    return None if problem is None else f"{what}: {problem}"


CHECKS = (
    Check("A1", "retries", "Clients wait longer after each rejection.", ("acks",), "this guide",
          retries),
    Check("A2", "after_trip", "Nothing new is accepted in a halt, nor after a trip.",
          ("orders", "statuses", "kill switches"), "RTS 7 Art. 18(2)(c)", after_trip),
    Check("A3", "rearmed", "A tripped switch is re-armed only as declared.", ("kill switches",),
          "this guide", rearmed),
)  # fmt: skip
"""The checks of this group, in their order."""
