"""One detector at work on one symbol: features, model, calibration, and when to keep silent."""

from typing import Literal

from msgspec import Struct

from detectors.bar import Bar
from detectors.calibration import CalibrationState, TailCalibration
from detectors.detector import Detector, Features
from detectors.parameters import Parameters
from detectors.surprise import Contribution, SurpriseState

Status = Literal["no_input", "warming_up", "scoring"]


class Reading(Struct, frozen=True):
    """What a detector says of one bar; score and p-value only while it is scoring.

    ``contributions`` explain an alarm, the largest first; ``p_value`` is the chance that one bar
    starts an episode as extreme. ``suppressed`` is the reason why an alarm is to have no effect.
    """

    status: Status
    features: Features
    score: float | None = None
    p_value: float | None = None
    alarm: bool = False
    contributions: list[Contribution] = []
    suppressed: str | None = None

    @property
    def effective(self) -> bool:
        """Whether it is an alarm that opens, escalates or prolongs an incident."""
        return self.alarm and self.suppressed is None


class ScorerState(Struct):
    """What a scorer has learned; a snapshot keeps it and puts it back."""

    bars: int
    model: SurpriseState
    calibration: CalibrationState


NO_INPUT = Reading("no_input", {})


class Scorer:
    """A detector with its model and its calibration.

    The first half of the warm-up teaches the model, the second its calibration: scores of a model
    that knows nothing would teach the calibration nonsense.
    """

    __slots__ = ("bars", "calibration", "detector", "model", "model_warmup_bars")

    def __init__(self, detector: Detector, parameters: Parameters, detectors: int) -> None:
        self.detector = detector
        self.model = detector.model()
        self.model_warmup_bars = parameters.warmup_bars // 2
        self.calibration = TailCalibration(
            budget_per_day=parameters.false_alarms_per_day / detectors,
            bar_seconds=parameters.bar_seconds,
            warmup_bars=parameters.warmup_bars - self.model_warmup_bars,
        )
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
        score = self.model.score_one(x)
        verdict = None if self.warming_up else self.calibration.judge(score)
        self.calibration.learn(score)
        contributions = self.model.explain_one(x) if verdict is not None and verdict.alarm else []
        self.model.learn_one(x)
        if verdict is None:
            return Reading("warming_up", x)
        return Reading("scoring", x, score, verdict.p_value, verdict.alarm, contributions)

    def state(self) -> ScorerState:
        """What was learned, for a snapshot."""
        return ScorerState(self.bars, self.model.state(), self.calibration.state)

    def restore(self, state: ScorerState) -> None:
        """Take over what a snapshot's scorer had learned."""
        self.bars = state.bars
        self.model.restore(state.model)
        self.calibration.state = state.calibration
