"""The interface of every detector.

A detector is a function from a closed bar to named features. Each is a statistic that is judged by
itself, against its own baseline and tail. A detector reads bars, never raw events. A *rise* of a
feature is the finding. Features are dimensionless (shares, ratios, logarithms, numbers of standard
deviations) and relative to the symbol's own activity: a busy market alone raises no alarm.
"""

import math
from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from detectors.judging.robust_tails import Statistic
from detectors.judging.surprise import Surprise
from detectors.market_data.bar import Bar

Features = dict[str, float]


def never(_bar: Bar) -> bool:
    """Whether the market's activity explains the features of a bar: never, by default."""
    return False


class Estimator(Protocol):
    """A model that learns features and scores how unusual they are, as River's detectors do."""

    def learn_one(self, x: dict[str, float], /) -> object:
        """Learn the features of one bar."""

    def score_one(self, x: dict[str, float], /) -> float:
        """Return how unusual the features of one bar are; more is more unusual."""


class Detector(Struct, frozen=True):
    """A detector of one kind of stress.

    ``features`` returns None for a bar without the inputs that it needs. ``headline`` says what is
    wrong in the market when the detector alarms; ``headlines`` holds other headlines, by the
    feature that contributes most. ``phrases`` holds the phrase of each feature in the sentence of
    an alert; see ``phrase`` for the placeholders.
    ``logarithms`` names the features that are natural logarithms. ``turned`` names the features
    with the opposite sign: the measured quantity falls when the feature rises. ``version`` is part
    of every alert id: raise it when the features or the statistics change. ``statistics`` says how
    each feature is judged. ``explained`` is whether the market's activity explains the features of
    a bar, so that none of them matters. A detector without statistics is watched for drift only, by
    its ``model``.

    A detector that is not built in has an ``estimator`` for each symbol. Its one feature is the
    score of the estimator for its ``inputs``, which are features of other detectors, named
    ``DETECTOR.FEATURE``. The first ``learning_bars`` bars are learned without a score. See
    `detectors.estimators`.
    """

    name: str
    version: int
    features: Callable[[Bar], Features | None]
    phrases: Mapping[str, str]
    statistics: Mapping[str, Statistic] = {}
    model: Callable[[], Surprise] | None = None
    explained: Callable[[Bar], bool] = never
    headline: str = ""
    headlines: Mapping[str, str] = {}
    logarithms: frozenset[str] = frozenset()
    turned: frozenset[str] = frozenset()
    estimator: Callable[[], Estimator] | None = None
    inputs: tuple[str, ...] = ()
    learning_bars: int = 0

    @property
    def alarms(self) -> bool:
        """Whether the detector raises alarms."""
        return bool(self.statistics)


def phrase(template: str, value: float, expected: float) -> str:
    """Fill in the placeholders of a feature's phrase.

    ``{value}`` and ``{expected}`` are the value of the feature and its expected value. The other
    placeholders are for logarithmic features: ``{level}`` and ``{usual}`` are the exponentials of
    value and expected value, ``{times}`` is their ratio.

    >>> phrase("depth is {times:.0f} times less than usual", 1.1, 0.0)
    'depth is 3 times less than usual'
    """
    return template.format(
        value=value,
        expected=expected,
        times=math.exp(min(50.0, value - expected)),
        level=math.exp(min(50.0, value)),
        usual=math.exp(min(50.0, expected)),
    )


def sentence(detector: Detector, feature: str, value: float, expected: float) -> str:
    """Say what is wrong in the market, and the feature that shows it."""
    headline = detector.headlines.get(feature, detector.headline)
    said = phrase(detector.phrases[feature], value, expected)
    return f"{headline}: {said}" if headline else said


def log_ratio(value: float, unit: float) -> float:
    """Return the natural logarithm of ``value`` / ``unit``; 0 if ``unit`` is not positive.

    A ratio below 1/1000 counts as 1/1000.
    """
    return math.log(max(value, 1e-3 * unit) / unit) if unit > 0.0 else 0.0


TEN_CANCELS = 3.0
"""The smallest deviation of a net withdrawal that matters: ten cancels without a new order."""

NET = Statistic("net", floor=TEN_CANCELS, unit=0.1)


def net_withdrawal(orders: float, cancels: float) -> float:
    """Return cancels minus orders, in units of the noise of their difference.

    >>> net_withdrawal(orders=2.0, cancels=13.0)
    2.75
    """
    return (cancels - orders) / math.sqrt(cancels + orders + 1.0)
