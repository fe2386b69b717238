"""Whether the positions of a symbol add up: longs, shorts and the open interest."""

import math

from detectors.audit.holdings import Holdings
from detectors.audit.outcome import Case, Tally
from detectors.market_data.events import Reference

TOLERANCE = 1e-6
"""Of sums relative to the open interest: the rounding of published quantities."""


class Conservation:
    """Compares sums of positions with each published open interest.

    Every trade has a buyer and a seller, so the sum of all positions never changes. At the first
    reference the sum is whatever the accounts without records held before; from then on it must
    stay. Where longs equal the open interest at first, they must stay equal, else they must never
    exceed it.

    Attributes
    ----------
    tally
        References with an open interest.
    coverage_ratio
        Longs over open interest at the last reference; NaN without one.
    """

    __slots__ = ("_first_net", "_is_complete", "_symbol", "coverage_ratio", "tally")

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._first_net = math.nan
        self._is_complete = False
        self.coverage_ratio = math.nan
        self.tally = Tally()

    def on_reference(
        self, reference: Reference, holdings: Holdings, price: float, *, all_known: bool = True
    ) -> None:
        """Check the sums at a reference; ``price`` values a difference.

        Without ``all_known`` some account's position is split over two names, and only the sum of
        all positions is checked.
        """
        interest = reference.open_interest
        if interest is None:
            return
        longs, shorts = holdings.sides()
        net = longs - shorts
        allowed = TOLERANCE * max(interest, longs, shorts)
        self.coverage_ratio = longs / interest if interest > 0.0 else math.nan
        if math.isnan(self._first_net):
            self._first_net = net
            self._is_complete = abs(longs - interest) <= allowed and abs(net) <= allowed
        if abs(net - self._first_net) > allowed:
            gap = abs(net - self._first_net)
            story = f"longs {longs:g} less shorts {shorts:g} have changed by {gap:g}"
            self._first_net = net  # each change counts once
        elif not all_known:
            self.tally.held()
            return
        elif self._is_complete and abs(longs - interest) > allowed:
            gap = abs(longs - interest)
            story = f"open interest {interest:g}; the longs sum to {longs:g}"
        elif max(longs, shorts) > interest + allowed:
            gap = max(longs, shorts) - interest
            story = f"longs {longs:g}, shorts {shorts:g}; open interest only {interest:g}"
        else:
            self.tally.held()
            return
        money = gap * price if math.isfinite(price) else 0.0
        self.tally.breach(Case(reference.ts_event, self._symbol, "", gap / interest if interest
                               else math.inf, money, story))  # fmt: skip
