"""Run one detector on one symbol: features, statistics, their judgement and warm-up."""

import math
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from detectors.detector import Detector, Features
from detectors.judging.controller import STEP, Controller, ControllerState
from detectors.judging.robust_tails import Judgement, RobustTails, RobustTailsState
from detectors.judging.surprise import Contribution
from detectors.judging.tail import DAY_SECONDS
from detectors.market_data.bar import Bar

OFTEN = 4.0 * STEP
"""The bar of a controller from which its test alarms often: at least four runs of alarms in short
order. It is told as a drift: what is usual has changed, or the noise of the test is misjudged."""

IMMATERIAL_PER_DAY = 24.0
"""A value that does not matter counts as one that chance reaches at least so often a day."""

Status = Literal["no_input", "paused", "warming_up", "too_sparse", "scoring"]


class Reading(Struct, frozen=True):
    """The result of a detector for one bar; score and p-value are set only while it is scoring.

    It is ``paused`` while the symbol does not trade continuously, see ``detectors.venue``.
    ``contributions`` explain an alarm, the rarest statistic first. ``p_value`` is the probability
    that chance gives one bar of any statistic of the symbol as rare as the rarest of this detector.
    ``score`` is minus its decimal logarithm. ``suppressed`` is the reason why an alarm has no
    effect. ``drift`` holds the features with a lasting change, or whose test begins to alarm often,
    in the one bar that finds it, the most changed first. ``drift_suppressed`` is the reason why it
    is not reported.
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
    """The learned state of a scorer; part of a snapshot."""

    model: RobustTailsState
    controllers: dict[str, ControllerState]


NO_INPUT = Reading("no_input", {})
PAUSED = Reading("paused", {})


def too_sparse(reading: Reading) -> Reading:
    """Return the reading of a symbol that has too few events to be judged."""
    return replace(reading, status="too_sparse") if reading.status == "warming_up" else reading


class Scorer:
    """A detector whose statistics are judged one by one.

    Parameters
    ----------
    detector
        The detector.
    budget_per_day
        The false alarms a day that each statistic may raise.
    tests
        The effective number of statistics of the symbol.
    bar_seconds
        The length of a bar.
    warmup_bars
        The number of bars that are learned before the first is judged.
    quiet_bars
        The number of bars without an alarm that ends a run of alarms of a statistic.

    Attributes
    ----------
    charged
        The statistics that began a run of alarms in the last bar: each was charged to its budget.
    """

    __slots__ = (
        "bar_seconds",
        "budget_per_day",
        "charged",
        "controllers",
        "detector",
        "model",
        "tests",
    )

    def __init__(
        self,
        detector: Detector,
        *,
        budget_per_day: float,
        tests: float,
        bar_seconds: float,
        warmup_bars: int,
        quiet_bars: int,
    ) -> None:
        self.detector = detector
        self.budget_per_day = budget_per_day
        self.tests = tests
        self.bar_seconds = bar_seconds
        self.model = RobustTails(detector.statistics, bar_seconds, warmup_bars)
        self.controllers = {name: Controller(quiet_bars) for name in detector.statistics}
        self.charged: list[str] = []

    @property
    def warming_up(self) -> bool:
        """Whether too few bars have been learned to judge one."""
        return self.model.warming_up

    def step(self, bar: Bar, *, settling: bool) -> Reading:
        """Judge a bar, then learn it. While ``settling`` (after a lull) it does neither."""
        self.charged = []
        x = self.detector.features(bar)
        if x is None:
            return NO_INPUT
        if settling:
            return Reading("warming_up", x)
        judgements = self.model.judge_one(x)
        if self.detector.explained(bar):
            judgements = [its._replace(matters=False) for its in judgements]
        self.model.learn_one(x)
        if not judgements:
            return Reading("warming_up", x)
        return self._judged(x, judgements)

    def _judged(self, x: Features, judgements: list[Judgement]) -> Reading:
        budget = self.budget_per_day
        budget_per_bar = budget * self.bar_seconds / DAY_SECONDS
        alarmed: list[Judgement] = []
        often: list[Judgement] = []
        for judgement in judgements:
            controller = self.controllers[judgement.name]
            before = controller.state.bar
            alarm = judgement.matters and controller.alarms(judgement.per_day, budget)
            begins = not controller.in_run
            controller.step(alarm=alarm, budget_per_bar=budget_per_bar)
            if alarm:
                alarmed.append(judgement)
                if begins:
                    self.charged.append(judgement.name)
                if before < OFTEN <= controller.state.bar:
                    often.append(judgement)
        p_value = min(self.p_value(judgement) for judgement in judgements)
        return Reading(
            "scoring",
            x,
            abs(math.log10(p_value)),  # not -0.0
            p_value,
            bool(alarmed),
            self._explained(alarmed, judgements) if alarmed else [],
            drift=self._explained(often, often),
        )

    def p_value(self, judgement: Judgement) -> float:
        """Return the p-value of a judgement: see `Reading`. What does not matter is never rare."""
        per_day = max(judgement.per_day, 1e-300)
        if not judgement.matters:
            per_day = max(per_day, IMMATERIAL_PER_DAY)
        return min(1.0, per_day * self.tests * self.bar_seconds / DAY_SECONDS)

    def _explained(
        self, alarmed: list[Judgement], judgements: list[Judgement]
    ) -> list[Contribution]:
        """Return the alarmed statistics, then the others that are rarer than a block in ten."""
        weights = {
            its.name: max(0.0, math.log10(DAY_SECONDS / max(its.per_day, 1e-300)))
            for its in judgements
        }
        names = [its.name for its in alarmed]
        others = [its for its in judgements if its.name not in names and its.matters]
        total = sum(weights[its.name] for its in (*alarmed, *others)) or 1.0
        return [
            Contribution(its.name, its.value, its.usual, weights[its.name] / total)
            for its in (*alarmed, *others)
        ]

    def credit(self, statistic: str) -> float:
        """Credit a run of alarms of a statistic that was right; see `Controller.credit`."""
        controller = self.controllers.get(statistic)
        return controller.credit() if controller is not None else 0.0

    def debit(self, statistic: str, taken: float) -> None:
        """Take back a credit; see `Controller.debit`."""
        controller = self.controllers.get(statistic)
        if controller is not None:
            controller.debit(taken)

    @property
    def highest_bar(self) -> float:
        """The highest bar of its controllers, in decades of evidence."""
        return max(its.state.bar for its in self.controllers.values())

    def threshold(self, name: str) -> float:
        """Return the score from which a statistic alarms, without the controller."""
        return self.model.threshold(name, self.budget_per_day)

    def state(self) -> ScorerState:
        """Return the learned state, for a snapshot."""
        return ScorerState(
            self.model.state(), {name: its.state for name, its in self.controllers.items()}
        )

    def restore(self, state: ScorerState) -> None:
        """Continue from the state of a snapshot."""
        self.model.restore(state.model)
        for name, controller_state in state.controllers.items():
            if name in self.controllers:
                self.controllers[name].state = controller_state
