"""The venue's risk engine for cross-margin accounts, whose collateral backs several positions.

It also records which symbol's price forced each liquidation: the ground truth of contagion.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from service.exchange.structure import Allocation
from service.exchange.venue.accounts import publish_pool
from service.exchange.venue.desk import RETRY_SECONDS, STEP_DELAY_SECONDS, Desk
from service.exchange.venue.ledger import Holding, Pool
from service.exchange.venue.publication import Clock
from service.exchange.venue.records import Closing
from service.exchange.venue.venue import Market

PARENT_SECONDS = 300
"""A liquidation's parent is the symbol whose mark price has cost the account most slack over this
time. With that mark held at its old value, the slack would be larger by exactly this cost."""

_SECOND = 1_000_000_000

Schedule = Callable[[float, Callable[["CrossAccount"], None], "CrossAccount"], None]
"""Calls a function with its argument after this many seconds."""


@dataclass(frozen=True, slots=True)
class Forced:
    """A step of a cross-margin account's liquidation, and the symbol whose price caused it.

    Attributes
    ----------
    now
        When, in nanoseconds since the epoch.
    account, symbol
        The account, and the symbol in which the step was.
    side
        The side of the step's order.
    notional
        The notional of the step at the mark price, in the quote currency.
    parent
        The symbol whose price moves cost the account most slack before the liquidation began.
    share
        That cost over the sum of all symbols' costs.
    alone
        Whether the account would be above maintenance had the parent's mark not moved.
    """

    now: int
    account: str
    symbol: str
    side: int
    notional: float
    parent: str
    share: float
    alone: bool


class _Cause(NamedTuple):
    parent: str
    share: float
    alone: bool


class CrossAccount:
    """A cross-margin account: its pool, its markets, and its liquidation while there is one."""

    def __init__(self, pool: Pool, places: "Sequence[Place]") -> None:
        self.pool = pool
        self.places = tuple(places)
        self.closings: dict[Holding, Closing] = {}
        self.cause: _Cause | None = None

    @property
    def liquidating(self) -> bool:
        """Whether the venue is reducing the account now."""
        return bool(self.closings)


class Place(NamedTuple):
    """A position of a cross-margin account, with the market and the desk that closes it."""

    market: Market
    desk: Desk
    holding: Holding


class CrossEngine:
    """Monitors the cross-margin accounts of all markets.

    Parameters
    ----------
    accounts, markets
        The accounts, and all markets that they trade in.
    allocation
        Which positions it reduces: the largest, or all in proportion.
    """

    def __init__(
        self,
        clock: Clock,
        accounts: Sequence[CrossAccount],
        markets: Sequence[Market],
        allocation: Allocation,
        schedule: Schedule,
        rng: Random,
    ) -> None:
        self._clock = clock
        self._accounts = accounts
        self._allocation = allocation
        self._schedule = schedule
        self._rng = rng
        self._marks: dict[Market, deque[float]] = {
            market: deque([market.mark], PARENT_SECONDS + 1) for market in markets
        }
        self._next_ns = clock.now + _SECOND
        self._forced: list[Forced] = []

    def check(self) -> None:
        """Start to reduce every account whose equity is below its maintenance margin."""
        if self._clock.now >= self._next_ns:
            self._next_ns = self._clock.now + _SECOND
            for market, marks in self._marks.items():
                marks.append(market.mark)
        for account in self._accounts:
            pool = account.pool
            if not account.liquidating and pool.equity() < pool.maintenance():
                self._start(account)

    def take_forced(self) -> Iterator[Forced]:
        """Remove and yield the steps since the last call."""
        yield from self._forced
        self._forced.clear()

    def _start(self, account: CrossAccount) -> None:
        account.cause = self._cause(account)
        for place in account.places:
            if place.holding.lots:
                place.holding.liquidating = True
                account.closings[place.holding] = place.desk.opened(place.holding)
        if account.closings:
            self._step(account)

    def _cause(self, account: CrossAccount) -> _Cause:
        pool = account.pool
        slack = pool.equity() - pool.maintenance()
        costs = {
            place.market.symbol: _slack(place, self._marks[place.market][0])
            - _slack(place, place.market.mark)
            for place in account.places
        }
        parent = max(costs, key=lambda symbol: costs[symbol])
        lost = sum(cost for cost in costs.values() if cost > 0)
        share = costs[parent] / lost if lost > 0 else 0.0
        return _Cause(parent, share, slack + costs[parent] >= 0)

    def _step(self, account: CrossAccount) -> None:
        pool = account.pool
        closed = 0
        if pool.equity() < pool.maintenance() and any(its.holding.lots for its in account.places):
            for place in self._chosen(account):
                closed += self._reduce(account, place)
                if pool.equity() >= pool.maintenance():
                    break
            publish_pool(self._clock, pool)
            delay = STEP_DELAY_SECONDS if closed else RETRY_SECONDS
            self._schedule(delay * self._rng.uniform(0.5, 1.5), self._step, account)
            return
        self._end(account)

    def _chosen(self, account: CrossAccount) -> list[Place]:
        """The positions to reduce in this step, largest first."""
        held = [its for its in account.places if its.holding.lots and its.market.state == "open"]
        held.sort(key=lambda its: abs(its.holding.lots) * its.market.lot_size * its.market.mark)
        return held[-1:] if self._allocation == "largest" else held[::-1]

    def _reduce(self, account: CrossAccount, place: Place) -> int:
        pool, market, holding = account.pool, place.market, place.holding
        closing = account.closings.get(holding)
        if closing is None:
            holding.liquidating = True
            closing = account.closings[holding] = place.desk.opened(holding)
        side = -1 if holding.lots > 0 else 1
        mark = market.mark
        closed = place.desk.step(holding, closing, pool.equity(), pool.maintenance())
        if closed and account.cause is not None:
            self._forced.append(
                Forced(
                    self._clock.now,
                    pool.account,
                    market.symbol,
                    side,
                    closed * market.lot_size * mark,
                    *account.cause,
                )
            )
        return closed

    def _end(self, account: CrossAccount) -> None:
        pool = account.pool
        closings, account.closings = account.closings, {}
        is_empty = not any(its.holding.lots for its in account.places)
        residue = min(pool.collateral, 0.0) if is_empty else 0.0
        for place in account.places:
            place.holding.liquidating = False
            closing = closings.get(place.holding)
            if closing is not None:
                place.desk.end(place.holding, closing, residue)
                pool.collateral -= residue
                residue = 0.0
        publish_pool(self._clock, pool)


def _slack(place: Place, mark: float) -> float:
    """What a position adds to its account's equity less maintenance margin at a mark price."""
    market, holding = place.market, place.holding
    notional = abs(holding.lots) * market.lot_size * mark
    return holding.profit(mark, market.lot_size) - market.schedule.maintenance(notional)
