"""Run one detector on one symbol: features, model, calibration and warm-up."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from detectors.detector import Detector, Features
from detectors.judging.calibration import YOUNG_BARS, CalibrationState, TailCalibration
from detectors.judging.drift import ALARMING_RISE, CUMULATED_RISE, DriftState, DriftWatch
from detectors.judging.peers import PeerPrior
from detectors.judging.surprise import Contribution, SurpriseState, distance
from detectors.market_data.bar import Bar

RELEARN_BARS = 60
"""The number of bars after a drift in which the new baseline is learned and nothing is judged."""

Status = Literal["no_input", "paused", "warming_up", "too_sparse", "scoring"]


class Reading(Struct, frozen=True):
    """The result of a detector for one bar; score and p-value are set only while it is scoring.

    It is ``paused`` while the symbol does not trade continuously, see ``detectors.venue``.
    ``contributions`` explain an alarm, the largest first. ``p_value`` is the probability that one
    bar starts an episode as extreme. ``suppressed`` is the reason why an alarm has no effect.
    ``drift`` holds the features with a lasting change, the most changed first, in the one bar that
    detects the change. ``drift_suppressed`` is the reason why the drift is not reported.
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
        """Whether the reading is an alarm that opens, escalates or prolongs an incident."""
        return self.alarm and self.suppressed is None


class ScorerState(Struct):
    """The learned state of a scorer; part of a snapshot.

    ``prior_squares`` holds the model's priors, also of features that have no value yet.
    """

    bars: int
    prior_squares: dict[str, float] = field(name="taught")
    model: SurpriseState
    calibration: CalibrationState
    drift: DriftState


NO_INPUT = Reading("no_input", {})
PAUSED = Reading("paused", {})


def too_sparse(reading: Reading) -> Reading:
    """Return the reading of a symbol that has too few events to be judged."""
    return replace(reading, status="too_sparse") if reading.status == "warming_up" else reading


class Scorer:
    """A detector with its model and its calibration.

    The model learns from the first half of the warm-up, the calibration from the second half: the
    scores of an untrained model would spoil the calibration. ``prior`` is learned from peer
    symbols.
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
        """Whether too few bars have been learned to judge one."""
        return self.calibration.warming_up

    def step(self, bar: Bar, *, settling: bool) -> Reading:
        """Score a bar, then learn it.

        While ``settling`` (after a lull) the model learns and nothing is judged.
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
        """Return the features with a lasting change if this bar detects one, and relearn them."""
        drifted = self.drift.learn(deviations)
        if not drifted:
            return []
        changes = self._changed(drifted)
        self._relearn()
        return changes

    def _changed(self, drifted: Mapping[str, float]) -> list[Contribution]:
        """Return the drifted features, with their deviations, as contributions."""
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
        return sorted(changes, key=lambda c: (-c.share, c.feature))

    def _relearn(self) -> None:
        """Learn the baseline again; the tail of the scores stays."""
        self.model.relearn()
        self.bars = self.model_warmup_bars - RELEARN_BARS

    def peer_prior(self) -> PeerPrior | None:
        """Return the prior for peer symbols; None until enough bars have been learned."""
        state = self.calibration.state
        if state.bars < 2 * YOUNG_BARS:
            return None
        return PeerPrior(self.model.squares(), state.tail)

    def state(self) -> ScorerState:
        """Return the learned state, for a snapshot."""
        return ScorerState(
            self.bars,
            self.model.prior_squares,
            self.model.state(),
            self.calibration.state,
            self.drift.state,
        )

    def restore(self, state: ScorerState) -> None:
        """Continue from the state of a snapshot."""
        self.bars = state.bars
        self.model.set_prior_squares(state.prior_squares)
        self.model.restore(state.model)
        self.calibration.state = state.calibration
        self.drift.restore(state.drift)
