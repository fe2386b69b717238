"""Why a broken rule makes other checks fail: they judge what follows from it."""

_WAITS = "who is liquidated late or never waits, while others who are better off are served"
_EARLY = "a position above maintenance by the mark price must not be reduced"
_BOOK = "the recomputed book is not the venue's"

RELATED: dict[str, dict[str, str]] = {
    "last_price": {
        "below_maintenance": _EARLY,
        "sufficiency": _EARLY,
        "acts_in_time": "below maintenance by the mark price, above it by the last trade",
        "service_order": _WAITS,
        "requirements": "the records state the margin at the price of the last trade",
    },
    "fixed_index": {
        "funding": "the premium over an index that stands still takes the rate beyond its cap",
        "mark_recomputable": "the mark price is at its clamp",
    },
    "lagging_mark": {"window_constant": "no window of the stated rule fits an old mark price"},
    "silent_window": {"mark_recomputable": "the stated window does not give the mark price"},
    "stale_prices": {"reference_rate": "no references come while prices stop"},
    "large_whole": {"strategy": "the first slice is the whole position"},
    "early": {"sufficiency": _EARLY, "one_reference": _EARLY},
    "late": {"service_order": _WAITS, "equal_treatment": _WAITS},
    "small_skipped": {"service_order": _WAITS},
    "small_wait": {"service_order": _WAITS, "acts_in_time": _WAITS},
    "house_waits": {"service_order": _WAITS, "acts_in_time": _WAITS},
    "house_exempt": {"service_order": _WAITS},
    "best_first": {"acts_in_time": _WAITS, "equal_treatment": _WAITS},
    "flips": {
        "strategy": "the order is larger than the position",
        "fee_and_remainder": "a fee is taken from the position on the other side",
    },
    "wrong_side": {
        "strategy": "the position has grown, and the next steps are those of the smaller one",
        "loss_complete": "margin is put up for what was bought on the account's behalf",
        "fee_and_remainder": "the same",
    },
    "goes_on": {
        "below_maintenance": "a liquidation that goes on after a pause begins above maintenance",
        "one_reference": _EARLY,
        "really_partial": "the whole position is closed",
    },
    "silent_withdrawal": {"loss_complete": "the fund cannot pay what its records say it holds"},
    "crossing_orders": {
        "mark_recomputable": "the mid price of a crossed book is not known",
        "window_constant": "the same",
    },
    "hidden_orders": {
        "mark_recomputable": _BOOK,
        "window_constant": _BOOK,
        "crossed_books": _BOOK,
        "price_received": _BOOK,
        "trades_in_book": _BOOK,
        "strategy": "an order of a liquidation is not known",
        "reduce_only": "the same",
        "acts_in_time": "an order that tries the book is not seen",
        "service_order": "the same",
    },
    "lost_events": {
        "crossed_books": _BOOK,
        "mark_recomputable": _BOOK,
        "window_constant": _BOOK,
        "positions_explained": "trades are missing",
        "conservation": "the same",
        "prints": "the same",
        "trades_in_book": _BOOK,
        "price_received": _BOOK,
        "unknown_orders": "orders are missing",
        "strategy": "positions are missing",
        "fee_and_remainder": "the same",
        "reductions": "the same",
        "acts_in_time": "the same",
        "service_order": "the same",
    },
    "repeated_trades": {
        "positions_explained": "the fill counts twice",
        "conservation": "the same",
        "prints": "the same",
        "reduce_only": "the same",
        "fee_and_remainder": "the same",
        "strategy": "the same",
        "loss_complete": "the same",
        "reductions": "the same",
    },
    "throttled_prints": {
        "fund_reconciles": "slices whose trades are not marked are not seen",
        "fee_and_remainder": "the same",
        "loss_complete": "the same",
    },
    "off_the_book": {
        "price_protection": "a price at the edge of the band ends beyond it",
        "price_received": "the account gets less than the visible book offers",
    },
    "mis_tiers": {
        "below_maintenance": "the rates of a higher tier are higher",
        "one_reference": "the same",
        "sufficiency": "the same",
        "requirements": "the same",
    },
    "fee_above_maintenance": {"tiers": "the margin rates are not the stated ones"},
    "no_notice": {"silent_liquidations": "the rise liquidates accounts that could not prepare"},
    "silent_raise": {"notice": "the same breach"},
    "oscillating_margins": {
        "silent_liquidations": "a rise liquidates",
        "tiers": "the last rates are raised",
    },
}
"""By breach and check. A check that fails and is not here is unrelated: one of them is wrong."""
