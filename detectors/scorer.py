"""One detector at work on one symbol: features, model, calibration, and when to keep silent."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from detectors.detector import Detector, Features
from detectors.judging.calibration import YOUNG_BARS, CalibrationState, TailCalibration
from detectors.judging.drift import ALARMING_RISE, CUMULATED_RISE, DriftState, DriftWatch
from detectors.judging.peers import PeerPrior
from detectors.judging.surprise import Contribution, SurpriseState, distance
from detectors.market_data.bar import Bar

RELEARN_BARS = 60
"""After a drift nothing is judged for so many bars, in which the new habit is learned."""

Status = Literal["no_input", "warming_up", "scoring"]


class Reading(Struct, frozen=True):
    """What a detector says of one bar; score and p-value only while it is scoring.

    ``contributions`` explain an alarm, the largest first; ``p_value`` is the chance that one bar
    starts an episode as extreme. ``suppressed`` is the reason why an alarm is to have no effect.
    ``drift`` has the features that have changed for good, the most changed first, in the one bar in
    which that was found; ``drift_suppressed`` is the reason why that is not to be told.
    """

    status: Status
    features: Features
    score: float | None = None
    p_value: float | None = None
    alarm: bool = False
    contributions: list[Contribution] = []
    suppressed: str | None = None
    drift: list[Contribution] = []
    drift_suppressed: str | None = None

    @property
    def effective(self) -> bool:
        """Whether it is an alarm that opens, escalates or prolongs an incident."""
        return self.alarm and self.suppressed is None


class ScorerState(Struct):
    """What a scorer has learned; a snapshot keeps it and puts it back.

    ``taught`` is what its model knows of features that it may not have met yet.
    """

    bars: int
    prior_squares: dict[str, float] = field(name="taught")
    model: SurpriseState
    calibration: CalibrationState
    drift: DriftState


NO_INPUT = Reading("no_input", {})


class Scorer:
    """A detector with its model and its calibration.

    The first half of the warm-up teaches the model, the second its calibration: scores of a model
    that knows nothing would teach the calibration nonsense. ``borrowed`` is what peers have
    learned.
    """

    __slots__ = ("bars", "calibration", "detector", "drift", "model", "model_warmup_bars")

    def __init__(
        self,
        detector: Detector,
        *,
        budget_per_day: float,
        bar_seconds: float,
        warmup_bars: int,
        prior: PeerPrior | None = None,
    ) -> None:
        self.detector = detector
        self.model = detector.model()
        if prior is not None:
            self.model.set_prior_squares(prior.squares)
        self.model_warmup_bars = warmup_bars // 2
        self.calibration = TailCalibration(
            budget_per_day=budget_per_day,
            bar_seconds=bar_seconds,
            warmup_bars=warmup_bars - self.model_warmup_bars,
            prior=prior.tail if prior is not None else None,
        )
        self.drift = DriftWatch(ALARMING_RISE if detector.alarms else CUMULATED_RISE)
        self.bars = 0

    @property
    def warming_up(self) -> bool:
        """Whether it has seen too little to judge."""
        return self.calibration.warming_up

    def step(self, bar: Bar, *, settling: bool) -> Reading:
        """Score a bar, then learn it.

        While ``settling``, after a lull, the model learns and nothing is judged.
        """
        x = self.detector.features(bar)
        if x is None:
            return NO_INPUT
        if settling or self.bars < self.model_warmup_bars:
            self.bars += not settling
            self.model.learn_one(x)
            return Reading("warming_up", x)
        deviations = self.model.deviations_one(x)
        score = distance(deviations)
        if not self.detector.alarms:
            drift = self._watch_drift(deviations)
            self.model.learn_one(x)
            return Reading("scoring", x, score, drift=drift)
        if self.warming_up:
            self.calibration.learn(score)
            self.model.learn_one(x)
            return Reading("warming_up", x)
        verdict = self.calibration.judge(score)
        self.calibration.learn(score)
        contributions = self.model.explain_one(x) if verdict.alarm else []
        drift = self._watch_drift(deviations)
        self.model.learn_one(x)
        return Reading(
            "scoring", x, score, verdict.p_value, verdict.alarm, contributions, drift=drift
        )

    def _watch_drift(self, deviations: Mapping[str, float]) -> list[Contribution]:
        """The features that have changed for good, where that shows now: they are learned anew."""
        moved = self.drift.learn(deviations)
        if not moved:
            return []
        changes = self._changed(moved)
        self._relearn()
        return changes

    def _changed(self, moved: Mapping[str, float]) -> list[Contribution]:
        """The features that have moved by so many standard deviations, as evidence."""
        model = self.model
        total = sum(z * z for z in moved.values())
        changes = [
            Contribution(
                feature,
                model.expected(feature) + z * model.deviation(feature),
                model.expected(feature),
                z * z / total,
            )
            for feature, z in moved.items()
        ]
        return sorted(changes, key=lambda c: (-c.share, c.feature))

    def _relearn(self) -> None:
        """Let the baseline move on; the tail of its scores is what it was."""
        self.model.relearn()
        self.bars = self.model_warmup_bars - RELEARN_BARS

    def peer_prior(self) -> PeerPrior | None:
        """What peers may borrow; None until enough has been learned to be worth it."""
        state = self.calibration.state
        if state.bars < 2 * YOUNG_BARS:
            return None
        return PeerPrior(self.model.squares(), state.tail)

    def state(self) -> ScorerState:
        """What was learned, for a snapshot."""
        return ScorerState(
            self.bars,
            self.model.prior_squares,
            self.model.state(),
            self.calibration.state,
            self.drift.state,
        )

    def restore(self, state: ScorerState) -> None:
        """Take over what a snapshot's scorer had learned."""
        self.bars = state.bars
        self.model.set_prior_squares(state.prior_squares)
        self.model.restore(state.model)
        self.calibration.state = state.calibration
        self.drift.restore(state.drift)
