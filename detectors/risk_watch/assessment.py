"""How near a side of a symbol is to a run of liquidations, at one moment."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from detectors.risk.coarse import coarsened, representatives
from detectors.risk.contract import quote_notional
from detectors.risk.drawn_runs import drawn_distances, near_ratio
from detectors.risk.draws import impact_draws
from detectors.risk.forced import Forced, forced_of
from detectors.risk.ladder import Ladder, Side, rungs
from detectors.risk.log_normal import LogNormal
from detectors.risk.quantiles import Quantiles, quantiles
from detectors.risk.reduction import Reduction
from detectors.risk.venue_margins import Backed, SideLadder, symbol_ladder
from detectors.risk_watch.flow_history import FlowHistory
from detectors.risk_watch.forced_flow import ForcedFlow
from detectors.risk_watch.holdings import Holdings
from detectors.risk_watch.liquidation_flow import LiquidationFlow
from detectors.risk_watch.records import CASCADE_RATIO
from detectors.risk_watch.withdrawals import Withdrawals
from detectors.table import Floats

NEAR_RATIO = 0.0085
"""A cascade that a move of so much would set off is near."""

WHALE_BPS = 100.0

REPRESENTATIVES = 25
"""How many draws stand for all, see `coarse.representatives`."""

_FINE_KNOTS = 2_000
"""With fewer knots the forced notional is used as it is."""

_SEED = 2


class Whale:
    """One account that a move of 1 % would liquidate, and its share of the open interest."""

    __slots__ = ("account", "ratio")

    def __init__(self, account: str, ratio: float) -> None:
        self.account = account
        self.ratio = ratio


class ImpactBelief(NamedTuple):
    """What is known of the impact of forced orders of one side, at one moment.

    ``slopes`` are draws of the move per unit of ordinary flow, empty while it is unknown.
    ``forced`` and ``withdrawal`` are the factors of forced flow and of withdrawn depth.
    """

    slopes: Floats
    forced: LogNormal
    withdrawal: LogNormal

    def forced_slopes(self) -> Floats:
        """Return the move per unit of forced notional, rising; empty while it is unknown."""
        if not len(self.slopes):
            return self.slopes
        drawn = impact_draws(self.slopes, self.forced, self.withdrawal, _SEED)
        return representatives(drawn, REPRESENTATIVES)


class Learned:
    """What is learned of one symbol's flow and depth."""

    __slots__ = ("_drawn", "flow", "forced", "liquidations", "withdrawals")

    def __init__(self) -> None:
        self.flow = FlowHistory()
        self.liquidations = LiquidationFlow()
        self.withdrawals = Withdrawals()
        self.forced = ForcedFlow()
        self._drawn: dict[Side, tuple[ImpactBelief, Floats]] = {}

    def impact(self, side: Side) -> ImpactBelief:
        """Return what is known of the impact of forced orders of a side now."""
        return ImpactBelief(self.flow.slopes, self.forced.factor, self.withdrawals.factor(side))

    def impact_slopes(self, side: Side) -> Floats:
        """Return the move per unit of forced notional, rising; empty while it is unknown."""
        its = self.impact(side)
        last = self._drawn.get(side)
        # The slopes are another array once they are learned anew.
        if last is None or last[0].slopes is not its.slopes or last[0][1:] != its[1:]:
            last = self._drawn[side] = its, its.forced_slopes()
        return last[1]


class Assessment:
    """One side of a symbol at the end of a second.

    What is costly is computed when it is asked for.

    Attributes
    ----------
    symbol, side, ts_event
        Which side, and when.
    ladder
        The positions of the side, at the conservative end.
    known
        The conservative ladder, and how much of the market it is.
    forced
        Forced notional by move.
    rule
        How the venue closes positions.
    open_interest
        At the mark price, in the quote currency.
    slopes
        Move per unit of forced notional: `REPRESENTATIVES` draws, rising; empty while unknown.
    """

    def __init__(
        self,
        symbol: str,
        side: Side,
        ts_event: int,
        known: SideLadder,
        rule: Reduction,
        open_interest: float,
        slopes: Floats,
    ) -> None:
        self.symbol = symbol
        self.side = side
        self.ts_event = ts_event
        self.known = known
        self.rule = rule
        self.open_interest = open_interest
        self.slopes = slopes

    @property
    def ladder(self) -> Ladder:
        """The conservative ladder."""
        return self.known.ladder

    @cached_property
    def forced(self) -> Forced:
        """Forced notional by move; a large ladder to half a basis point."""
        forced = forced_of(self.ladder, self.rule)
        return coarsened(forced) if len(forced.move) > _FINE_KNOTS else forced

    @cached_property
    def drawn(self) -> Floats:
        """The distance of a cascade as a ratio, for each draw; empty while impact is unknown."""
        return drawn_distances(self.forced, self.slopes, CASCADE_RATIO * self.open_interest)

    @cached_property
    def probability(self) -> float:
        """The share of draws in which a cascade is near; 0 while the impact is unknown."""
        if not len(self.slopes):
            return 0.0
        if self.ladder.notional.sum() < CASCADE_RATIO * self.open_interest:
            return 0.0  # whatever the impact
        wanted = CASCADE_RATIO * self.open_interest
        return near_ratio(self.forced, self.slopes, wanted, NEAR_RATIO)

    @property
    def distances(self) -> Quantiles | None:
        """The distance of a cascade as a ratio; None while the impact is unknown."""
        return quantiles(self.drawn) if len(self.slopes) else None

    def whale(self, holdings: Holdings) -> Whale | None:
        """Return the largest account that a move of 1 % would liquidate."""
        (rung,) = rungs(self.ladder, (WHALE_BPS,))
        if not rung.accounts:
            return None
        largest = int(np.argmax(self.ladder.notional[: rung.accounts]))
        account = holdings.owner(int(self.ladder.account[largest]))
        return Whale(account, rung.largest_ratio * rung.notional / self.open_interest)


def assess(
    holdings: Holdings,
    backed: Backed,
    learned: Learned | None,
    symbol: str,
    side: Side,
    ts_event: int,
) -> Assessment | None:
    """Return the state of a side of a symbol; None without a mark price, margins or positions."""
    terms = holdings.of(symbol)
    market = terms.market
    open_interest = terms.open_interest
    if market is None:
        return None
    if not open_interest > 0.0:
        rows = holdings.positions.rows_of(symbol)
        quantity = holdings.positions.quantity[rows]
        # Longs and shorts are the same open interest: what is known of the larger side.
        open_interest = max(
            float(quantity[quantity > 0.0].sum()), -float(quantity[quantity < 0.0].sum())
        )
        if not open_interest > 0.0:
            return None
    known = symbol_ladder(holdings.positions, backed, symbol, market, side, open_interest)
    slopes = learned.impact_slopes(side) if learned is not None else np.zeros(0)
    (notional,) = quote_notional(market.contract, np.array([open_interest]), market.mark).tolist()
    return Assessment(symbol, side, ts_event, known, holdings.rule, notional, slopes)
