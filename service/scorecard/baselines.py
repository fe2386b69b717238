"""Baselines: single metrics with a threshold.

Each baseline is a detector with one feature and the same calibration as Foreshock's detectors. At a
given budget of false alarms, the feature is the only difference.
"""

from river import stats

from detectors.detector import Detector, Features
from detectors.judging.surprise import Contribution, Surprise, SurpriseState
from detectors.market_data.bar import NEAR_BAND, Bar

LARGEST_INVERSE_DEPTH = 1e3
_PHRASES = "{value:g} (usually {expected:g})"


class Level(Surprise):
    """The exponentially weighted mean of the one feature, used directly as the score.

    Parameters
    ----------
    bars
        The memory in bars. With one bar, the mean is the feature itself.
    """

    def __init__(self, bars: float = 1.0) -> None:
        super().__init__()
        self.bars = bars
        self._mean = stats.EWMean(fading_factor=1.0 / bars)

    def learn_one(self, x: dict[str, float]) -> None:  # type: ignore[override]  # names are str
        """Learn the feature of one bar."""
        for value in x.values():
            self._mean.update(value)

    def deviations_one(self, x: dict[str, float]) -> dict[str, float]:
        """The mean after the bar has been learned, used as the score."""
        before = self._mean.get()
        return {name: before + (value - before) / self.bars for name, value in x.items()}

    def explain_one(self, x: dict[str, float]) -> list[Contribution]:
        """The one feature as the only contribution."""
        return [Contribution(name, value, self._mean.get(), 1.0) for name, value in x.items()]

    def expected(self, feature: str) -> float:  # noqa: ARG002 - only one feature
        """The mean."""
        return self._mean.get()

    def deviation(self, feature: str) -> float:  # noqa: ARG002 - only one feature
        """The unit of the feature: 1."""
        return 1.0

    def state(self) -> SurpriseState:
        """Empty: a scorecard saves no snapshots."""
        return {}


def _return(bar: Bar) -> float | None:
    if bar.opened is None or bar.closed is None:
        return None
    return bar.closed.mid / bar.opened.mid - 1.0


def squared_return(bar: Bar) -> Features | None:
    """The square of the bar's return, in basis points squared."""
    change = _return(bar)
    return None if change is None else {"squared_return": (change * 1e4) ** 2}


def absolute_return(bar: Bar) -> Features | None:
    """The absolute value of the bar's return, in basis points."""
    change = _return(bar)
    return None if change is None else {"absolute_return": abs(change) * 1e4}


def cancel_count(bar: Bar) -> Features | None:
    """The number of cancels in the bar."""
    return {"cancels": bar.flow.cancels}


def inverse_depth(bar: Bar) -> Features | None:
    """The inverse of the depth within 25 bps, in millions of the quote currency."""
    if bar.closed is None:
        return None
    return {
        "inverse_depth": min(LARGEST_INVERSE_DEPTH, 1e6 / max(bar.closed.depth[NEAR_BAND], 1.0))
    }


def volatility_model() -> Surprise:
    """A level with a memory of one minute."""
    return Level(bars=60.0)


BASELINES = (
    Detector(
        "realised_volatility", 1, squared_return, {"squared_return": _PHRASES}, volatility_model
    ),
    Detector("absolute_return", 1, absolute_return, {"absolute_return": _PHRASES}, Level),
    Detector("cancel_count_z", 1, cancel_count, {"cancels": _PHRASES}, Surprise),
    Detector("depth_threshold", 1, inverse_depth, {"inverse_depth": _PHRASES}, Level),
)
"""Realised volatility over a minute, the bar's |return|, the cancel count's z-score, and raw
depth."""
