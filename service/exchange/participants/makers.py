"""Market makers: quotes on several levels, renewed continually, withdrawn under stress."""

from collections.abc import Callable, Iterable
from math import ceil, exp, floor
from random import Random

from service.exchange.controls import Controls
from service.exchange.participants.population import RECHECK_SECONDS, Population
from service.exchange.venue.ledger import Holding
from service.exchange.venue.matching import BUY, SELL, RestingOrder
from service.exchange.venue.venue import NEAR_DEVIATIONS, Market

RENEWED = 3
"""Number of quotes that a maker renews when it acts: those furthest from their target."""

LEVELS = {
    3: ((1.0, 1.0), (7.0, 2.6), (20.0, 4.2)),
    4: ((1.0, 1.0), (2.5, 1.6), (7.0, 2.6), (20.0, 4.2)),
    6: ((1.0, 1.0), (2.5, 1.6), (7.0, 2.6), (20.0, 4.2), (35.0, 5.0), (50.0, 6.0)),
}
"""Distance from the fair price in half spreads, and size in base sizes. The average book is fullest
away from the best price (Bouchaud, Mezard & Potters 2002)."""

BASE_ORDERS = 4.0
"""A maker's size on its first level, in median trader orders."""

FIXED_HALF_SPREAD = 0.5e-4
RISK_HALF_SPREAD = 0.6
"""Half spread = half a basis point plus this many standard deviations of the price over a quote's
lifetime: compensation for adverse selection (Foucault 1999). Bitcoin spreads were 3 bp on average
in 2018/19 (Aleti & Mizrach 2021)."""

SNIPE_HALF_SPREADS = 1.0
"""Makers take quotes that are stale by this distance: fast traders see news first (Budish, Cramton
& Shim 2015)."""

INVENTORY_SIDES = 4.0
INVENTORY_SKEW = 3.0
"""The inventory limit is four times what a maker quotes on one side. At the limit the quotes have
moved by three half spreads (Avellaneda & Stoikov 2008: the reservation price is linear in
inventory), and one side is empty. Makers also stop at a limit in a crash (Kirilenko, Kyle, Samadi &
Tuzun 2017)."""

STRESS_TOLERANCE = 1.6
STRESS_WIDENING = 0.8
STRESS_SHRINKING = 0.7
STRESS_EXIT = (6.0, 20.0)
LOSS_EXIT = 0.004
"""Stress is short-term volatility over usual volatility. Above the tolerance makers widen spreads
and shrink sizes in proportion. They pull their quotes above the exit (drawn for each maker), or
after a loss of this share of the notional of their inventory limit. In the crash of 10 October 2025
spreads widened first, then depth disappeared."""

HEDGE_FROM = 0.3
HEDGE_SHARE = 0.8
HEDGE_SLICE = 0.08
"""Makers that are funded across symbols sell in the others what they hold in one: this share of an
inventory beyond this part of its limit, in orders of this many near depths. Correlated contracts
hedge each other (Avellaneda & Stoikov's reservation price, for a portfolio). Numbers chosen."""

CROSS_IMPACT = 0.4
"""Makers that quote in several symbols move their quotes in one by this share of the premium that
trades have caused in the others: prices of correlated contracts react to each other's order flow
(Benzaquen, Mastromatteo, Eisler & Bouchaud 2017). Number chosen."""

PAUSE_SECONDS = (15.0, 45.0)
RETURN_SECONDS = 90.0
"""The pause of a maker that pulled its quotes, and the time constant of its return to full size."""


