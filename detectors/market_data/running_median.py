"""Running medians: of the quantity of orders, and of the spread."""

import numpy as np
from msgspec import Struct

from detectors.table import Flags, Floats, Ints, Rows, Writes, enlarged, some

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
    ...     with Writes() as writes:
    ...         median = medians.learn_many(np.array([0]), np.array([size]), writes)
    >>> float(median[0])
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

    def learn_many(self, rows: Rows, samples: Floats, writes: Writes) -> Floats:
        """Add a sample of each row; one that is not positive is none. Return the new medians."""
        value = self.value[rows]
        is_sample: Flags = samples > 0.0
        count = np.count_nonzero(is_sample)
        if count < len(samples):
            if count:
                value[is_sample] = self.learn_many(rows[is_sample], samples[is_sample], writes)
            return value
        sampled = self._sampled[rows]
        places = sampled % SAMPLES_KEPT
        writes.put(self._samples, (rows, places), samples)
        sampled += 1
        writes.put(self._sampled, rows, sampled)
        due = (sampled <= SAMPLES_BETWEEN) | (sampled % SAMPLES_BETWEEN == 0)
        if some(due):
            kept = np.minimum(sampled[due], SAMPLES_KEPT)
            value[due] = self._estimate(rows[due], kept, places[due], samples[due])
            writes.put(self.value, rows, value)
        return value

    def _estimate(self, rows: Rows, count: Ints, places: Ints, samples: Floats) -> Floats:
        """Return the medians with a sample in its place."""
        width, each = int(count.max()), np.arange(len(rows))
        ordered = self._samples[rows, :width]
        ordered[each, places] = samples
        if (count < width).any():
            ordered[np.arange(width) >= count[:, None]] = np.inf
        ordered.sort(axis=1)
        medians: Floats = ordered[each, count // 2]
        return medians

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
