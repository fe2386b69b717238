"""Whether the sequence numbers of a symbol are complete and unique."""

from detectors.audit.outcome import Case, Tally

MAX_OPEN_GAPS = 1_000
"""Gaps that a late event may still fill; the oldest is given up."""


class Numbering:
    """Follows the sequence numbers of one symbol's events, all streams together.

    Attributes
    ----------
    gaps, repeats
        Events; a breach of ``gaps`` is a run of missing numbers, of ``repeats`` a number that came
        before.
    missing
        Numbers that never came.

    Examples
    --------
    >>> numbering = Numbering("BTC-PERP")
    >>> for number in (1, 2, 5, 4, 5):
    ...     numbering.on_number(number, ts_event=0)
    >>> numbering.close()
    >>> numbering.missing, numbering.gaps.breaches, numbering.repeats.breaches
    (1, 1, 1)
    """

    __slots__ = ("_last", "_open", "_symbol", "gaps", "missing", "repeats")

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._last = -1
        self._open: dict[int, tuple[int, int]] = {}
        self.gaps = Tally()
        self.repeats = Tally()
        self.missing = 0

    @property
    def is_consecutive(self) -> bool:
        """Whether the numbers number the events: fewer numbers are missing than came."""
        return self._last >= 0 and self.missing + len(self._open) < self.gaps.population

    def on_number(self, number: int, ts_event: int) -> None:
        """Take the number of the next event in the order of time."""
        self.gaps.held()
        last = self._last
        if number == last + 1 or last < 0:
            self._last = number
            self.repeats.held()
            return
        if number > last:
            self._open[last + 1] = (number - 1, ts_event)
            self._last = number
            self.repeats.held()
            if len(self._open) > MAX_OPEN_GAPS:
                self._give_up(next(iter(self._open)))
            return
        for first, (final, at) in self._open.items():
            if first <= number <= final:
                del self._open[first]
                if first < number:
                    self._open[first] = (number - 1, at)
                if number < final:
                    self._open[number + 1] = (final, at)
                self.repeats.held()
                return
        story = f"sequence number {number} came again; the last was {last}"
        self.repeats.breach(Case(ts_event, self._symbol, "", 1.0, 0.0, story))

    def close(self) -> None:
        """Count the gaps that nothing has filled."""
        for first in list(self._open):
            self._give_up(first)

    def _give_up(self, first: int) -> None:
        final, ts_event = self._open.pop(first)
        count = final - first + 1
        self.missing += count
        story = f"{count:,} sequence numbers are missing: {first} to {final}"
        self.gaps.breach(Case(ts_event, self._symbol, "", float(count), 0.0, story))
