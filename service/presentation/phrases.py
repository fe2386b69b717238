"""Phrases that describe values to a person."""

from detectors.catalogue import CATALOGUE
from detectors.detector import phrase
from detectors.incidents.kind import CASCADE, FEED_INTEGRITY

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
_PHRASES = {
    **{detector.name: detector.phrases for detector in CATALOGUE},
    FEED_INTEGRITY: _FEED,
    CASCADE: _CASCADE,
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
