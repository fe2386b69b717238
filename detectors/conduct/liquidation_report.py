"""The record of a liquidation that is over."""

import math
from typing import NamedTuple

import numpy as np

from detectors.conduct.followed import Followed, needed_of
from detectors.conduct.liquidation_record import LiquidationRecord
from detectors.fairness.episodes import Slice
from detectors.fairness.mark_windows import (
    HORIZONS_SECONDS,
    OWN,
    WINDOWS,
    Outcome,
    Path,
    Victim,
    marks_under,
    outcome,
    rebound_seconds,
)
from detectors.risk.marks import MarkRule
from detectors.risk.reduction import Reduction
from detectors.risk_watch.records import finite
from detectors.table import Floats

EXPECTED_CLAMP = 0.05
"""The largest premium of a mark price where the venue does not state its own, as a ratio."""

TOLD_WINDOW = "ema_60s"
"""The window whose regret the record states beside those of all."""

REBOUNDS_SECONDS = (30.0, 60.0, 300.0)


class Along(NamedTuple):
    """The prices of a symbol, and the mark price of each window along them."""

    path: Path
    marks: dict[str, Floats]
    own: MarkRule | None


def along(path: Path, clamp: float, own: MarkRule | None) -> Along:
    """Return the mark prices along a path; ``own`` is the venue's rule, None if unknown."""
    windows = (*WINDOWS, OWN)
    marks = {window: marks_under(path, window, clamp, own) for window in windows}
    return Along(path, marks, own)


def liquidation_record(
    its: Followed, ts_event: int, prices: Along | None, rule: Reduction
) -> LiquidationRecord:
    """Return the record of a liquidation with at least one slice.

    Parameters
    ----------
    its
        The liquidation.
    ts_event
        When the record is published.
    prices
        From before it to 300 s after its first slice, as far as they are known.
    rule
        What the settings declare of the venue's reductions.
    """
    taken, size = its.taken, its.size
    path = None if prices is None else prices.path
    least = _needed(its, rule)
    victim = _victim(its)
    rebound = rebound_seconds(path, victim) if path is not None and victim is not None else None
    is_followed = (
        path is not None
        and path.times[-1] * 1e9 - its.first_slice_ns >= (HORIZONS_SECONDS[-1] - 1.0) * 1e9
    )
    windows = _windows(prices, victim)
    told = next((each for each in windows if each.window == TOLD_WINDOW), None)
    waited = its.first_slice_ns - its.below_since_ns if its.below_since_ns else math.nan
    backed = victim is not None and is_followed

    def within(seconds: float) -> bool | None:
        return rebound is not None and rebound <= seconds if backed else None

    return LiquidationRecord(
        symbol=its.symbol,
        ts_event=ts_event,
        liquidation_id=its.liquidation_id,
        account=its.account,
        side=its.side,
        started_at=its.first_action_ns,
        first_slice_at=its.first_slice_ns,
        ended_at=its.ended_ns or its.parts[-1].its.ts_event,
        size=size,
        notional=its.notional if math.isfinite(its.notional) else its.closed_notional,
        size_class=its.size_class,
        methods=list(its.methods),
        slices=len(its.parts),
        mark_price=finite(its.mark_price),
        index_price=finite(its.index_price),
        trigger_price=finite(its.trigger_price),
        equity=finite(its.equity),
        maintenance=finite(its.maintenance),
        needed=finite(least),
        taken=taken,
        taken_ratio=finite(taken / least) if least > 0.0 else None,
        excess_ratio=finite(its.excess),
        beyond_rule_ratio=finite(its.beyond_rule),
        wait_seconds=finite(waited / 1e9),
        concession_mid_bps=finite(concession_bps(its, "mid")),
        concession_mark_bps=finite(concession_bps(its, "mark_price")),
        fee=finite(_fee(its)),
        loss=finite(max(0.0, -left_of(its))),
        returned=finite(its.returned),
        rebound_seconds=rebound,
        rebound_30s=within(REBOUNDS_SECONDS[0]),
        rebound_60s=within(REBOUNDS_SECONDS[1]),
        rebound_300s=within(REBOUNDS_SECONDS[2]),
        windows=windows,
        regret=told.regret if told is not None and told.survives_300s is not None else None,
        added_loss=told.added_loss if told is not None and told.survives_300s is not None else None,
        coverage_ratio=finite(its.coverage_ratio),
        assumptions=_assumptions(
            its, backed=backed, rule_known=prices is not None and prices.own is not None
        ),
        venue_rule_version=its.venue_rule_version,
    )


