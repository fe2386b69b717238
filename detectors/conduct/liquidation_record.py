"""What is published of a liquidation once it is over: what it needed, took, cost and spared."""

from typing import Literal

from msgspec import Struct

from detectors.fairness.mark_windows import Outcome
from detectors.risk.ladder import Side

RULE_VERSION = "1"
"""The version of the computation: a change of its formulas or constants raises it."""

SizeClass = Literal["smallest", "second", "third", "largest"]
"""The quarter of the open positions of the symbol, by quantity, into which a position fell."""

SIZE_CLASSES: tuple[SizeClass, ...] = ("smallest", "second", "third", "largest")


class LiquidationRecord(Struct, frozen=True, kw_only=True):
    """A liquidation of one account's position in one symbol.

    It is published once, 300 s after its first slice or at its end, whichever is later: by then all
    is known. Money is in the quote currency but for the fields that say otherwise; what is unknown
    is null.

    Attributes
    ----------
    symbol, ts_event
        The symbol, and when the record is published, in nanoseconds of event time.
    liquidation_id, account, side
        The venue's name of it, whose position, and the side of the position.
    started_at, first_slice_at, ended_at
        Times of its first record, of its first slice, and of its end: the venue's record of that,
        or the last slice.
    size, notional
        The unsigned quantity before, and at the mark price of the trigger.
    size_class
        See `SizeClass`.
    methods
        How it was closed, in the order of their first use.
    slices
        How many orders, takeovers and deleveragings closed it.
    mark_price, index_price
        Those of the decision to liquidate.
    trigger_price
        The mark price at which the position was at its maintenance margin.
    equity, maintenance
        What backed the position and what it needed, at the trigger, in the settlement currency.
    needed
        The minimal sufficient reduction at the trigger: the least quantity whose closing restores
        the position, at the fee that was taken.
    taken
        The quantity that was closed.
    taken_ratio
        ``taken`` over ``needed``; null if nothing was needed.
    excess_ratio
        The part of the position that the slices took beyond what each needed at its own mark price:
        the venue's excess without what the price did in between.
    beyond_rule_ratio
        The part that they took beyond the rule that the settings declare for the venue.
    wait_seconds
        From when the mark price was beyond ``trigger_price`` to the first slice.
    concession_mid_bps, concession_mark_bps
        How much worse than the mid price of the second before, and than the mark price of its
        decision, the slices were closed, by quantity; negative if better.
    fee, loss
        The fees, and what the position lost beyond what backed it, in the settlement currency.
    returned
        What was given back to the account, in the settlement currency.
    rebound_seconds, rebound_30s, rebound_60s, rebound_300s
        How long after the first slice the index was 5 bps on the safe side of ``trigger_price``,
        and whether that was within those times.
    windows
        What other mark prices would have made of it; ``own`` is the control.
    regret, added_loss
        Of the window of 60 s (``ema_60s``): what this position would have more or less with it.
    coverage_ratio
        The known positions of the side over the open interest.
    assumptions
        What was assumed where the venue's streams do not say.
    rule_version
        The version of this computation.
    venue_rule_version
        The venue's name of its rules.
    """

    symbol: str
    ts_event: int
    liquidation_id: str
    account: str
    side: Side
    started_at: int
    first_slice_at: int
    ended_at: int
    size: float
    notional: float
    size_class: SizeClass | None
    methods: list[str]
    slices: int
    mark_price: float | None
    index_price: float | None
    trigger_price: float | None
    equity: float | None
    maintenance: float | None
    needed: float | None
    taken: float
    taken_ratio: float | None
    excess_ratio: float | None
    beyond_rule_ratio: float | None
    wait_seconds: float | None
    concession_mid_bps: float | None
    concession_mark_bps: float | None
    fee: float | None
    loss: float | None
    returned: float | None
    rebound_seconds: float | None
    rebound_30s: bool | None
    rebound_60s: bool | None
    rebound_300s: bool | None
    windows: list[Outcome]
    regret: float | None
    added_loss: float | None
    coverage_ratio: float | None
    assumptions: list[str]
    rule_version: str = RULE_VERSION
    venue_rule_version: str | None = None
