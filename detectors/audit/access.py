"""Checks 37 to 39: rate limits, latency, and the reaction to what should stop trading."""

import math
from collections.abc import Iterable

from detectors.audit.beside import VENUE
from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.minutes import Latencies
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, merged, not_tested
from detectors.audit.tape import Evidence
from detectors.kill_switch.switch import KillSwitch
from detectors.market_data.events import Kind

ACKS = "acknowledgements of orders (the stream acks)"
LEAST_ANSWERS = 100
"""Answers under stress, and in calm, below which their quantiles are not compared."""


def rejects(evidence: Evidence) -> Finding:
    """Check 37: limits of orders a second bind all classes alike, and cancels never."""
    answers, claims = evidence.answers, evidence.claims.default
    if not evidence.has(Kind.ACK):
        return not_tested(
            ACKS, "publish them; in staging, send twice the limit from a maker's and a client's "
            "session, and cancels beside it", claim=stated("access", claims.access,
            "orders_per_second"),
        )  # fmt: skip
    facts, classes = _by_class(evidence)
    tally = merged((answers.limits, answers.cancels))
    compared = Tally()
    if claims.fairness.equal_treatment:
        _compare_classes(evidence, classes, compared)
        tally.add(compared)
    is_claimed = claims.access.orders_per_second is not None or compared.population
    if not is_claimed and not answers.cancels.breaches:
        limited = sum(its.limited for its in answers.accounts.values())
        orders = sum(its.orders for its in answers.accounts.values())
        return inferred(
            f"{limited:,} of {orders:,} orders were refused for their rate, no cancel; what each "
            "class could send is among the facts", population=orders, facts=facts,
        )  # fmt: skip
    return judged(
        tally, what="orders and cancels", facts=facts,
        claim=stated("access", claims.access, "orders_per_second")
        or stated("fairness", claims.fairness, "equal_treatment"),
        tolerance="between the limit and twice the limit within a second it depends on where the "
        "venue's second begins",
    )  # fmt: skip


def latency(evidence: Evidence) -> Finding:
    """Check 38: acknowledgements are not much slower under stress."""
    claims = evidence.claims.default.access
    plan = "publish received_at and accepted_at; in staging, compare the 99 % quantile in calm and "
    plan += "in a simulated rush"
    if not evidence.has(Kind.ACK):
        return not_tested(ACKS, plan)
    tally, facts = Tally(), {}
    total = {False: Latencies(), True: Latencies()}
    for symbol in evidence.symbols.values():
        of = symbol.minutes.answers
        for stressed, its in of.items():
            total[stressed].merge(its)
        if min(its.count for its in of.values()) < LEAST_ANSWERS:
            continue
        calm, rush = of[False].quantile_ms(0.99), of[True].quantile_ms(0.99)
        facts[f"99 % of answers of {symbol.symbol} in calm, ms"] = calm
        facts[f"99 % of answers of {symbol.symbol} under stress, ms"] = rush
        factor = rush / max(calm, 1e-6)
        if factor <= (claims.stress_latency_factor or math.inf):
            tally.held()
            continue
        story = f"99 % of the answers took {rush:.2f} ms under stress, {calm:.2f} ms in calm"
        tally.breach(Case(evidence.last_ns, symbol.symbol, "", factor, 0.0, story))
    if not tally.population:
        return not_tested(
            f"{LEAST_ANSWERS} answers with received_at in calm, and as many in minutes in which "
            "positions are closed by force", plan,
        )  # fmt: skip
    if claims.stress_latency_factor is None:
        worst = total[True].quantile_ms(0.99) / max(total[False].quantile_ms(0.99), 1e-6)
        return inferred(
            f"99 % of the answers took {total[True].quantile_ms(0.99):.2f} ms under stress, "
            f"{worst:.1f} times as long as in calm", population=tally.population, facts=facts,
        )  # fmt: skip
    return judged(
        tally, what="symbols", facts=facts, tolerance="bins of 4.4 %",
        claim=stated("access", claims, "stress_latency_factor"),
    )  # fmt: skip


