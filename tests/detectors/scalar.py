"""One statistic of one symbol, in plain Python: what the columns of the detectors must equal."""

import math
from array import array

from detectors.judging.baseline import (
    MOST_SAMPLES,
    REFRESH_SAMPLES,
    SAMPLE_BARS,
    SKIPPED_SAMPLES,
    SQUARED,
    TRIMMED,
    BaselineState,
    Kind,
)
from detectors.judging.controller import HIGHEST, STEP, ControllerState
from detectors.judging.tail import (
    BLOCK_SECONDS,
    CENSORED,
    DAY_SECONDS,
    LEAST_BLOCKS,
    MOST_BLOCKS,
    PRIOR_EXCESSES,
    TAIL_BEGINS,
    TailState,
)


class Baseline:
    """A baseline, see `Baselines`."""

    __slots__ = ("_bars", "_samples", "kind", "noise", "usual")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._bars = 0
        self.usual, self.noise = 0.0, 1.0
        self._samples: array[float] = array("f")
        self.restore(BaselineState())

    def deviation(self, value: float) -> float:
        """Return the deviation of a value from the usual one, in units of its noise."""
        return (value - self.usual) / self.noise

    def score(self, value: float) -> float:
        """Return the score of a value: its deviation, squared and halved for `SQUARED` kinds."""
        deviation = self.deviation(value)
        return deviation * abs(deviation) / 2.0 if self.kind in SQUARED else deviation

    def learn(self, value: float) -> None:
        """Learn the value of a bar."""
        if self.kind == "plain":
            return
        self._bars += 1
        if self._bars % SAMPLE_BARS:
            return
        samples = self._samples
        samples.append(value)
        if len(samples) > MOST_SAMPLES:
            del samples[0]
        taken = self._bars // SAMPLE_BARS
        if taken < 10 * REFRESH_SAMPLES or taken % REFRESH_SAMPLES == 0:
            self._estimate()

    def _estimate(self) -> None:
        samples = self._samples
        if self._bars // SAMPLE_BARS >= 5 * SKIPPED_SAMPLES:
            samples = samples[:-SKIPPED_SAMPLES]
        ordered = sorted(samples)
        if not ordered:
            return
        if self.kind == "net":
            self.usual = ordered[len(ordered) // 2]
            return
        kept = ordered[: max(1, round(len(ordered) * (1.0 - TRIMMED)))]
        self.usual = mean = math.fsum(kept) / len(kept)
        variance = math.fsum((x - mean) * (x - mean) for x in kept) / len(kept)
        self.noise = math.sqrt(max(variance, mean) + 1.0)

    def state(self) -> BaselineState:
        """Return the learned state, for a snapshot."""
        return BaselineState(self._bars, self.usual, self.noise, self._samples.tobytes())

    def restore(self, state: BaselineState) -> None:
        """Continue from the state of a snapshot."""
        self._bars, self.usual, self.noise = state.bars, state.usual, state.noise
        self._samples = array("f", state.samples)


class Tail:
    """A tail, see `Tails`."""

    __slots__ = (
        "_bars",
        "_longest",
        "_maxima",
        "_top",
        "bar_seconds",
        "block_bars",
        "scale",
        "shape",
        "start",
        "unit",
    )

    def __init__(self, unit: float, block_bars: int = 1, bar_seconds: float = 1.0) -> None:
        self._bars = 0
        self._top = 0.0
        self._maxima: array[float] = array("f")
        self.unit = unit
        self.bar_seconds = bar_seconds
        self._longest = max(1, round(BLOCK_SECONDS / bar_seconds))
        self.restore(TailState(min(block_bars, self._longest)))

    @property
    def warming_up(self) -> bool:
        """Whether too few blocks have been learned to judge a value."""
        return len(self._maxima) < LEAST_BLOCKS

    @property
    def blocks_per_day(self) -> float:
        """The number of blocks a day."""
        return DAY_SECONDS / (self.block_bars * self.bar_seconds)

    def per_day(self, value: float) -> float:
        """Return how many blocks a day reach a value by chance, at most `blocks_per_day`."""
        if value > self.start:
            excess = (value - self.start) / self.scale
            beyond: float = (1.0 + self.shape * excess) ** (-1.0 / self.shape)
            return self.blocks_per_day * (1.0 - TAIL_BEGINS) * beyond
        # Below the tail only the order matters.
        share = value / self.start if value > 0.0 else 0.0
        return self.blocks_per_day * (1.0 - TAIL_BEGINS * share)

    def threshold(self, per_day: float) -> float:
        """Return the value that ``per_day`` blocks a day reach by chance."""
        share = max(1e-300, min(1.0, per_day / (self.blocks_per_day * (1.0 - TAIL_BEGINS))))
        multiple: float = (share**-self.shape - 1.0) / self.shape
        return self.start + self.scale * multiple

    def learn(self, value: float) -> None:
        """Learn the value of a bar. A bar without a value has the value 0."""
        self._top = max(self._top, value)
        self._bars += 1
        if self._bars >= self.block_bars:
            self._maxima.append(self._top)
            self._bars, self._top = 0, 0.0
            self._bound()
            self._fit()

    def _bound(self) -> None:
        """Merge neighbouring blocks while they are short; then drop the oldest."""
        maxima = self._maxima
        if len(maxima) >= 2 * LEAST_BLOCKS and 2 * self.block_bars <= self._longest:
            self.block_bars *= 2
            self._maxima = array("f", map(max, maxima[::2], maxima[1::2]))
        elif len(maxima) > MOST_BLOCKS:
            del maxima[0]

    def _fit(self) -> None:
        ordered = sorted(self._maxima)
        n = len(ordered)
        if n < LEAST_BLOCKS:
            return
        self.start = start = ordered[int(TAIL_BEGINS * n)]
        censored = ordered[min(n - 1, int(CENSORED * n))]
        excesses = [x - start for x in ordered[int(TAIL_BEGINS * n) :] if x > start]
        uncensored = sum(start < x <= censored for x in ordered)
        total = math.fsum(min(excess, censored - start) for excess in excesses)
        self.scale = max(self.unit, total / uncensored if uncensored else 0.0)
        self.shape = 1.0 / (uncensored + PRIOR_EXCESSES)

    def state(self) -> TailState:
        """Return the learned state, for a snapshot."""
        return TailState(self.block_bars, self._bars, self._top, self._maxima.tobytes())

    def restore(self, state: TailState) -> None:
        """Continue from the state of a snapshot."""
        self.block_bars, self._bars, self._top = state.block_bars, state.bars, state.top
        self._maxima = array("f", state.maxima)
        self.start, self.scale, self.shape = 0.0, self.unit, 1.0 / PRIOR_EXCESSES
        self._fit()


class Controller:
    """A controller, see `Controllers`."""

    __slots__ = ("quiet_bars", "state")

    def __init__(self, quiet_bars: int) -> None:
        self.quiet_bars = quiet_bars
        self.state = ControllerState()

    @property
    def in_run(self) -> bool:
        """Whether an alarm now would belong to a run that has begun."""
        return 0 <= self.state.quiet_bars < self.quiet_bars

    def alarms(self, per_day: float, budget_per_day: float) -> bool:
        """Return whether a value that chance reaches ``per_day`` times a day is an alarm."""
        state = self.state
        bar = state.entered if self.in_run else state.bar
        return min(HIGHEST, math.log10(budget_per_day / max(per_day, 1e-300))) > bar

    def step(self, *, alarm: bool, budget_per_bar: float) -> None:
        """Let a bar pass. ``budget_per_bar`` is the budget in alarms per bar."""
        state = self.state
        if alarm:
            if not self.in_run:
                state.entered = state.bar
                state.bar += STEP
            state.quiet_bars = 0
        elif state.quiet_bars >= 0:
            state.quiet_bars += 1
        state.bar = max(0.0, state.bar - STEP * budget_per_bar)

    def credit(self) -> None:
        """Take back the last alarm: it was right, and does not count against the budget."""
        self.state.bar = max(0.0, self.state.bar - STEP)
