"""The sources of an index: prices on other venues, of which the index is the weighted median."""

from random import Random

from detectors.market_data.events import IndexSource
from service.exchange.rules import PriceRules

NAMES = ("Alpha", "Beta", "Gamma", "Delta", "Epsilon")

DEVIATION_BPS = 1.0
LEADER_DEVIATION_BPS = 40.0
"""How far a source is from the others, in basis points; a thin venue that decides alone strays."""

MEMORY = 0.98
"""How much of a source's distance is left after a reference."""


class Sources:
    """Five venues. The index is given; their prices lie around it so that it is their median.

    With a ``leader_weight`` above one half the first venue decides alone, and strays from the
    others.
    """

    def __init__(self, rules: PriceRules, rng: Random) -> None:
        self._rng = rng
        share = rules.leader_weight
        rest = (1.0 - share) / (len(NAMES) - 1)
        self._weights = [share, *[rest] * (len(NAMES) - 1)]
        leads = share > 0.5
        self._spreads = [LEADER_DEVIATION_BPS if leads else DEVIATION_BPS]
        self._spreads += [DEVIATION_BPS] * (len(NAMES) - 1)
        self._leads = leads
        self._offsets = [rng.gauss(0.0, spread) for spread in self._spreads]

    def around(self, index: float) -> tuple[IndexSource, ...]:
        """The sources of an index; the offsets from it move on."""
        shock = (1.0 - MEMORY**2) ** 0.5
        self._offsets = [
            MEMORY * offset + shock * self._rng.gauss(0.0, spread)
            for offset, spread in zip(self._offsets, self._spreads, strict=True)
        ]
        middle = self._offsets[0] if self._leads else sorted(self._offsets)[len(NAMES) // 2]
        return tuple(
            IndexSource(
                name=name,
                price=float(f"{index * (1 + (offset - middle) * 1e-4):.8g}"),
                weight=weight,
            )
            for name, offset, weight in zip(NAMES, self._offsets, self._weights, strict=True)
        )
