"""What the checks of a feed find, and how a silent stream is described."""

import math
from typing import NamedTuple

from detectors.feed.partial_book import PARTIAL_BOOK
from detectors.feed.silence import SILENT, Silent
from detectors.market_data.events import Kind

_STREAMS = {
    Kind.ORDER: "orders",
    Kind.CANCEL: "cancels",
    Kind.TRADE: "trades",
    Kind.REFERENCE: "references",
}
_FROZEN = {
    **{kind: f"{name}_frozen_seconds" for kind, name in _STREAMS.items()},
    Kind.REFERENCE: "stale_reference_seconds",
}
_THROTTLED = {kind: f"{name}_throttled_ratio" for kind, name in _STREAMS.items()}

LOST = "sequence_gap_events"
CHECKS = (
    LOST,
    *_FROZEN.values(),
    *_THROTTLED.values(),
    "symbol_frozen_seconds",
    "crossed_book_seconds",
    "empty_book_seconds",
    PARTIAL_BOOK,
    "transport_delay_seconds",
    "clock_skew_seconds",
)
"""The features that a finding may have."""


class Finding(NamedTuple):
    """A fault of a feed: a feature, its value, its expected value, and a description.

    ``score`` is the value divided by the smallest value that makes a finding. ``p_value`` is the
    probability of the value in a healthy feed; 0 if it is impossible.
    """

    feature: str
    value: float
    expected: float
    score: float
    p_value: float
    description: str


def silence(found: Silent, seconds: float) -> Finding:
    """Return the finding of a stream that has been silent or throttled for so many seconds."""
    name = _STREAMS[found.kind]
    p_value = math.exp(-found.improbability)
    score = found.improbability / SILENT
    if found.received > 0.0:
        ratio = found.received / found.expected
        text = f"{ratio:.0%} of the usual {name} for {seconds:.0f} s"
        return Finding(_THROTTLED[found.kind], ratio, 1.0, score, p_value, text)
    condition = "stale" if found.kind is Kind.REFERENCE else "frozen"
    text = f"{name} {condition} for {seconds:.0f} s"
    return Finding(_FROZEN[found.kind], seconds, 0.0, score, p_value, text)
