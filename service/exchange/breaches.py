"""A venue that breaks its rules on purpose: one breach for each check of the audit.

Mutation testing of the audit: each breach changes what the simulated venue does, from the start and
in a consistent record, and names the check that must fail by it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.exchange.rules import KEPT, Rules

Market = str
Changes = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken rule.

    Attributes
    ----------
    check
        The name of the check that must fail.
    does
        What the venue does, in one line.
    amount
        The usual size of the breach, in the unit that ``does`` names; 0 if it has none.
    changes
        The fields that an amount changes, by section of `Rules`.
    """

    check: str
    does: str
    amount: float
    changes: Callable[[float], Changes]

    def rules(self, name: str, amount: float | None = None) -> Rules:
        """The rules of a venue with this breach of a size; None: the usual one."""
        size = self.amount if amount is None else amount
        sections = {
            section: replace(getattr(KEPT, section), **fields)
            for section, fields in self.changes(size).items()
        }
        return replace(KEPT, breach=name, amount=size, **sections)


def _fixed(**sections: Mapping[str, Any]) -> Callable[[float], Changes]:
    return lambda _: sections


def _one(section: str, field: str) -> Callable[[float], Changes]:
    return lambda amount: {section: {field: amount}}


def _scaled(section: str, field: str, base: float = 1.0) -> Callable[[float], Changes]:
    """The field is ``base`` times one plus the amount."""
    return lambda amount: {section: {field: base * (1.0 + amount)}}


