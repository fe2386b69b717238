"""Checks 14, 21 and 26 to 28: who bears the loss of a liquidation, and in which order."""

import math
from bisect import bisect_left
from collections import defaultdict

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.fee_schedule import forced_rate
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, not_tested
from detectors.audit.paths import steps_of
from detectors.audit.tape import Evidence
from detectors.fairness.episodes import Episode, Slice, left_after
from detectors.market_data.risk_events import Liquidation

ROUNDING = 1e-6
"""Of amounts relative to the notional that they belong to."""


def escalation(evidence: Evidence) -> Finding:
    """Check 14: the methods of a liquidation come in the claimed order, own orders first."""
    claims = evidence.claims.default.liquidation
    tally, order = Tally(), claims.escalation
    seen: dict[str, int] = defaultdict(int)
    for symbol in evidence.symbols.values():
        for liquidation_id, methods in symbol.records.methods.items():
            names = [method for _, method in methods]
            seen[" then ".join(names)] += 1
            if order is None:
                continue
            places = [order.index(its) if its in order else -1 for its in names]
            if -1 not in places and places == sorted(places):
                tally.held()
                continue
            if -1 not in places and _was_bankrupt(symbol.records.starts.get(liquidation_id)):
                tally.edge()  # the book came once it was solvent again
                continue
            story = f"{liquidation_id}: {', then '.join(names)}"
            tally.breach(Case(methods[0][0], symbol.symbol, "", len(names), 0.0, story))
    if claims.cancel_orders_first:
        _judge_own_orders(evidence, tally)
    if not seen and not tally.population:
        return not_tested(
            "liquidations with method",
            "publish each step with its method; in staging, bankrupt one small account",
            claim=stated("liquidation", claims, "escalation", "cancel_orders_first"),
        )
    facts: dict[str, float | str] = dict(sorted(seen.items()))
    if order is None and not claims.cancel_orders_first:
        return inferred(
            f"{sum(seen.values()):,} liquidations took: {', '.join(sorted(seen))}",
            population=sum(seen.values()), facts=facts,
        )  # fmt: skip
    return judged(
        tally, what="liquidations", facts=facts,
        claim=stated("liquidation", claims, "escalation", "cancel_orders_first"),
    )  # fmt: skip


def _judge_own_orders(evidence: Evidence, tally: Tally) -> None:
    for episode in evidence.episodes:
        first = episode.slices[0]
        if not first.resting_orders:
            tally.held()
            continue
        story = f"{first.resting_orders} own orders still rested at the first slice"
        size = float(first.resting_orders)
        tally.breach(Case(first.ts_event, first.symbol, first.account, size, 0.0, story))


def fee_and_remainder(evidence: Evidence) -> Finding:
    """Check 21: the fee is that of the schedule, and what is left is given back."""
    claims = evidence.claims.default
    tally, paid, kept = Tally(), 0.0, 0.0
    for _, _, part in steps_of(evidence):
        rate = forced_rate(evidence, evidence.symbols[part.symbol], part.ts_event)
        if math.isnan(part.fee) or rate is None:
            continue
        paid += part.fee
        due = rate * part.paid
        allowed = claims.insurance.tolerance + ROUNDING * part.paid
        left = _backing(part)
        capped = min(due, max(left, 0.0)) if math.isfinite(left) else due
        if abs(part.fee - due) <= allowed or abs(part.fee - capped) <= allowed:
            tally.held()
            continue
        story = f"fee {part.fee:.4f} on {part.paid:.2f}; the schedule gives {due:.4f}"
        money = abs(part.fee - due)
        tally.breach(Case(part.ts_event, part.symbol, part.account, money, money, story))
    if claims.liquidation.remainder_returned is not None:
        for episode in evidence.episodes:
            kept += _judge_remainder(evidence, episode, tally)
    if not tally.population:
        return not_tested(
            "liquidations with fee or collateral_returned, and claims of both (or the stream fees)",
            "publish both and state [liquidation] fee and remainder_returned; in staging, "
            "liquidate one small account whole while its equity is above zero",
        )
    return judged(
        tally, what="fees and remainders", tolerance="rounding of amounts",
        claim=stated("liquidation", claims.liquidation, "fee", "remainder_returned"),
        facts={"fees": paid, "kept from accounts": kept},
    )  # fmt: skip


