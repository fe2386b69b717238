"""Plug-ins: detectors of other packages, which learn features of the built-in detectors."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from detectors.detector import Detector, Estimator, Features
from detectors.judging.robust_tails import Statistic
from detectors.market_data.bar import Bar

Reason = Literal["wrong_type", "unknown_feature"]


class PlugIn(Struct, frozen=True, kw_only=True):
    """A detector of your own: an estimator for each symbol, and the features that it learns.

    Parameters
    ----------
    features
        The features, as ``DETECTOR.FEATURE``; ``foreshock detectors`` lists them. A bar that lacks
        one of them is neither learned nor scored.
    model
        Returns a new estimator with ``learn_one`` and ``score_one``, such as one of River. It must
        be seeded: the same bars must give the same scores.
    headline
        What is wrong in the market when the score is high, for the summary of an alert.
    version
        Part of every alert id: raise it when the scores change.
    learning_bars
        The bars that the estimator learns before its scores count.
    floor
        The smallest score that matters, however rare it is.
    unit
        The difference between two scores that means nothing: the smallest scale of their tail. For
        scores between 0 and 1, 0.01 is usual.
    """

    features: Sequence[str]
    model: Callable[[], Estimator]
    headline: str
    version: int = 1
    learning_bars: int = 250
    floor: float = 0.0
    unit: float = 0.01


def problem(plug_in: Any, known: Sequence[str]) -> tuple[Reason, str] | None:
    """Return why an object is no usable plug-in, and what is wrong; None for one that is.

    ``known`` holds the features that there are. It makes one estimator, which may raise anything.
    """
    wrong = next(_wrong(plug_in), None)
    if wrong is not None:
        return "wrong_type", wrong
    unknown = [its for its in plug_in.features if its not in known]
    if unknown:
        return "unknown_feature", f"features has {unknown[0]!r:.100}; there are {', '.join(known)}"
    return None


def _wrong(plug_in: Any) -> Iterator[str]:
    """Yield what is wrong with the types of a plug-in, the first one first."""
    if not isinstance(plug_in, PlugIn):
        yield f"it is {plug_in!r:.100}; it must be a foreshock.PlugIn"
        return
    its: Any = plug_in  # nothing has checked its fields
    if not isinstance(its.features, list | tuple) or not its.features:
        yield f"features = {its.features!r:.100}; it must be a list of features' names"
    for name, lowest in (("version", 1), ("learning_bars", 0)):
        value = getattr(its, name)
        if not isinstance(value, int) or value < lowest:
            yield f"{name} = {value!r:.100}; it must be an integer from {lowest}"
    for name in ("floor", "unit"):
        value = getattr(its, name)
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0.0:
            yield f"{name} = {value!r:.100}; it must be a number from 0"
    if its.unit == 0.0:
        yield "unit = 0; it must be above 0"
    if not isinstance(its.headline, str) or not its.headline:
        yield f"headline = {its.headline!r:.100}; it must be a text"
    yield from _wrong_model(its.model)


def _wrong_model(model: Any) -> Iterator[str]:
    if not callable(model):
        yield f"model = {model!r:.100}; it must return a new estimator"
        return
    made = model()
    for method in ("learn_one", "score_one"):
        if not callable(getattr(made, method, None)):
            yield f"model() returned {made!r:.100}; it has no {method}"


def unmeasured(_bar: Bar) -> Features | None:
    """Return no features: the score of a plug-in is added by its estimator."""
    return None


def detector_of(name: str, plug_in: PlugIn) -> Detector:
    """Return the detector of a plug-in that has no `problem`."""
    return Detector(
        name=name,
        version=plug_in.version,
        features=unmeasured,
        headline=plug_in.headline,
        phrases={"score": "its score is {value:.3g}"},
        statistics={"score": Statistic(floor=plug_in.floor, unit=plug_in.unit)},
        estimator=plug_in.model,
        inputs=tuple(plug_in.features),
        learning_bars=plug_in.learning_bars,
    )
