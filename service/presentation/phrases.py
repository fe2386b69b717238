"""Phrases that describe values to a person."""

from detectors.catalogue import CATALOGUE
from detectors.conduct.liquidation_record import SIZE_CLASSES
from detectors.detector import phrase
from detectors.incidents.kind import (
    ADL,
    CASCADE,
    EXECUTION_QUALITY,
    FEE_INCENTIVES,
    FEED_INTEGRITY,
    LIQUIDATION_FAIRNESS,
    MARGIN_CHANGE,
    MARK_LAG,
    MARK_RULE_BROKEN,
)

_STREAMS = ("orders", "cancels", "trades", "references")
_FEED = {
    **{f"{stream}_frozen_seconds": f"{stream} frozen for {{value:.0f}} s" for stream in _STREAMS},
    **{f"{stream}_throttled_ratio": f"{{value:.0%}} of the usual {stream}" for stream in _STREAMS},
    "stale_reference_seconds": "references stale for {value:.0f} s",
    "sequence_gap_events": "{value:,.0f} events are missing (gap in the sequence numbers)",
    "symbol_frozen_seconds": "no events for {value:.0f} s while other symbols are active",
    "crossed_book_seconds": "the book was crossed in {value:.0f} of the last seconds",
    "empty_book_seconds": "trades met an empty book side in {value:.0f} of the last seconds",
    "partial_book_ratio": "{value:.1%} of cancels and trades name unreported orders",
    "transport_delay_seconds": "records take {value:.1f} s to arrive (usually {expected:.1f})",
    "clock_skew_seconds": "records are dated {value:.1f} s after they were logged",
}
_CASCADE = {
    "probability": "a cascade is near in {value:.0%} of the draws",
    "distance_ratio": "a move of {value:.2%} would set it off",
    "forced_ratio": "it would force out {value:.0%} of open interest",
    "forced_accounts": "it would liquidate {value:.0f} accounts",
    "loss_beyond_fund": "{value:,.0f} would be lost beyond the insurance fund",
    "whale": "one account holds {value:.0%} of open interest within 1 %",
}
_FAIRNESS = {
    f"{claim}_{size}": f"the {size} quarter of positions {text}"
    for size in SIZE_CLASSES
    for claim, text in (
        ("closed_beyond_rule_ratio", "was closed {value:.0%} beyond the declared rule"),
        ("passed_over_ratio", "was passed over in {value:.0%} of the cases"),
        ("wait_difference_seconds", "waited {value:.1f} s longer than others"),
        ("concession_difference_bps", "got prices {value:.1f} bps worse than larger ones"),
    )
}
_ADL = {
    "deleveraged_notional": "{value:,.0f} was deleveraged",
    "cost_to_the_other_side": "it cost the other side {value:,.0f} against the mark price",
    "out_of_turn_ratio": "{value:.0%} of it was not in the order of profit and leverage",
    "fund_balance": "the insurance fund holds {value:,.0f}",
    "losses_10m": "the fund paid {value:,.0f} in ten minutes",
    "open_shortfall": "open liquidations lack {value:,.0f}",
}
_FEES = {
    "fee_ratio": "liquidations cost {value:.2%}, of a maintenance margin of {expected:.2%}",
    "kept_collateral": "{value:,.0f} that was left was not given back",
    "fees_beyond_rule": "{value:,.0f} in fees is for more than the declared rule closes",
    "fund_gain": "the fund gained {value:,.0f} with these liquidations",
}
_EXECUTION = {
    "pieced_orders_ratio": "{value:.0%} of orders take five trades or more (usually"
    " {expected:.0%})",
    "shortfall_bps": "aggressors pay {value:.1f} bps beyond the mid price (usually {expected:.1f})",
    "spread_bps": "the spread is {value:.1f} bps (usually {expected:.1f})",
}
_LAG = {
    "distance_bps": "the mid price is {value:.0f} bps from the mark price (rare from"
    " {expected:.0f} on)",
    "lag_seconds": "the mark price lags by {value:.0f} s",
    "carried_notional": "{value:,.0f} is liquidated although the market has come back",
    "hidden_notional": "{value:,.0f} would be below maintenance if it followed at once",
}
_MARK_RULE = {
    "off_bps": "the mark price is off its declared rule by {value:.1f} bps",
    "beyond_clamp_bps": "the mark price is {value:.1f} bps beyond its clamp",
    "moved_bps": "the mid price moved by {value:.0f} bps while the index stood still",
    "decided_notional": "for {value:,.0f} it decides who is below maintenance",
    "decided_accounts": "it decides over {value:.0f} accounts",
}
_MARGIN_CHANGE = {
    "at_once_ratio": "{value:.1%} of open interest is below the new maintenance margin",
    "at_once_accounts": "{value:.0f} accounts are below it",
    "run_notional": "with the price impact {value:,.0f} is forced out",
    "notice_seconds": "accounts have {value:.0f} s notice",
    "turns": "margins changed direction {value:.0f} times within a day",
    "churn": "their changes are {value:.0f} times what is left of them",
}
_PHRASES = {
    **{detector.name: detector.phrases for detector in CATALOGUE},
    FEED_INTEGRITY: _FEED,
    CASCADE: _CASCADE,
    LIQUIDATION_FAIRNESS: _FAIRNESS,
    ADL: _ADL,
    FEE_INCENTIVES: _FEES,
    EXECUTION_QUALITY: _EXECUTION,
    MARK_LAG: _LAG,
    MARK_RULE_BROKEN: _MARK_RULE,
    MARGIN_CHANGE: _MARGIN_CHANGE,
}


def describe_feature(detector: str, feature: str, value: float, expected: float) -> str:
    """Describe a feature's value as in an alert; without a phrase, by the feature's name.

    >>> describe_feature("leverage_jump", "leverage_over_habit_5s", 6.5, 0.0)
    'new orders exceed the leverage of their accounts by 6.5 standard deviations over 5 s'
    >>> describe_feature("feed_integrity", "sequence_gap_events", 1200.0, 0.0)
    '1,200 events are missing (gap in the sequence numbers)'
    """
    phrases = _PHRASES.get(detector, {})
    if feature not in phrases:
        return f"{feature} is {value:.3g} (usually {expected:.3g})"
    return phrase(phrases[feature], value, expected)


def duration(seconds: float) -> str:
    """Format a length of time in its two largest units.

    >>> duration(4.2), duration(754), duration(7_300), duration(200_000)
    ('4 s', '12 min 34 s', '2 h 1 min', '2 d 7 h')
    """
    whole = int(seconds)
    for size, unit, rest, below in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // rest} {below}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