def retail(evidence: Evidence) -> Finding:
    """Check 26: retail accounts are closed out in time and do not end below zero."""
    claims = evidence.claims.default.retail
    clients = {n for n, a in evidence.accounts.items() if a.segment == "retail"}
    if not clients or (claims.closeout is None and not claims.negative_balance):
        return not_tested(
            "accounts with the segment retail, and claims of [retail]",
            "publish accounts with segment; state [retail] closeout = 0.5 and negative_balance",
            claim=stated("retail", claims, "closeout", "negative_balance"),
        )
    tally = Tally()
    for name in sorted(clients):
        balance = evidence.accounts[name].collateral_value
        if not claims.negative_balance or balance is None:
            continue
        if balance >= -evidence.claims.default.insurance.tolerance:
            tally.held()
        else:
            at = evidence.accounts[name].ts_event
            story = f"the account ended at {balance:.2f}"
            tally.breach(Case(at, "*", name, -balance, -balance, story))
    for symbol in evidence.symbols.values():
        margin = symbol.schedule.in_force
        for start in symbol.records.starts.values():
            rate = margin.initial_margin_rate if margin is not None else None
            known = rate and start.mark_price and start.quantity_requested
            if claims.closeout is None or start.account not in clients or not known:
                continue
            required = start.quantity_requested * start.mark_price * rate  # type: ignore[operator]
            ratio = (start.equity_before or 0.0) / required
            if ratio >= claims.closeout * 0.98:
                tally.held()
                continue
            story = f"closed out at {ratio:.0%} of the initial margin"
            tally.breach(
                Case(start.ts_event, symbol.symbol, start.account, claims.closeout - ratio,
                     required * (claims.closeout - ratio), story)
            )  # fmt: skip
    return judged(
        tally, what="retail accounts and close-outs",
        claim=stated("retail", claims, "closeout", "negative_balance"),
        tolerance="2 % of the close-out level",
    )  # fmt: skip


def fund_reconciles(evidence: Evidence) -> Finding:
    """Check 27: each balance of the fund is the one before plus the change, and so are its sums."""
    if not evidence.insurance:
        return not_tested(
            "insurance", "publish the fund's balance with each change, its cause and liquidation"
        )
    claims = evidence.claims.default.insurance
    tally = Tally()
    balances: dict[str, float] = {}
    by_id: dict[str, float] = defaultdict(float)
    withdrawn = 0.0
    for record in evidence.insurance:
        before = balances.get(record.symbol)
        balances[record.symbol] = record.balance
        delta = record.delta or 0.0
        if record.liquidation_id is not None:
            by_id[record.liquidation_id] += delta
        if record.cause == "withdrawal":
            withdrawn -= delta
        allowed = claims.tolerance + ROUNDING * record.balance
        gap = 0.0 if before is None else abs(before + delta - record.balance)
        below = (claims.floor or 0.0) - record.balance
        if gap <= allowed and below <= allowed:
            tally.held()
            continue
        story = (
            f"balance {record.balance:.2f} after {before or 0.0:.2f} and a change of {delta:+.2f}"
            if gap > allowed
            else f"balance {record.balance:.2f} is below the floor of {claims.floor:g}"
        )
        money = max(gap, below)
        tally.breach(Case(record.ts_event, record.symbol, "", money, money, story))
    _compare_deltas(evidence, by_id, tally)
    return judged(
        tally, what="balances and liquidations",
        tolerance=f"{claims.tolerance:g} and 1e-6 of the balance",
        claim=stated("insurance", claims, "floor"), facts={"withdrawn": withdrawn},
    )  # fmt: skip


def loss_complete(evidence: Evidence) -> Finding:
    """Check 28: what an account lost beyond its collateral is paid by somebody."""
    if not evidence.insurance:
        return not_tested("insurance", "publish it; in staging, bankrupt one small account")
    paid: dict[str, float] = defaultdict(float)
    for record in evidence.insurance:
        if record.cause == "loss" and record.liquidation_id is not None:
            paid[record.liquidation_id] -= record.delta or 0.0
    times = [record.ts_event for record in evidence.insurance]
    claims = evidence.claims.default.insurance
    tally, lost, unpaid = Tally(), 0.0, 0.0
    for episode in evidence.episodes:
        last = episode.slices[-1]
        left = left_after(last)
        end = evidence.symbols[last.symbol].records.ends.get(last.liquidation_id)
        if end is None or not _is_closed(last) or math.isnan(left) or last.method != "book":
            continue
        loss = max(0.0, -left)
        lost += loss
        gap = loss - paid.get(last.liquidation_id, 0.0)
        unpaid += max(0.0, gap)
        allowed = claims.tolerance + ROUNDING * episode.notional
        place = bisect_left(times, end.ts_event)
        held = evidence.insurance[place - 1].balance if place else 0.0
        if not claims.covers_all and gap > 0.0:  # what the fund did not hold, it cannot pay
            gap = max(0.0, min(gap, held - paid.get(last.liquidation_id, 0.0)))
        if abs(gap) <= allowed:
            tally.held()
            continue
        story = (
            f"{last.liquidation_id} ended {loss:.2f} beyond the collateral; the fund paid "
            f"{paid.get(last.liquidation_id, 0.0):.2f}"
        )
        tally.breach(Case(last.ts_event, last.symbol, last.account, abs(gap), abs(gap), story))
    return judged(
        tally, what="closed positions", tolerance="rounding of amounts",
        claim=stated("insurance", claims, "covers_all"),
        facts={"lost beyond collateral": lost, "of which nobody paid": unpaid},
    )  # fmt: skip


