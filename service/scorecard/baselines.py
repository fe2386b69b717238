"""What everybody has: single numbers with a threshold.

Each is a detector like ours, with one feature and the same calibration, so that at a given budget
of false alarms the only difference is what it looks at.
"""

from river import stats

from detectors.detector import Detector, Features
from detectors.judging.surprise import Contribution, Surprise, SurpriseState
from detectors.market_data.bar import NEAR_BAND, Bar

LARGEST_INVERSE_DEPTH = 1e3
_PHRASES = "{value:g} (usually {expected:g})"


class Level(Surprise):
    """The exponentially weighted mean of the one feature, itself taken as the score.

    Parameters
    ----------
    bars
        The memory; with one bar it is the feature itself.
    """

    def __init__(self, bars: float = 1.0) -> None:
        super().__init__()
        self.bars = bars
        self._mean = stats.EWMean(fading_factor=1.0 / bars)

    def learn_one(self, x: dict[str, float]) -> None:  # type: ignore[override]  # names are str
        """Learn one bar's feature."""
        for value in x.values():
            self._mean.update(value)

    def deviations_one(self, x: dict[str, float]) -> dict[str, float]:
        """What the mean will be once the bar has been learned: that is scored as it is."""
        before = self._mean.get()
        return {name: before + (value - before) / self.bars for name, value in x.items()}

    def explain_one(self, x: dict[str, float]) -> list[Contribution]:
        """The one feature."""
        return [Contribution(name, value, self._mean.get(), 1.0) for name, value in x.items()]

    def expected(self, feature: str) -> float:  # noqa: ARG002 - there is one
        """The mean."""
        return self._mean.get()

    def deviation(self, feature: str) -> float:  # noqa: ARG002 - there is one
        """The unit in which it is given."""
        return 1.0

    def state(self) -> SurpriseState:
        """Nothing: a scorecard saves no snapshots."""
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
    """The size of the bar's return, in basis points."""
    change = _return(bar)
    return None if change is None else {"absolute_return": abs(change) * 1e4}


def cancel_count(bar: Bar) -> Features | None:
    """The cancels of the bar."""
    return {"cancels": bar.flow.cancels}


def inverse_depth(bar: Bar) -> Features | None:
    """How little stands within 25 bps: the inverse of millions of the quote currency."""
    if bar.closed is None:
        return None
    return {
        "inverse_depth": min(LARGEST_INVERSE_DEPTH, 1e6 / max(bar.closed.depth[NEAR_BAND], 1.0))
    }


def volatility_model() -> Surprise:
    """A minute's memory."""
    return Level(bars=60.0)


BASELINES = (
    Detector(
        "realised_volatility", 1, squared_return, {"squared_return": _PHRASES}, volatility_model
    ),
    Detector("absolute_return", 1, absolute_return, {"absolute_return": _PHRASES}, Level),
    Detector("cancel_count_z", 1, cancel_count, {"cancels": _PHRASES}, Surprise),
    Detector("depth_threshold", 1, inverse_depth, {"inverse_depth": _PHRASES}, Level),
)
"""The realised volatility of a minute, the bar's |return|, the cancel count's z-score, and raw
depth."""
