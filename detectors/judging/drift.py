"""Detect a lasting change of a detector's features (drift).

The deviation of each feature from its baseline, in standard deviations, is averaged over blocks of
one minute. The value of a block is its largest average. While the baseline fits, this value varies
by chance alone. River's Page-Hinkley test detects that it has been higher for minutes. A passing
incident is too short for the test. A lasting change is detected in either direction, and reported
once; the old baseline then ends.
"""

from collections.abc import Mapping

from msgspec import Struct
from river.drift import PageHinkley

BLOCK_BARS = 60
LARGEST_DEVIATION = 4.0
"""The largest deviation of a bar that counts, in standard deviations: a drift is long, not
large."""

MIN_BLOCKS = 10
TOLERATED_RISE = 0.2
CUMULATED_RISE = 9.5
"""The parameters of the test, in minutes (blocks) and standard deviations. A change of three
standard deviations is detected after about seven minutes."""

MAX_BLOCKS = 120
"""The number of blocks that the test remembers. When they are full, the newer half is kept."""


class DriftState(Struct):
    """The learned state of a DriftWatch; part of a snapshot."""

    bars: int = 0
    sums: dict[str, float] = {}
    blocks: list[float] = []


class DriftWatch:
    """Detects drift in the features of one detector for one symbol.

    Examples
    --------
    >>> watch = DriftWatch()
    >>> found = [watch.learn({"spread": 0.5 * (-1) ** i}) for i in range(3_600)]
    >>> any(found)
    False
    >>> found = [watch.learn({"spread": 6.0}) for _ in range(900)]
    >>> next((i + 1, moved) for i, moved in enumerate(found) if moved)
    (180, {'spread': 4.0})

    References
    ----------
    [^1]: [Page, E. S., 1954. Continuous Inspection Schemes. Biometrika, 41(1/2), pp.100-115.]
    (https://doi.org/10.2307/2333009)
    """

    __slots__ = ("_test", "state")

    def __init__(self) -> None:
        self.restore(DriftState())

    def learn(self, deviations: Mapping[str, float]) -> dict[str, float]:
        """Take the deviations of a bar, in standard deviations of either sign.

        If a drift is detected, this returns the mean deviation of each feature over the last
        block and resets the watch. Otherwise it returns an empty dict.
        """
        state = self.state
        state.bars += 1
        for feature, deviation in deviations.items():
            clipped = min(LARGEST_DEVIATION, max(-LARGEST_DEVIATION, deviation))
            state.sums[feature] = state.sums.get(feature, 0.0) + clipped
        if state.bars < BLOCK_BARS:
            return {}
        means = {feature: total / state.bars for feature, total in state.sums.items()}
        state.bars, state.sums = 0, {}
        block = max(map(abs, means.values()), default=0.0)
        if len(state.blocks) == MAX_BLOCKS:
            state.blocks = state.blocks[MAX_BLOCKS // 2 :]
            self._begin_test()
        state.blocks.append(block)
        self._test.update(block)  # type: ignore[no-untyped-call]  # river's own
        if not self._test.drift_detected:
            return {}
        self.restore(DriftState())
        return means

    def restore(self, state: DriftState) -> None:
        """Continue from the state of a snapshot."""
        self.state = state
        self._begin_test()

    def _begin_test(self) -> None:
        self._test = PageHinkley(
            min_instances=MIN_BLOCKS,
            delta=TOLERATED_RISE,
            threshold=CUMULATED_RISE,
            alpha=1.0,
            mode="up",
        )
        # River stores a bound method of the test in the test: a reference cycle. Only a full
        # garbage collection frees a cycle, and full collections are hours apart. Every evicted
        # symbol would leave some cycles in memory.
        self._test._test_drift = _has_risen  # noqa: SLF001
        for block in self.state.blocks:
            self._test.update(block)  # type: ignore[no-untyped-call]  # river's own


def _has_risen(test_increase: float, test_decrease: float) -> bool:  # noqa: ARG001  # river's
    return test_increase > CUMULATED_RISE
