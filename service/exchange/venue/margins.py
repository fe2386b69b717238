"""The margin that a contract requires, in tiers of notional, and the prices that follow from it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from detectors.market_data.events import Tier

TIERS = ((25.0, 1.0), (100.0, 1.5), (400.0, 2.5), (None, 5.0))
"""Up to how many median orders a tier reaches, and the rates of its part in multiples of the first
tier's. Binance's brackets for bitcoin rise by such factors: 0.4 %, 0.5 %, 1 %, 2.5 % and more."""


class _Tier(NamedTuple):
    """``deduction`` makes the requirement continuous at ``floor``."""

    floor: float
    initial: float
    maintenance: float
    deduction: float
    initial_deduction: float


class MarginSchedule:
    """The requirement for a position of a given notional.

    In tier i the maintenance margin is m_i n - D_i, with D_1 = 0 and D_i = D_(i-1) + b_i (m_i -
    m_(i-1)), where b_i is the tier's lower bound: Binance's "maintenance amount".

    Parameters
    ----------
    floors
        The lower bound of each tier in the quote currency; the first is 0.
    initial, maintenance
        The rates of each tier.

    Examples
    --------
    >>> schedule = MarginSchedule([0.0, 1_000.0], [0.02, 0.04], [0.01, 0.02])
    >>> schedule.maintenance(500.0), schedule.maintenance(3_000.0), schedule.initial(3_000.0)
    (5.0, 50.0, 100.0)
    """

    def __init__(
        self, floors: Sequence[float], initial: Sequence[float], maintenance: Sequence[float]
    ) -> None:
        tiers = [_Tier(floors[0], initial[0], maintenance[0], 0.0, 0.0)]
        for floor, start, least in zip(floors[1:], initial[1:], maintenance[1:], strict=True):
            below = tiers[-1]
            tiers.append(
                _Tier(
                    floor,
                    start,
                    least,
                    below.deduction + floor * (least - below.maintenance),
                    below.initial_deduction + floor * (start - below.initial),
                )
            )
        self._tiers = tuple(tiers)

    @property
    def maintenance_rate(self) -> float:
        """The maintenance rate of the lowest tier."""
        return self._tiers[0].maintenance

    @property
    def initial_rate(self) -> float:
        """The initial rate of the lowest tier."""
        return self._tiers[0].initial

    @property
    def is_tiered(self) -> bool:
        """Whether there is more than one tier."""
        return len(self._tiers) > 1

    def maintenance(self, notional: float) -> float:
        """The collateral below which the venue closes a position of this notional."""
        tier = self._tier_of(notional)
        return tier.maintenance * notional - tier.deduction

    def initial(self, notional: float) -> float:
        """The collateral that a new position of this notional needs at least."""
        tier = self._tier_of(notional)
        return tier.initial * notional - tier.initial_deduction

    def liquidation_price(self, quantity: float, entry: float, margin: float) -> float:
        """The mark price at which equity is the maintenance margin; 0 if there is none.

        Solves margin + q (p - entry) = m_i |q| p - D_i in the tier in which |q| p then lies.
        """
        price = 0.0
        for tier, above in pairwise((*self._tiers, None)):
            assert tier is not None
            size = abs(quantity)
            price = (quantity * entry - margin - tier.deduction) / (
                quantity - tier.maintenance * size
            )
            if above is None or size * price <= above.floor:
                break
        return max(price, 0.0)

    def scaled(self, factor: float) -> "MarginSchedule":
        """The schedule with all rates multiplied."""
        return MarginSchedule(
            [tier.floor for tier in self._tiers],
            [tier.initial * factor for tier in self._tiers],
            [tier.maintenance * factor for tier in self._tiers],
        )

    def with_initial(self, factor: float) -> "MarginSchedule":
        """The schedule with all initial rates multiplied."""
        if factor == 1.0:
            return self
        return MarginSchedule(
            [tier.floor for tier in self._tiers],
            [tier.initial * factor for tier in self._tiers],
            [tier.maintenance for tier in self._tiers],
        )

    def published(self) -> tuple[Tier, ...] | None:
        """The tiers as events name them; None if there is only one."""
        if not self.is_tiered:
            return None
        bounds = [*(tier.floor for tier in self._tiers[1:]), None]
        return tuple(
            Tier(
                up_to_notional=bound,
                initial_rate=tier.initial,
                maintenance_rate=tier.maintenance,
            )
            for tier, bound in zip(self._tiers, bounds, strict=True)
        )

    def _tier_of(self, notional: float) -> _Tier:
        found = self._tiers[0]
        for tier in self._tiers[1:]:
            if notional <= tier.floor:
                break
            found = tier
        return found


def flat(maintenance: float, initial: float | None = None) -> MarginSchedule:
    """A schedule of one tier; the initial rate is by default twice the maintenance rate."""
    return MarginSchedule([0.0], [2 * maintenance if initial is None else initial], [maintenance])


def tiered(
    maintenance: float, initial: float, median_notional: float, *, above: int = 0
) -> MarginSchedule:
    """A schedule with `TIERS`, for a contract with this median order in the quote currency.

    ``above`` puts each position so many tiers too high.
    """
    bounds = [bound for bound, _ in TIERS if bound is not None]
    factors = [factor for _, factor in TIERS]
    factors = factors[above:] + factors[-1:] * above
    return MarginSchedule(
        [0.0, *(bound * median_notional for bound in bounds)],
        [initial * factor for factor in factors],
        [maintenance * factor for factor in factors],
    )