BREACHES: dict[str, Breach] = {
    # Definitions and inputs
    "last_price": Breach(
        "one_reference", "liquidates by the price of the last trade instead of the mark price", 0.0,
        _fixed(liquidation={"trigger_price": "last"}),
    ),
    "fixed_index": Breach(
        "index_sane", "the index stands still after this many seconds", 60.0,
        _one("prices", "index_fixed_seconds"),
    ),
    "lagging_mark": Breach(
        "mark_recomputable", "the mark price is this many seconds old", 5.0,
        _one("prices", "lag_seconds"),
    ),
    "silent_window": Breach(
        "window_constant",
        "averages the premium over this many seconds instead of 30 from the fifth minute on", 90.0,
        lambda amount: {
            "prices": {"window_change_seconds": 300.0, "later_window_seconds": amount}
        },
    ),
    "stale_prices": Breach(
        "staleness",
        "prices stop for this many seconds in a cascade, and liquidations go on", 30.0,
        _one("prices", "outage_seconds"),
    ),
    "wrong_liquidation_price": Breach(
        "liquidation_price", "publishes liquidation prices that are too high by this ratio", 0.001,
        _scaled("publication", "liquidation_price_scale"),
    ),
    "hidden_interest": Breach(
        "conservation", "leaves this share of the open interest out", 0.2,
        lambda amount: {"publication": {"open_interest_scale": 1.0 - amount}},
    ),
    "moved_positions": Breach(
        "positions_explained",
        "moves a tenth of a position to another account every so many seconds", 60.0,
        _one("waterfall", "moved_seconds"),
    ),
    "dominant_source": Breach(
        "single_source", "one source has this weight in the index, and strays from the others", 0.8,
        _one("prices", "leader_weight"),
    ),
    # Liquidation paths
    "takes_too_much": Breach(
        "strategy", "steps close more than stated, by this ratio", 0.5,
        _scaled("liquidation", "step_share", 0.2),
    ),
    "takes_too_little": Breach(
        "strategy", "steps close less than stated, by this ratio", 0.5,
        lambda amount: {"liquidation": {"step_share": 0.2 * (1.0 - amount)}},
    ),
    "small_in_steps": Breach(
        "strategy", "closes small positions in steps, although it states that it closes them whole",
        0.0, _fixed(liquidation={"whole_below_orders": 0.0}),
    ),
    "large_whole": Breach(
        "really_partial", "closes large positions whole", 0.0,
        _fixed(liquidation={"whole_below_orders": 1e9}),
    ),
    "early": Breach(
        "below_maintenance", "liquidates this ratio above the maintenance margin", 0.1,
        _scaled("liquidation", "trigger_ratio"),
    ),
    "late": Breach(
        "acts_in_time", "begins liquidations this many seconds late", 20.0,
        lambda amount: {"liquidation": {"waits": "everybody", "wait_seconds": amount}},
    ),
    "small_skipped": Breach(
        "acts_in_time", "does not liquidate small positions", 0.0,
        _fixed(liquidation={"exempt": "small"}),
    ),
    "takeover_first": Breach(
        "escalation", "the fund takes positions over before the book is tried", 0.0,
        _fixed(liquidation={"takeover_first": True}),
    ),
    "flips": Breach(
        "reduce_only", "the last order of a liquidation is too large by this ratio", 0.5,
        _scaled("liquidation", "oversell"),
    ),
    "wrong_side": Breach(
        "reduce_only", "the first order of a liquidation enlarges the position", 0.0,
        _fixed(liquidation={"first_side_wrong": True}),
    ),
    "goes_on": Breach(
        "sufficiency", "closes the whole position although a part has restored it", 0.0,
        _fixed(liquidation={"stops_when_restored": False}),
    ),
    "no_cool_down": Breach(
        "cool_down", "steps are this many seconds apart as a mean", 0.05,
        _one("liquidation", "step_delay_seconds"),
    ),
    "no_price_limit": Breach(
        "price_protection", "forced orders trade up to this ratio from the mark price", 0.5,
        _one("liquidation", "price_band"),
    ),
    "trades_through": Breach(
        "price_received", "forced orders do not trade with so many of the best price levels", 2,
        _one("liquidation", "skipped_levels"),
    ),
    "double_fee": Breach(
        "fee_and_remainder", "charges more than the stated fee, by this ratio", 1.0,
        _scaled("waterfall", "fee_multiple"),
    ),
    "keeps_remainder": Breach(
        "fee_and_remainder", "keeps what is left of a closed position", 0.0,
        _fixed(waterfall={"remainder_returned": False}),
    ),
    "best_first": Breach(
        "service_order",
        "begins one liquidation in so many seconds: that of the latest account below maintenance",
        1.0, _one("liquidation", "best_first_seconds"),
    ),
    "small_wait": Breach(
        "equal_treatment", "small accounts are liquidated this many seconds later", 4.0,
        lambda amount: {"liquidation": {"waits": "small", "wait_seconds": amount}},
    ),
    "house_waits": Breach(
        "equal_treatment", "accounts of the house are liquidated this many seconds later", 4.0,
        lambda amount: {"liquidation": {"waits": "house", "wait_seconds": amount}},
    ),
    "house_exempt": Breach(
        "acts_in_time", "accounts of the house are not liquidated", 0.0,
        _fixed(liquidation={"exempt": "house"}),
    ),
    "wicks": Breach(
        "rebound", "the mark price is this ratio too low for ten seconds of every five minutes",
        0.03, _one("prices", "wick_ratio"),
    ),
    "liquidates_in_halts": Breach(
        "halts", "liquidations go on in a halt", 0.0, _fixed(liquidation={"in_halts": True})
    ),
    # The loss waterfall
    "silent_withdrawal": Breach(
        "fund_reconciles", "this share of the fund leaves it every minute without a record", 0.01,
        _one("waterfall", "withdrawn_ratio"),
    ),
    "unpaid_losses": Breach(
        "loss_complete", "the fund pays no losses", 0.0, _fixed(waterfall={"pays_losses": False})
    ),
    "leaves_debts": Breach(
        "retail",
        "begins liquidations this many seconds late, and leaves accounts with the losses", 10.0,
        lambda amount: {
            "waterfall": {"pays_losses": False},
            "liquidation": {"waits": "everybody", "wait_seconds": amount},
        },
    ),
    "takes_equity": Breach(
        "liquidator_profit",
        "the fund takes positions over, at the price at which nothing is left, once their equity "
        "is below this multiple of the maintenance margin", 0.9,
        _one("waterfall", "takeover_ratio"),
    ),
    "needless_adl": Breach(
        "adl_necessary", "deleverages although the fund could take over", 0.0,
        _fixed(waterfall={"takes_over": False}),
    ),
    "excessive_adl": Breach(
        "adl_exact", "deleverages more than the bankrupt position, by this ratio", 0.1,
        _one("waterfall", "adl_excess_ratio"),
    ),
    "reversed_adl": Breach(
        "adl_order", "deleverages the end of the queue first", 0.0,
        _fixed(waterfall={"adl_rule": "reversed"}),
    ),
    "other_adl": Breach(
        "adl_order", "deleverages in proportion although it states a queue", 0.0,
        _fixed(waterfall={"adl_rule": "pro_rata"}),
    ),
    # Parameters and operations
    "no_notice": Breach(
        "notice", "margin changes take effect so many seconds after their announcement", 0.0,
        _one("parameters", "notice_seconds"),
    ),
    "no_reason": Breach(
        "notice", "announces margin changes without a reason", 0.0,
        _fixed(parameters={"gives_reasons": False}),
    ),
    "silent_raise": Breach(
        "silent_liquidations", "as no_notice: who is liquidated by it", 0.0,
        _one("parameters", "notice_seconds"),
    ),
    "oscillating_margins": Breach(
        "cooling", "margin rates rise and fall after each so many seconds", 60.0,
        _one("parameters", "oscillation_seconds"),
    ),
    "high_funding": Breach(
        "funding", "the funding rate is higher by this", 0.02, _one("prices", "extra_funding")
    ),
    "zeroed_funding": Breach(
        "funding", "every so many-th position has the funding index 0", 200,
        _one("publication", "funding_resets"),
    ),
    "throttled_prints": Breach(
        "prints", "marks so many trades a second as liquidations at most", 1.0,
        _one("publication", "flags_per_second"),
    ),
    "other_tiers": Breach(
        "tiers", "the margin rates are higher than stated, by this ratio", 0.2,
        _scaled("parameters", "scale"),
    ),
    "mis_tiers": Breach(
        "liquidation_price", "puts positions so many tiers too high", 1,
        _one("parameters", "tiers_above"),
    ),
    "more_leverage": Breach(
        "leverage", "accepts this ratio more leverage than the published maximum", 1.0,
        lambda amount: {"publication": {"max_leverage_scale": 1.0 / (1.0 + amount)}},
    ),
    "fee_above_maintenance": Breach(
        "fee_below_maintenance", "the margin rates are lowered by this ratio, below the fee", 0.95,
        lambda amount: {"parameters": {"scale": 1.0 - amount}},
    ),
    "less_initial_margin": Breach(
        "initial_margin", "accounts put up less than the initial margin, by this ratio", 0.2,
        lambda amount: {"parameters": {"initial_ratio": 1.0 - amount}},
    ),
    "large_rebate": Breach(
        "maker_rebate", "pays makers this ratio of the notional", 0.0004,
        lambda amount: {"access": {"maker_fee": -amount}},
    ),
    # Access
    "clients_throttled": Breach(
        "rejects", "lets this share of the stated orders of retail clients in under stress", 0.5,
        _one("access", "clients_share"),
    ),
    "slow_answers": Breach(
        "latency", "answers take longer under stress, by this ratio", 9.0,
        _scaled("access", "stress_delay"),
    ),
    "slow_and_wide": Breach(
        "joint_stress", "as slow_answers: while spread and shortfall are high", 9.0,
        _scaled("access", "stress_delay"),
    ),
    "constant_retries": Breach(
        "retries", "clients wait only this many seconds after each refusal", 0.5,
        _one("access", "retry_seconds"),
    ),
    "accepts_in_halts": Breach(
        "after_trip", "accepts orders in a halt, and after a trip of the kill switch", 0.0,
        _fixed(access={"accepts_in_halts": True}),
    ),
    "rearms_itself": Breach(
        "rearmed", "a tripped kill switch is armed again without an operator", 0.0,
        _fixed(access={"rearms_itself": True}),
    ),
    # The feed
    "time_goes_back": Breach(
        "time_goes_forward", "every so many-th cancel carries a time of a millisecond before", 20,
        _one("publication", "backdated_cancels"),
    ),
    "lost_events": Breach(
        "sequence_gaps", "this share of the events never arrives", 0.001,
        _one("publication", "lost_ratio"),
    ),
    "repeated_trades": Breach(
        "repeats", "publishes every so many-th trade twice", 100,
        _one("publication", "repeated_trades"),
    ),
    "crossing_orders": Breach(
        "crossed_books", "every so many-th limit order rests although it crosses", 20,
        _one("publication", "unmatched_orders"),
    ),
    "rare_references": Breach(
        "reference_rate", "publishes references only every so many seconds in a cascade", 4.0,
        _one("prices", "stress_gap_seconds"),
    ),
    "hidden_orders": Breach(
        "unknown_orders", "does not publish every so many-th order", 100,
        _one("publication", "hidden_orders"),
    ),
    "off_the_book": Breach(
        "trades_in_book",
        "settles forced trades this ratio worse than the orders that they fill", 0.001,
        _one("publication", "print_discount_ratio"),
    ),
}  # fmt: skip
"""Every breach by name."""

AUDITED = frozenset((
    "dominant_source", "leaves_debts", "less_initial_margin", "large_rebate", "clients_throttled",
    "slow_answers", "slow_and_wide", "constant_retries", "accepts_in_halts", "rearms_itself",
))  # fmt: skip
"""Breaches that show only in an audited structure, see `service.exchange.structure`."""


def rules_with(name: str, amount: float | None = None) -> Rules:
    """The rules of a venue with one breach.

    Raises
    ------
    ValueError
        If there is no such breach.

    Examples
    --------
    >>> rules_with("takes_too_much").liquidation.step_share
    0.30000000000000004
    >>> rules_with("takes_too_much", 0.02).liquidation.step_share
    0.20400000000000001
    """
    breach = BREACHES.get(name)
    if breach is None:
        raise ValueError(f"unknown breach {name!r}; breaches: {', '.join(BREACHES)}")
    return breach.rules(name, amount)


def breach_table() -> str:
    """The breaches and the check that each must fail, a line each."""
    return "".join(f"  {name:<24}{breach.check}\n" for name, breach in BREACHES.items())