class Maker:
    """One maker in one market."""

    def __init__(
        self,
        market: Market,
        controls: Controls,
        holding: Holding,
        participants: Population,
        rng: Random,
    ) -> None:
        contract = market.contract
        self.market = market
        self._controls = controls
        self.holding = holding
        self._rng = rng
        self._levels = LEVELS[participants.levels]
        self._mean_wait = participants.makers * RENEWED / participants.maker_orders
        half = (
            FIXED_HALF_SPREAD
            + RISK_HALF_SPREAD * contract.deviation * participants.quote_age_seconds**0.5
        )
        self._half = half * rng.uniform(0.8, 1.25)
        median = contract.median_notional / contract.price * contract.lots_per_unit
        self._base = BASE_ORDERS * median * participants.size_scale * rng.uniform(0.7, 1.4)
        self.side_lots = self._base * sum(size for _, size in self._levels)
        near = [
            size
            for distance, size in self._levels
            if distance == 1.0 or distance * self._half <= NEAR_DEVIATIONS * contract.deviation
        ]
        self.near_lots = self._base * sum(near)
        self._limit = INVENTORY_SIDES * self.side_lots
        self._capital = self._limit * market.lot_size * contract.price
        self._quotes: list[RestingOrder | None] = [None] * (2 * participants.levels)
        self._stress_exit = rng.uniform(*STRESS_EXIT)
        self._wait_left = 0.0
        self._peak = 0.0
        self._paused_until = 0
        self._returned_at = 0
        self.withdrawn = False
        self.without_bids = False
        self.stress = 1.0
        self.partners: list[Maker] = []
        self._hedged_lots = 0

    @property
    def inventory(self) -> float:
        """Inventory without hedges, as a share of its limit; it may exceed 1 in size."""
        return (self.holding.lots - self._hedged_lots) / self._limit

    def retreat(self, until: int) -> None:
        """Pull all quotes until a time, because of a loss in another symbol."""
        if until > self._paused_until:
            self._pull()
            self._paused_until = self._returned_at = until

    def withdraw(self, _: None = None) -> None:
        """Cancel every quote, and place none until `come_back`."""
        self.withdrawn = True
        self._pull()

    def come_back(self) -> None:
        """Quote again, with small sizes at first."""
        self.withdrawn = False
        self._returned_at = self.market.clock.now

    def withdraw_bids(self, _: None = None) -> None:
        """Cancel every bid, and quote none until `without_bids` is False again."""
        self.without_bids = True
        self._pull(range(len(self._levels)))

    def unscaled_near_lots(self) -> float:
        """The lots near the mid price that the maker would show now, without scaling by a scenario.

        The mean of both sides.
        """
        now = self.market.clock.now
        if self.withdrawn or now < self._paused_until:
            return 0.0
        sides = 0.5 if self.without_bids else 1.0
        return sides * self.near_lots * self._size_share(now)

    def _size_share(self, now: int) -> float:
        """The share of its usual size that it quotes: smaller under stress and after a return."""
        strain = max(self.stress - STRESS_TOLERANCE, 0.0)
        share = 1 / (1 + STRESS_SHRINKING * strain)
        if self._returned_at:
            share *= 1 - 0.8 * exp((self._returned_at - now) / (RETURN_SECONDS * 1e9))
        return share

    def act(self) -> float:
        """Renew quotes; return the seconds until the maker acts again."""
        if self._wait_left <= 0.0:
            self._wait_left = self._mean_wait * self._rng.uniform(0.5, 1.5)
            now = self.market.clock.now
            if not self.withdrawn and now >= self._paused_until:
                lost = self._has_lost()
                if lost or self.stress > self._stress_exit:
                    self._pull()
                    pause = self._rng.uniform(*PAUSE_SECONDS)
                    self._paused_until = self._returned_at = now + int(pause * 1e9)
                    for partner in self.partners if lost else ():
                        partner.retreat(self._paused_until)
                else:
                    self._renew(now)
            if self.partners:
                self._hedge()
        controls = self._controls
        speed = controls.activity * controls.requotes * self.market.liveliness
        if self._wait_left > RECHECK_SECONDS * speed:
            self._wait_left -= RECHECK_SECONDS * speed
            return RECHECK_SECONDS
        wait = self._wait_left / speed
        self._wait_left = 0.0
        return wait

    def _has_lost(self) -> bool:
        """Whether it has lost too much since its best result, or since the last such loss."""
        holding, market = self.holding, self.market
        profit = holding.cash + holding.lots * market.lot_size * market.mid()
        self._peak = max(self._peak, profit)
        if profit < self._peak - LOSS_EXIT * self._capital:
            self._peak = profit  # this loss is handled; measure the next one from here
            return True
        return False

    def _fair(self) -> float:
        """The market's fair price, moved by what trades have done to the partners' markets."""
        if not self.partners:
            return self.market.fair()
        beliefs = [partner.market.belief for partner in self.partners]
        return self.market.fair() * (1 + CROSS_IMPACT * sum(beliefs) / len(beliefs))

    def _hedge(self) -> None:
        """Trade towards the hedge of what this maker holds in other symbols."""
        excess = 0.0
        for partner in self.partners:
            inventory = min(max(partner.inventory, -1.0), 1.0)
            excess += max(abs(inventory) - HEDGE_FROM, 0.0) * (1 if inventory > 0 else -1)
        wanted = -HEDGE_SHARE * min(max(excess, -1.0), 1.0) * self._limit
        missing = int(wanted) - self._hedged_lots
        slice_lots = max(int(HEDGE_SLICE * self.market.near_lots), 1)
        if abs(missing) < slice_lots:
            return
        side = BUY if missing > 0 else SELL
        self._hedged_lots += side * self.market.take(self.holding, side, slice_lots)

    def _pull(self, slots: Iterable[int] | None = None) -> None:
        for slot in range(len(self._quotes)) if slots is None else slots:
            order = self._quotes[slot]
            if order is not None and order.lots:
                self.market.cancel(order)
            self._quotes[slot] = None

    def _renew(self, now: int) -> None:
        market, controls, quotes, rng = self.market, self._controls, self._quotes, self._rng
        strain = max(self.stress - STRESS_TOLERANCE, 0.0)
        inventory = min(max(self.inventory, -1.0), 1.0)
        half = self._half * controls.spread * (1 + STRESS_WIDENING * strain)
        fair = self._fair() * (
            1 - INVENTORY_SKEW * inventory * self._half + 0.3 * half * rng.gauss(0.0, 1.0)
        )
        base = self._base * controls.depth * self._size_share(now)
        scale = market.ticks_per_unit
        self._snipe(fair, half)
        bids = 0.0 if self.without_bids else base * min(1.0, 1.0 - inventory)
        sides = (
            (BUY, floor(fair * scale), bids),
            (SELL, ceil(fair * scale), base * min(1.0, 1.0 + inventory)),
        )
        candidates: list[tuple[float, int, int, int, int]] = []
        absent = 2.0 if any(quotes) else 12.0  # renew all at once if there is no quote
        slot = 0
        for side, start, size in sides:
            for spacing, share in self._levels:
                distance = spacing * half * fair * scale
                ticks = start - side * round(distance)
                lots = int(share * size)
                order = quotes[slot]
                if order is None or not order.lots:
                    if lots:
                        candidates.append((absent + rng.random(), slot, side, ticks, lots))
                else:
                    moved = abs(order.ticks - ticks) / (distance + 1.0)
                    resized = abs(order.lots - lots) / (order.lots + lots)
                    urgency = moved + resized + 0.3 * rng.random()
                    if (order.ticks - start) * side > 0:
                        urgency += 10.0  # on the wrong side of fair: adverse selection
                    candidates.append((urgency, slot, side, ticks, lots))
                slot += 1
        candidates.sort(reverse=True)
        for rank, (urgency, slot, side, ticks, lots) in enumerate(candidates):
            if rank >= RENEWED and urgency < 10.0:
                break
            self._replace(slot, side, ticks, lots)

    def _snipe(self, fair: float, half: float) -> None:
        """Take an order on the wrong side of fair, if the distance exceeds the cost."""
        market, scale = self.market, self.market.ticks_per_unit
        bid, ask = market.book.best_bid(), market.book.best_ask()
        margin = SNIPE_HALF_SPREADS * half
        if bid is not None and bid > fair * (1 + margin) * scale:
            side, limit = SELL, ceil(fair * (1 + margin) * scale)
        elif ask is not None and ask < fair * (1 - margin) * scale:
            side, limit = BUY, floor(fair * (1 - margin) * scale)
        else:
            return
        lots = int(self._base * self._rng.uniform(0.5, 2.0))
        if lots and self.holding.lots * side < self._limit:
            market.take(self.holding, side, lots, limit=limit)

    def _replace(self, slot: int, side: int, ticks: int, lots: int) -> None:
        market = self.market
        order = self._quotes[slot]
        if order is not None and order.lots:
            market.cancel(order)
        self._quotes[slot] = None
        lots = int(lots * self._rng.uniform(0.75, 1.25))
        if lots < 1:
            return
        # Post only: this order never takes liquidity.
        if side == BUY:
            ask = market.book.best_ask()
            ticks = ticks if ask is None else min(ticks, ask - 1)
        else:
            bid = market.book.best_bid()
            ticks = ticks if bid is None else max(ticks, bid + 1)
        if ticks > 0:
            self._quotes[slot] = market.place(self.holding, side, ticks, lots)


def deploy(
    makers: list[Maker],
    share: float,
    schedule: Callable[[float, Callable[[None], None]], None],
    rng: Random,
) -> None:
    """Let this share of the makers quote. The other makers withdraw, each within 0.3 seconds."""
    quoting = round(share * len(makers))
    for rank, maker in enumerate(makers):
        if rank < quoting and maker.withdrawn:
            maker.come_back()
        elif rank >= quoting and not maker.withdrawn:
            maker.withdrawn = True
            schedule(rng.uniform(0.0, 0.3), maker.withdraw)


def deploy_bids(
    makers: list[Maker],
    share: float,
    schedule: Callable[[float, Callable[[None], None]], None],
    rng: Random,
) -> None:
    """Let this share of the makers quote bids. The others quote asks only, within 0.3 seconds."""
    bidding = round(share * len(makers))
    for rank, maker in enumerate(makers):
        if rank < bidding:
            maker.without_bids = False
        elif not maker.without_bids:
            maker.without_bids = True
            schedule(rng.uniform(0.0, 0.3), maker.withdraw_bids)
