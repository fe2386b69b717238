"""Cross-margin accounts: traders who hold several contracts on one collateral.

Half of them are long and use leverage; the others hold the other side and are well funded. A
scenario can make the long accounts raise their leverage: they withdraw collateral.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from service.exchange.controls import Controls
from service.exchange.structure import CrossAccounts
from service.exchange.venue.accounts import publish_pool
from service.exchange.venue.cross_margin import CrossAccount, Place
from service.exchange.venue.desk import Desk
from service.exchange.venue.ledger import Holding, Pool
from service.exchange.venue.matching import BUY, SELL
from service.exchange.venue.publication import Clock
from service.exchange.venue.venue import Market

FUNDED_LEVERAGE = 1.5
"""Leverage of the accounts on the other side."""

SIZE_SPREAD = 0.5
"""Standard deviation of the logarithm of the accounts' sizes."""

ORDERS_PER_SECOND = 0.01
"""Orders of one account per second; positions of this kind are held, not traded quickly."""

SHOWN_LEVERAGE = 10.0
"""The leverage setting that their orders show; with cross margin it does not bind."""

LEAST_EXCESS = 0.02
"""A smaller excess of collateral, as a share of the equity, is not withdrawn."""


class Stall(NamedTuple):
    """A market in which cross-margin accounts trade: its desk, and the holdings that it lists."""

    market: Market
    desk: Desk
    holdings: list[Holding]


class CrossTraders:
    """The cross-margin accounts of a venue.

    Parameters
    ----------
    plan
        How many there are, and what they hold.
    stalls
        The markets of the plan's symbols, in their order.
    controls
        Parameters of the first of these markets: ``cross_leverage`` and ``activity``.
    """

    def __init__(
        self,
        plan: CrossAccounts,
        stalls: Sequence[Stall],
        controls: Controls,
        clock: Clock,
        rng: Random,
    ) -> None:
        self._plan = plan
        self._stalls = stalls
        self._controls = controls
        self._clock = clock
        self._rng = rng
        self.longs = [self._account() for _ in range(plan.accounts)]
        self.shorts = [self._account() for _ in range(plan.accounts)]

    @property
    def accounts(self) -> list[CrossAccount]:
        """All accounts."""
        return self.longs + self.shorts

    def open_positions(self) -> None:
        """Give the accounts their positions and their collateral."""
        plan, rng = self._plan, self._rng
        market = self._stalls[0].market
        total = plan.open_interest_ratio * market.open_notional() / plan.weights[0]
        sizes = [rng.lognormvariate(0.0, SIZE_SPREAD) for _ in self.longs]
        for number, size in enumerate(sizes):
            notional = total * size / sum(sizes)
            for account, side in ((self.longs[number], BUY), (self.shorts[number], SELL)):
                for place, weight in zip(account.places, plan.weights, strict=True):
                    its = place.market
                    lots = max(round(notional * weight / its.mark / its.lot_size), 1)
                    place.holding.trade(side * lots, its.mark, its.lot_size)
                    its.open_lots += lots if side == BUY else 0
            self.longs[number].pool.collateral = notional / plan.leverage
            self.shorts[number].pool.collateral = notional / FUNDED_LEVERAGE
        for account in self.accounts:
            for place in account.places:
                place.market.publish_position(place.holding)
            publish_pool(self._clock, account.pool)

    def act(self, seconds: float) -> None:
        """Advance by ``seconds``: withdraw collateral if the scenario asks for it, and trade."""
        rng = self._rng
        if self._controls.cross_leverage > 0:
            for account in self.longs:
                self._withdraw(account)
        expected = ORDERS_PER_SECOND * self._controls.activity * seconds
        for account in self.accounts:
            if rng.random() < expected and not account.liquidating:
                self._trade(account)

    def _account(self) -> CrossAccount:
        pool = Pool(f"{self._rng.randrange(2**32):08x}", 0.0)
        places = []
        for stall in self._stalls:
            holding = Holding(pool.account, SHOWN_LEVERAGE, margined=True)
            holding.pool = pool
            pool.positions.append((stall.market, holding))
            stall.holdings.append(holding)
            places.append(Place(stall.market, stall.desk, holding))
        return CrossAccount(pool, places)

    def _withdraw(self, account: CrossAccount) -> None:
        """Take out the collateral beyond what the wanted leverage needs."""
        pool = account.pool
        if account.liquidating:
            return
        excess = pool.equity() - pool.gross() / self._controls.cross_leverage
        if excess > LEAST_EXCESS * pool.equity():
            pool.collateral -= excess
            publish_pool(self._clock, pool)
            for place in account.places:
                place.market.publish_position(place.holding)

    def _trade(self, account: CrossAccount) -> None:
        rng = self._rng
        place = rng.choice(account.places)
        contract = place.market.contract
        side = BUY if rng.random() < 0.5 else SELL
        lots = contract.median_notional / contract.price * contract.lots_per_unit
        if place.market.take(place.holding, side, max(int(lots * rng.uniform(0.3, 1.0)), 1)):
            publish_pool(self._clock, account.pool)