def _was_bankrupt(start: Liquidation | None) -> bool:
    return start is not None and start.equity_before is not None and start.equity_before <= 0.0


def _backing(part: Slice) -> float:
    """Return what backs the rest of a position after a slice, before its fee: no fee exceeds it.

    That is the margin with the loss of what was closed, and the open profit of what is left.
    """
    left = left_after(part) + (0.0 if math.isnan(part.fee) else part.fee)
    if _is_closed(part) or math.isnan(part.mark_price):
        return left
    rest = part.quantity - math.copysign(part.filled, part.quantity)
    return left + rest * (part.mark_price - part.entry_price)


def _is_closed(part: Slice) -> bool:
    return abs(abs(part.quantity) - part.filled) <= 1e-9 * part.filled


def _judge_remainder(evidence: Evidence, episode: Episode, tally: Tally) -> float:
    """Judge what an account got back; return what was kept from it."""
    last = episode.slices[-1]
    left = left_after(last)
    if math.isnan(last.returned) or math.isnan(left) or not _is_closed(last):
        return 0.0
    kept = max(0.0, left) - last.returned
    if not evidence.claims.default.liquidation.remainder_returned or kept <= (
        evidence.claims.default.insurance.tolerance + ROUNDING * episode.notional
    ):
        tally.held()
        return max(0.0, kept)
    story = f"{left:.2f} was left and {last.returned:.2f} given back"
    tally.breach(Case(last.ts_event, last.symbol, last.account, kept, kept, story))
    return kept


def _compare_deltas(evidence: Evidence, by_id: dict[str, float], tally: Tally) -> None:
    """Compare what liquidations state of the fund with what the fund states of them."""
    claimed: dict[str, float] = defaultdict(float)
    last: dict[str, Slice] = {}
    for _, _, part in steps_of(evidence):
        if not math.isnan(part.insurance_delta):
            claimed[part.liquidation_id] += part.insurance_delta
            last[part.liquidation_id] = part
    for symbol in evidence.symbols.values():
        for end in symbol.records.ends.values():
            if end.insurance_delta is not None and end.liquidation_id in claimed:
                claimed[end.liquidation_id] += end.insurance_delta
    tolerance = evidence.claims.default.insurance.tolerance
    for name, delta in claimed.items():
        gap = abs(delta - by_id.get(name, 0.0))
        if gap <= tolerance + ROUNDING * last[name].paid:
            tally.held()
            continue
        story = (
            f"{name}: the liquidation states {delta:+.4f} for the fund, the fund "
            f"{by_id.get(name, 0.0):+.4f}"
        )
        tally.breach(
            Case(last[name].ts_event, last[name].symbol, last[name].account, gap, gap, story)
        )


CHECKS = (
    Check("14", "escalation", "Methods come in the claimed order; own orders are cancelled first.",
          ("liquidations", "orders", "cancels"), "Bybit, WhiteBIT: published stages", escalation),
    Check("21", "fee_and_remainder", "The fee is that of the schedule; what is left is returned.",
          ("liquidations", "positions", "fees"), "this guide", fee_and_remainder),
    Check("26", "retail", "Retail accounts are closed out in time, and never end below zero.",
          ("accounts", "liquidations", "margins"), "ESMA Q&A 1986 and 204717", retail),
    Check("27", "fund_reconciles", "Balances of the fund follow from its changes.",
          ("insurance", "liquidations"), "Chitra, arXiv:2512.01112", fund_reconciles),
    Check("28", "loss_complete", "Losses beyond collateral are paid, as far as the fund reaches.",
          ("insurance", "liquidations", "positions"), "this guide", loss_complete),
)  # fmt: skip
"""The checks of this group, in their order."""
