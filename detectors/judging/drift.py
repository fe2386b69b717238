"""A lasting change in what a detector sees: told of once, and the end of an old habit.

Each feature's deviation from its baseline, in standard deviations, is averaged over blocks of a
minute. The largest of a block's averages stays where chance keeps it while the baseline fits; when
it has been above that for minutes on end, river's Page-Hinkley test says so. An incident that comes
and goes does not add up to it; what lasts does, whatever its direction.
"""

from collections.abc import Mapping
from functools import partial

from msgspec import Struct
from river.drift import PageHinkley

BLOCK_BARS = 60
LARGEST_DEVIATION = 4.0
"""A bar's deviation counts for at most so many standard deviations: a drift is long, not large."""

MIN_BLOCKS = 10
TOLERATED_RISE = 0.2
CUMULATED_RISE = 9.5
ALARMING_RISE = 24.0
"""The test's parameters, in standard deviations and minutes of them: of a change of three standard
deviations about seven minutes. Where a detector raises alarms it takes much more, so that a drain
or a build-up has been told of as what it is by then."""

MAX_BLOCKS = 120
"""So many blocks make up the test's memory; half of them are kept when it is full."""


class DriftState(Struct):
    """All that a watch has learned; a snapshot keeps it and puts it back."""

    bars: int = 0
    sums: dict[str, float] = {}
    blocks: list[float] = []


class DriftWatch:
    """Watches one detector's features in one symbol for a change that lasts.

    Parameters
    ----------
    cumulated_rise
        How much the blocks' largest averages must have risen in sum.

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

    __slots__ = ("_test", "cumulated_rise", "state")

    def __init__(self, cumulated_rise: float = CUMULATED_RISE) -> None:
        self.cumulated_rise = cumulated_rise
        self.restore(DriftState())

    def learn(self, deviations: Mapping[str, float]) -> dict[str, float]:
        """Take a bar's deviations, in standard deviations of either sign.

        Where they show a drift: the features' mean deviations over the last block, and the watch
        begins anew. Nothing otherwise.
        """
        state = self.state
        state.bars += 1
        for feature, deviation in deviations.items():
            counted = min(LARGEST_DEVIATION, max(-LARGEST_DEVIATION, deviation))
            state.sums[feature] = state.sums.get(feature, 0.0) + counted
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
        """Take over what a snapshot's watch had learned."""
        self.state = state
        self._begin_test()

    def _begin_test(self) -> None:
        self._test = PageHinkley(
            min_instances=MIN_BLOCKS,
            delta=TOLERATED_RISE,
            threshold=self.cumulated_rise,
            alpha=1.0,
            mode="up",
        )
        # River keeps a method of the test in the test. Only a full collection of garbage, hours
        # apart, would free such a cycle, and every symbol that is forgotten leaves some.
        self._test._test_drift = partial(_risen_beyond, self.cumulated_rise)  # noqa: SLF001
        for block in self.state.blocks:
            self._test.update(block)  # type: ignore[no-untyped-call]  # river's own


def _risen_beyond(threshold: float, rise: float, _fall: float) -> bool:
    return rise > threshold