def concession_bps(its: Followed, against: str) -> float:
    """Return how much worse than a price its slices were closed, by quantity; NaN if unknown.

    ``against`` is ``mid`` or ``mark_price``. Takeovers and deleveragings are at no market price and
    do not count.
    """
    worse = quantity = 0.0
    for part in its.parts:
        price: float = getattr(part.its, against)
        if part.its.method != "book" or not price > 0.0:
            continue
        sign = 1.0 if part.its.selling else -1.0
        worse += part.its.filled * sign * (price - part.its.price) / price * 1e4
        quantity += part.its.filled
    return worse / quantity if quantity else math.nan


def left_of(its: Followed) -> float:
    """Return what is left of an isolated margin after its slices and fees; NaN if unknown.

    Below 0 it is the loss beyond what backed the position.
    """
    if its.contract is None or math.isnan(its.margin):
        return math.nan
    sign = math.copysign(1.0, its.quantity)
    realised = 0.0
    for part in its.parts:
        filled, price = part.its.filled, part.its.price
        if its.contract.inverse:
            realised += -sign * filled * (1.0 / price - 1.0 / its.entry_price)
        else:
            realised += sign * filled * (price - its.entry_price)
    fee = _fee(its)
    return its.margin + realised - (0.0 if math.isnan(fee) else fee)


def _fee(its: Followed) -> float:
    fees = [part.its.fee for part in its.parts if not math.isnan(part.its.fee)]
    return math.fsum(fees) if fees else math.nan


def _needed(its: Followed, rule: Reduction) -> float:
    """Return the minimal sufficient reduction at the trigger, at the fee that was taken."""
    fees = [
        part.its.fee / part.its.paid
        for part in its.parts
        if part.its.fee > 0.0 and part.its.paid > 0.0 and its.contract is not None
        and not its.contract.inverse
    ]  # fmt: skip
    first = its.parts[0].its
    trigger = Slice(
        its.first_action_ns, its.symbol, its.account, "", selling=first.selling,
        quantity=its.quantity, mark_price=its.mark_price,
        equity=its.equity if not math.isnan(its.equity) else first.equity,
        maintenance=its.maintenance if not math.isnan(its.maintenance) else first.maintenance,
    )  # fmt: skip
    fee_ratio = min(max(fees), 0.5) if fees else rule.fee_ratio
    return needed_of(its, trigger, rule._replace(kind="sufficient", fee_ratio=fee_ratio))


def _victim(its: Followed) -> Victim | None:
    if not its.trigger_price > 0.0 or not math.isfinite(its.trigger_price):
        return None
    quantities = np.array([part.its.filled for part in its.parts])
    prices = np.array([part.its.price for part in its.parts])
    if its.contract is not None and its.contract.inverse:  # face values: what they buy of the base
        quantities = quantities / prices
    sign = math.copysign(1.0, its.quantity)
    return Victim(its.first_slice_ns / 1e9, its.trigger_price, sign, quantities, prices)


def _windows(prices: Along | None, victim: Victim | None) -> list[Outcome]:
    if prices is None or victim is None:
        return []
    return [outcome(window, marks, prices.path, victim) for window, marks in prices.marks.items()]


def _assumptions(its: Followed, *, backed: bool, rule_known: bool) -> list[str]:
    found = {
        "linear_contract": its.contract is None,
        "position_unknown": math.isnan(its.margin) and not its.is_cross,
        "cross_account_elsewhere_unmoved": its.is_cross,
        "size_at_the_first_slice": not its.initial_known,
        "position_grew_meanwhile": its.has_grown,
        "path_incomplete": not backed,
        "mark_rule_unknown": not rule_known,
        "path_held_fixed": backed,
    }
    return [name for name, holds in found.items() if holds]
