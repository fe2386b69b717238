"""The margin parameters of a symbol over time, as they take effect."""

import math

from detectors.fairness.margin_history import Change, changes_of
from detectors.market_data.events import Margin, Tier
from detectors.risk.contract import Contract
from detectors.risk.tiers import Tiers, tiers_of


class Schedule:
    """The parameters in force, and their changes.

    Attributes
    ----------
    contract
        With the maintenance tiers in force; None while they are unknown.
    changes
        Changes of the numbers that a margin record carries, in the order of the records.
    """

    __slots__ = ("_fallback", "_symbol", "_values", "_waiting", "changes", "contract", "in_force")

    def __init__(self, symbol: str, fallback: tuple[Tier, ...] | None) -> None:
        self._symbol = symbol
        self._fallback = fallback
        self._values: dict[str, float] = {}
        self._waiting: list[tuple[int, Margin]] = []
        self.changes: list[Change] = []
        self.in_force: Margin | None = None
        self.contract = None if fallback is None else Contract(published_tiers(fallback))

    def on_margin(self, margin: Margin) -> None:
        """Note a record; `advance` brings it into force."""
        self.changes += changes_of(self._symbol, self._values, margin)
        effective = margin.effective_at or margin.ts_event
        self._waiting.append((effective, margin))
        self._waiting.sort(key=lambda entry: entry[0])

    def is_due(self, now_ns: int) -> bool:
        """Return whether a record takes effect by now that is not in force."""
        return bool(self._waiting) and self._waiting[0][0] <= now_ns

    def advance(self, now_ns: int) -> bool:
        """Bring into force what is effective; return whether the maintenance margins changed."""
        changed = False
        while self._waiting and self._waiting[0][0] <= now_ns:
            margin = self._waiting.pop(0)[1]
            self.in_force = margin
            tiers = effective_tiers(margin)
            if tiers is None:
                continue
            contract = Contract(tiers)
            changed = changed or contract != self.contract
            self.contract = contract
        return changed


def effective_tiers(margin: Margin) -> Tiers | None:
    """Return the maintenance tiers of a margin record; None if it has none that are usable."""
    if margin.tiers is not None:
        return published_tiers(margin.tiers)
    rate = margin.maintenance_margin_rate
    if rate is None or not 0.0 < rate < 1.0:
        return None
    return tiers_of([rate])


def published_tiers(tiers: tuple[Tier, ...]) -> Tiers:
    """Return tiers as `detectors.risk` has them.

    >>> published_tiers((Tier(up_to_notional=1000.0, maintenance_rate=0.01),
    ...     Tier(maintenance_rate=0.02))).floors
    (0.0, 1000.0)
    """
    floors = [0.0, *(tier.up_to_notional or math.inf for tier in tiers[:-1])]
    return tiers_of([tier.maintenance_rate for tier in tiers], floors)