def reaction(evidence: Evidence) -> Finding:
    """Check 39: a halt follows its cause within five seconds, and cancels stay possible."""
    claims = evidence.claims.default.access
    tally = merged(symbol.gate.cancels for symbol in evidence.symbols.values())
    cancels, waits = tally.population, []
    switches = evidence.beside.switches or ()
    if evidence.has(Kind.STATUS):
        for trip in trips(switches):
            for symbol in evidence.symbols.values():
                if trip.symbol not in (symbol.symbol, VENUE):
                    continue
                halted = [at for at, state, _ in symbol.states if state == "halted"]
                after = min((at for at in halted if at >= trip.since), default=None)
                wait = math.inf if after is None else (after - trip.since) / 1e9
                waits.append(wait)
                if wait <= claims.reaction_seconds:
                    tally.held()
                    continue
                when = "never" if after is None else f"after {wait:.1f} s"
                story = f"tripped ({trip.reason}), and halted {when}"
                size = min(wait, 1e9)
                tally.breach(Case(trip.since, symbol.symbol, "", size, 0.0, story))
    facts: dict[str, float | str] = {
        "trips followed by the states": len(waits), "cancels in halts and after trips": cancels,
    }  # fmt: skip
    if not tally.population:
        return not_tested(
            "cancels in a halt (statuses), or trips (switches.ndjson beside the record) with "
            "statuses",
            "publish trading states and acks; in staging, trip the kill switch and cancel a "
            "resting order",
        )
    return judged(
        tally, what="trips and cancels", facts=facts,
        claim=stated("access", claims, "reaction_seconds"),
    )  # fmt: skip


def trips(switches: Iterable[KillSwitch]) -> list[KillSwitch]:
    """Return the first record of each trip, in the order of time."""
    found: dict[tuple[str, int], KillSwitch] = {}
    for its in switches:
        if its.state == "tripped" and not its.drill:
            found.setdefault((its.symbol, its.since), its)
    return sorted(found.values(), key=lambda its: (its.since, its.symbol))


class _Class:
    """What the accounts of one class could send within a second."""

    def __init__(self) -> None:
        self.orders = self.limited = 0
        self.most_accepted = 0
        self.least_limited = math.inf


def _by_class(evidence: Evidence) -> tuple[dict[str, float | str], dict[str, _Class]]:
    classes: dict[str, _Class] = {}
    for account, its in sorted(evidence.answers.accounts.items()):
        known = evidence.accounts.get(account)
        name: str = (known.segment if known is not None else None) or "unknown"
        of = classes.setdefault(name, _Class())
        of.orders += its.orders
        of.limited += its.limited
        of.most_accepted = max(of.most_accepted, its.most_accepted)
        if its.least_limited:
            of.least_limited = min(of.least_limited, its.least_limited)
    facts: dict[str, float | str] = {}
    for name, of in sorted(classes.items()):
        refused = (
            f"refused from {of.least_limited:.0f} a second on" if of.limited else "none refused"
        )
        facts[f"class {name}"] = (
            f"{of.orders:,} orders, {of.limited:,} refused for their rate ({refused}), accepted up "
            f"to {of.most_accepted:,} a second"
        )
    return facts, classes


def _compare_classes(evidence: Evidence, classes: dict[str, _Class], tally: Tally) -> None:
    """Count each pair of classes of which one sent twice what the other was refused for."""
    for name, of in sorted(classes.items()):
        for other, its in sorted(classes.items()):
            if name == other or not its.limited:
                continue
            # Twice the limit may fall into one second of ours, and the limit into one of theirs.
            if of.most_accepted <= 2 * its.least_limited:
                tally.held()
                continue
            story = (
                f"class {name} had {of.most_accepted:,} orders within a second accepted; class "
                f"{other} was refused from {its.least_limited:.0f} on"
            )
            size = of.most_accepted / its.least_limited
            tally.breach(Case(evidence.last_ns, "*", "", size, 0.0, story))


CHECKS = (
    Check("37", "rejects", "Rate limits bind all classes alike, and cancels never.",
          ("acks", "accounts"), "RTS 7 Art. 18(1)(a), (3)(g)", rejects),
    Check("38", "latency", "Acknowledgements are not much slower under stress.",
          ("acks", "trades"), "this guide", latency),
    Check("39", "reaction", "A halt follows its cause within 5 s; cancels stay possible.",
          ("statuses", "cancels", "acks", "kill switches"), "RTS 7 Art. 12(3), 18, 20(2)(b)",
          reaction),
)  # fmt: skip
"""The checks of this group, in their order."""
