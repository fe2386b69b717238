"""The contract that every detector keeps.

A detector is a function from a closed bar to named features, and a river model of what is normal
for them. It reads bars, never raw events, and gives every feature so that a *rise* is the finding.
Features are dimensionless (shares, ratios, logarithms) and relative to the symbol's own activity,
so that a busy market is not an alarm by itself.
"""

import math
from collections.abc import Callable, Mapping

from msgspec import Struct

from detectors.judging.surprise import Surprise
from detectors.market_data.bar import Bar

Features = dict[str, float]


class Detector(Struct, frozen=True):
    """One way in which stress shows.

    ``features`` answers None for a bar that lacks the inputs it needs. ``phrases`` has, for every
    feature, the words that an alert's sentence uses; see ``phrase`` for what stands in them.
    ``logarithms`` are the features that are natural logarithms, ``turned`` those given with their
    sign turned: what they measure has fallen when they rise.
    ``version`` is part of every alert's id: raise it when the features or the model change. One
    that has no ``alarms`` is only watched for drift.
    """

    name: str
    version: int
    features: Callable[[Bar], Features | None]
    phrases: Mapping[str, str]
    model: Callable[[], Surprise]
    logarithms: frozenset[str] = frozenset()
    turned: frozenset[str] = frozenset()
    alarms: bool = True


def phrase(words: str, value: float, expected: float) -> str:
    """Fill in a feature's words: ``{value}`` and ``{expected}``, or what logarithms stand for.

    ``{times}`` is the factor between the expected value and the value of a logarithmic feature,
    ``{level}`` and ``{usual}`` are the two themselves.

    >>> phrase("depth is {times:.0f} times less than usual", 1.1, 0.0)
    'depth is 3 times less than usual'
    """
    return words.format(
        value=value,
        expected=expected,
        times=math.exp(min(50.0, value - expected)),
        level=math.exp(min(50.0, value)),
        usual=math.exp(min(50.0, expected)),
    )


def ratio(part: float, whole: float, floor: float) -> float:
    """``part`` / ``whole``, where a whole below ``floor`` counts as ``floor``; 0 for nothing."""
    whole = max(whole, floor)
    return part / whole if whole > 0.0 else 0.0


def log_ratio(value: float, unit: float) -> float:
    """The natural logarithm of ``value`` / ``unit``, flattened below one part in a thousand."""
    return math.log(max(value, 1e-3 * unit) / unit) if unit > 0.0 else 0.0
