"""The estimators of plug-ins: one for each plug-in and symbol, beside the columns of the scorers.

An estimator learns features of the built-in detectors. Its score is judged like any statistic. It
is foreign code: whatever it raises or returns, only its own score of that symbol is lost.
"""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Literal

from msgspec import Struct

from detectors.detector import Detector, Estimator, Features
from detectors.market_data.bar import Bar
from detectors.scorer import Measured, Scorers

SCORE = "score"
"""The one feature of a plug-in."""

Reason = Literal[
    "not_installed",
    "ambiguous",
    "name_taken",
    "import_error",
    "wrong_type",
    "unknown_feature",
    "exception",
    "not_finite",
]
"""Why a plug-in is left out: at the start, or the last two and ``wrong_type`` while it runs."""


class LeftOut(Struct, frozen=True):
    """A plug-in that is left out: everywhere, or for one ``symbol`` until the next start."""

    name: str
    reason: Reason
    detail: str
    symbol: str = ""


class _Model(Struct):
    """The estimator of a symbol, made for its first bar. ``failed``: it is left out."""

    estimator: Estimator | None = None
    bars: int = 0
    failed: bool = False


class Estimators:
    """The estimators of the symbols of a partition.

    Parameters
    ----------
    detectors
        All detectors; those without an estimator give the inputs.
    scorers
        The scorers of the symbols.

    Attributes
    ----------
    detectors
        The detectors with an estimator.
    news
        What was left out since the caller emptied the list.
    """

    __slots__ = ("_models", "_places", "_unscored", "detectors", "news")

    def __init__(self, detectors: Sequence[Detector], scorers: Scorers) -> None:
        self.detectors = tuple(its for its in detectors if its.estimator is not None)
        # The place of each detector among the measured ones, and of the first of its columns.
        self._places = {
            its.name: (place, min(scorers.columns[place].values()))
            for place, its in enumerate(scorers.detectors)
        }
        self._unscored = {its.name: its for its in detectors if not its.alarms}
        self._models: dict[tuple[int, str], _Model] = {}
        self.news: list[LeftOut] = []

    def remove(self, row: int) -> None:
        """Forget the estimators of a symbol."""
        for detector in self.detectors:
            self._models.pop((row, detector.name), None)

    def step(self, row: int, bar: Bar, measured: Measured, *, settling: bool) -> None:
        """Add the scores of a bar to what was measured, then learn it, unless it is settling."""
        found: dict[str, Features | None] = {}
        for detector in self.detectors:
            model = self._models.setdefault((row, detector.name), _Model())
            x = None if model.failed else self._inputs(detector, bar, measured, found)
            if x is None:
                continue
            score = self._scored(detector, model, x, bar.symbol, settling=settling)
            if score is not None:
                place, column = self._places[detector.name]
                measured.features[place] = {SCORE: score}
                measured.values[column] = score

    def _inputs(
        self,
        detector: Detector,
        bar: Bar,
        measured: Measured,
        found: dict[str, Features | None],
    ) -> Features | None:
        """Return the inputs of a detector; None for a bar that lacks one of them."""
        x: Features = {}
        for name in detector.inputs:
            source, _, feature = name.partition(".")
            if source not in found:
                found[source] = self._features(source, bar, measured)
            value = (found[source] or {}).get(feature)
            if value is None:
                return None
            x[name] = value
        return x

    def _features(self, source: str, bar: Bar, measured: Measured) -> Features | None:
        if source in self._unscored:
            return self._unscored[source].features(bar)
        return measured.features[self._places[source][0]]

    def _scored(
        self,
        detector: Detector,
        model: _Model,
        x: Mapping[str, float],
        symbol: str,
        *,
        settling: bool,
    ) -> float | None:
        """Return the score of a bar and learn it; None while it only learns, and if it fails."""
        assert detector.estimator is not None
        scores = model.bars >= detector.learning_bars
        score: Any = None
        try:
            if model.estimator is None:
                model.estimator = detector.estimator()
            if scores:
                score = model.estimator.score_one(dict(x))  # copies: it may change them
            if not settling:
                model.estimator.learn_one(dict(x))
                model.bars += 1
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the other detectors continue
            wrong: tuple[Reason, str] | None = ("exception", f"{error!r:.500}")
        else:
            wrong = _wrong(score) if scores else None
        if wrong is not None:
            model.estimator, model.failed = None, True
            self.news.append(LeftOut(detector.name, *wrong, symbol))
            return None
        return float(score) if scores else None


def _wrong(score: Any) -> tuple[Reason, str] | None:
    """Return why a score cannot be judged; None if it can."""
    if not isinstance(score, Real) or score is True or score is False:
        return "wrong_type", f"score_one returned {score!r:.100}; it must return a number"
    if not math.isfinite(score):
        return "not_finite", f"score_one returned {score}; it must return a finite number"
    return None
