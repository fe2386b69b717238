"""Watch the market of one symbol for lasting changes (drift); raises no alarms."""

from collections.abc import Mapping

from msgspec import Struct

from detectors.detector import Detector
from detectors.judging.drift import DriftState, DriftWatch
from detectors.judging.surprise import Contribution, Surprise, SurpriseState, distance
from detectors.market_data.bar import Bar
from detectors.scorer import NO_INPUT, Reading

RELEARN_BARS = 60
"""The number of bars after a drift in which the new baseline is learned and nothing is judged."""


class ChangeState(Struct):
    """The learned state of a ChangeWatch; part of a snapshot."""

    bars: int
    model: SurpriseState
    drift: DriftState


class ChangeWatch:
    """A detector without alarms, with its model and the test for a lasting change.

    Parameters
    ----------
    detector
        The detector; it has a model.
    warmup_bars
        The number of bars that the model learns before the first is watched.
    """

    __slots__ = ("bars", "detector", "drift", "model", "warmup_bars")

    def __init__(self, detector: Detector, *, warmup_bars: int) -> None:
        assert detector.model is not None, detector.name
        self.detector = detector
        self.model: Surprise = detector.model()
        self.warmup_bars = warmup_bars
        self.drift = DriftWatch()
        self.bars = 0

    def step(self, bar: Bar, *, settling: bool) -> Reading:
        """Watch a bar, then learn it. While ``settling`` (after a lull) it is only learned."""
        x = self.detector.features(bar)
        if x is None:
            return NO_INPUT
        if settling or self.bars < self.warmup_bars:
            self.bars += not settling
            self.model.learn_one(x)
            return Reading("warming_up", x)
        deviations = self.model.deviations_one(x)
        drift = self._watch_drift(deviations)
        self.model.learn_one(x)
        return Reading("scoring", x, distance(deviations), drift=drift)

    def _watch_drift(self, deviations: Mapping[str, float]) -> list[Contribution]:
        """Return the features with a lasting change if this bar detects one, and relearn them."""
        drifted = self.drift.learn(deviations)
        if not drifted:
            return []
        model = self.model
        total = sum(z * z for z in drifted.values())
        changes = [
            Contribution(
                feature,
                model.expected(feature) + z * model.deviation(feature),
                model.expected(feature),
                z * z / total,
            )
            for feature, z in drifted.items()
        ]
        model.relearn()
        self.bars = self.warmup_bars - RELEARN_BARS
        return sorted(changes, key=lambda c: (-c.share, c.feature))

    def state(self) -> ChangeState:
        """Return the learned state, for a snapshot."""
        return ChangeState(self.bars, self.model.state(), self.drift.state)

    def restore(self, state: ChangeState) -> None:
        """Continue from the state of a snapshot."""
        self.bars = state.bars
        self.model.restore(state.model)
        self.drift.restore(state.drift)
