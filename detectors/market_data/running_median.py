"""Running medians: of the quantity of orders, and of the spread."""

import numpy as np
from msgspec import Struct

from detectors.table import Flags, Floats, Ints, Rows, enlarged

SAMPLES_KEPT = 360
SAMPLES_BETWEEN = 30
"""The samples of a running median, at most one a bar, and their number between two estimates."""


class MedianState(Struct):
    """The learned state of a running median; part of a snapshot. The oldest sample is the first."""

    samples: list[float] = []
    sampled: int = 0
    value: float = 0.0


class RunningMedians:
    """The median of the last samples of each row, estimated anew after every thirtieth.

    Attributes
    ----------
    value
        The medians; 0 while unknown.

    Examples
    --------
    >>> medians = RunningMedians()
    >>> medians.resize(1)
    >>> for size in (1.0, 5.0, 3.0):
    ...     medians.learn_many(np.array([0]), np.array([size]))
    >>> float(medians.value[0])
    3.0
    """

    __slots__ = ("_sampled", "_samples", "value")

    def __init__(self) -> None:
        self.value: Floats = np.zeros(0)
        self._sampled: Ints = np.zeros(0, dtype=np.int64)
        # The ring of the last samples: sample number n is in place n modulo their number.
        self._samples: Floats = np.zeros((0, SAMPLES_KEPT))

    def resize(self, rows: int) -> None:
        """Make room for so many rows."""
        self.value = enlarged(self.value, (rows,))
        self._sampled = enlarged(self._sampled, (rows,))
        self._samples = enlarged(self._samples, (rows, SAMPLES_KEPT))

    def clear(self, row: int) -> None:
        """Forget all of a row."""
        self.value[row], self._sampled[row] = 0.0, 0

    def learn_many(self, rows: Rows, samples: Floats) -> None:
        """Add a sample of each row; one that is not positive is none."""
        is_sample: Flags = samples > 0.0
        if not is_sample.all():
            rows, samples = rows[is_sample], samples[is_sample]
        sampled = self._sampled[rows]
        self._samples[rows, sampled % SAMPLES_KEPT] = samples
        sampled += 1
        self._sampled[rows] = sampled
        due = (sampled <= SAMPLES_BETWEEN) | (sampled % SAMPLES_BETWEEN == 0)
        if due.any():
            self._estimate(rows[due], np.minimum(sampled[due], SAMPLES_KEPT))

    def _estimate(self, rows: Rows, count: Ints) -> None:
        width = int(count.max())
        ordered = self._samples[rows, :width]
        if (count < width).any():
            ordered[np.arange(width) >= count[:, None]] = np.inf
        ordered.sort(axis=1)
        self.value[rows] = ordered[np.arange(len(rows)), count // 2]

    def state(self, row: int) -> MedianState:
        """Return the learned state of a row, for a snapshot."""
        sampled = int(self._sampled[row])
        samples = self._samples[row]
        ordered = samples[:sampled] if sampled <= SAMPLES_KEPT else np.roll(samples, -sampled)
        return MedianState(ordered.tolist(), sampled, float(self.value[row]))

    def restore(self, row: int, state: MedianState) -> None:
        """Let a row continue from the state of a snapshot.

        Raises
        ------
        ValueError
            The number of samples is not the one that was taken.
        """
        count = len(state.samples)
        if count != min(state.sampled, SAMPLES_KEPT):
            raise ValueError(f"a median of {state.sampled} samples has {count}")
        self.value[row], self._sampled[row] = state.value, state.sampled
        numbers = np.arange(state.sampled - count, state.sampled) % SAMPLES_KEPT
        self._samples[row, numbers] = state.samples
