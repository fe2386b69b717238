"""Sums of the flow with exponential forgetting.

A span of tau seconds weights an event of t seconds ago by exp(-t / tau). Each span takes one row of
numbers, whatever its length. An interval without events costs nothing.
"""

import math
from collections.abc import Sequence

import numpy as np

from detectors.market_data.flow import AMOUNTS, Flow, amounts
from detectors.table import Floats, Ints, Powers, Rows, Writes, at, enlarged

SPANS_SECONDS = (5, 15, 60)
"""The spans of the flow sums, in addition to the bar itself: no single scale suffices."""


class Spans:
    """The flow sums of SPANS_SECONDS, a row for each symbol.

    Parameters
    ----------
    bar_seconds
        The length of a bar.
    """

    __slots__ = ("_powers", "_sums")

    def __init__(self, bar_seconds: float) -> None:
        self._powers = Powers([math.exp(-bar_seconds / span) for span in SPANS_SECONDS])
        self._sums: Floats = np.zeros((0, len(SPANS_SECONDS), AMOUNTS))

    def resize(self, rows: int) -> None:
        """Make room for so many rows."""
        self._sums = enlarged(self._sums, (rows, len(SPANS_SECONDS), AMOUNTS))

    def clear(self, row: int) -> None:
        """Forget the flow of a row so far."""
        self._sums[row] = 0.0

    def pause(self, rows: Rows, writes: Writes) -> None:
        """Forget the flow of rows so far: the market paused."""
        writes.put(self._sums, rows, 0.0)

    def add_many(self, rows: Rows, flows: Floats, elapsed: Ints, writes: Writes) -> Floats:
        """Let ``elapsed`` bars pass in each row, the last of them with its flow.

        Parameters
        ----------
        rows
            The rows.
        flows
            The amounts of the last bar of each row, in the order of the fields of `Flow`.
        elapsed
            The number of bars.
        writes
            Takes the new sums.

        Returns
        -------
        Floats
            The new sums: rows, spans, amounts.
        """
        factors = self._powers.of(elapsed)
        place = at(rows)
        sums: Floats = self._sums[place] * factors[:, :, None] + flows[:, None, :]
        writes.put(self._sums, place, sums)
        return sums

    def state(self, row: int) -> tuple[Flow, ...]:
        """Return the sums of a row, for a snapshot."""
        return tuple(Flow(*sums) for sums in self._sums[row].tolist())

    def restore(self, row: int, state: Sequence[Flow]) -> None:
        """Let a row continue from the sums of a snapshot."""
        self._sums[row] = [amounts(flow) for flow in state]
