"""One symbol of the simulated exchange: its market, its participants, and the passing of time."""

from collections.abc import Callable, Iterator, Sequence
from heapq import heappush
from random import Random
from typing import Any

from service.exchange.controls import ControlPath, Controls, Episode
from service.exchange.measures import CascadeMeter, Truth, WithdrawalMeter
from service.exchange.participants.abuse import Manipulator
from service.exchange.participants.makers import Maker, deploy, deploy_bids
from service.exchange.participants.population import Population
from service.exchange.participants.traders import Crowd
from service.exchange.venue.contracts import Contract
from service.exchange.venue.fundamentals import Fundamental
from service.exchange.venue.ledger import Holding
from service.exchange.venue.liquidation import RiskEngine
from service.exchange.venue.venue import Clock, Market

MAKER_LEVERAGE = 3.0
MANIPULATOR_LEVERAGE = 5.0
"""Makers are funded well, and never liquidated."""

BELIEF_SECONDS = 30.0
"""Makers forget the impact of trades that the index does not follow within half a minute."""

STRESS_SECONDS = 15.0
USUAL_SECONDS = 900.0
"""Makers compare the volatility of the last quarter minute with that of the last quarter hour."""

LEAST_NEAR = 0.2
"""Impact is reckoned as if at least this share of the calm near depth were there."""

SLICE_DEPTHS = 0.1
"""Size of one order of a seller in a hurry, in near depths."""

_SECOND = 1_000_000_000


class Agenda:
    """What happens when: a heap of calls, ties in the order in which they were made."""

    __slots__ = ("_entries", "clock", "heap")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.heap: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._entries = 0

    def after(self, seconds: float, call: Callable[[Any], None], argument: Any = None) -> None:
        """Call with this argument so many seconds from now."""
        self._entries += 1
        due = self.clock.now + int(seconds * 1e9)
        heappush(self.heap, (due, self._entries, call, argument))


class Floor:
    """One symbol: its market, everybody who trades in it, and what a scenario does to them."""

    def __init__(
        self,
        contract: Contract,
        people: Population,
        agenda: Agenda,
        seed: str,
        makers: Sequence[str],
        accounts: list[str],
        episodes: Sequence[Episode],
    ) -> None:
        self.rng = rng = Random(f"{seed}/{contract.symbol}")
        self.agenda = agenda
        self.meter = CascadeMeter(contract.symbol)
        self.withdrawals = WithdrawalMeter(contract.symbol)
        self.market = market = Market(contract, agenda.clock, self.meter)
        self.fundamental = Fundamental(contract)
        self.controls = Controls()
        self.path = ControlPath(
            self.controls, [ramp for episode in episodes for ramp in episode.ramps]
        )
        self.risk = RiskEngine(market, agenda.after, rng)
        self.makers = [
            Maker(
                market,
                self.controls,
                Holding(name, MAKER_LEVERAGE, margined=False),
                people,
                rng,
            )
            for name in makers
        ]
        self.near_lots = sum(maker.near_lots for maker in self.makers)
        market.least_near_lots = self.near_lots * LEAST_NEAR
        self.crowd = Crowd(
            market,
            self.controls,
            people,
            self.near_lots,
            accounts[:-1],
            agenda.after,
            rng,
        )
        self.manipulator = Manipulator(
            market,
            self.controls,
            Holding(accounts[-1], MANIPULATOR_LEVERAGE, margined=True),
            people,
            self.near_lots,
            agenda.after,
            rng,
        )
        self.episodes = sorted(episodes, key=lambda episode: episode.end_seconds)
        self._fast = self._slow = 0.0
        self._logged = market.mid()
        self._selling = 0.0
        self._published = 0

    def open(self) -> None:
        """Publish what stands before trading, and have everybody begin within a second or two."""
        self.market.publish_margin()
        self.crowd.open_positions()
        after, rng = self.agenda.after, self.rng
        for maker in self.makers:
            after(rng.uniform(0.0, 0.5), self._quote, maker)
        after(0.7, self._seed)

    def pulse(self, elapsed: float, seconds: float, common: float) -> None:
        """Let ``seconds`` pass: parameters, prices, stress, liquidations, publication."""
        market, controls = self.market, self.controls
        self.path.follow(elapsed)
        deploy(self.makers, controls.makers, self.agenda.after, self.rng)
        deploy_bids(self.makers, controls.bids, self.agenda.after, self.rng)
        mid = market.mid()
        followed = self.fundamental.advance(
            self.rng, common, seconds, controls.volatility, mid / market.index - 1
        )
        market.belief -= followed + market.belief * min(seconds / BELIEF_SECONDS, 1.0)
        market.update_prices(self.fundamental.index, seconds)
        market.liveliness = self.fundamental.liveliness
        self.crowd.watch_trend(seconds)
        self._feel_stress(market.fair(), seconds)
        self.crowd.choose_eager()
        self.crowd.seek_value(self.fundamental.worth, seconds)
        self._sell(seconds)
        self.manipulator.act(seconds)
        self.risk.check()
        if int(elapsed + 1e-6) > self._published:
            self._published = int(elapsed + 1e-6)
            market.measure_depth()
            market.publish_reference()

    def truths(self, elapsed: float, start_ns: int, *, final: bool) -> Iterator[Truth]:
        """What has become known by now about episodes and cascades."""
        now = self.agenda.clock.now
        cascade = self.meter.close() if final else self.meter.watch(now, self.market.mark)
        if cascade is not None:
            yield cascade
        standing = sum(maker.standing_lots() for maker in self.makers) / self.near_lots
        left = self.withdrawals.watch(now, standing)
        if final and left is None:
            left = self.withdrawals.close(now)
        if left is not None:
            yield left
        while self.episodes and (final or self.episodes[0].end_seconds <= elapsed):
            episode = self.episodes.pop(0)
            if episode.start_seconds >= elapsed or not episode.labelled:
                continue
            turned = {ramp.parameter for ramp in episode.ramps}
            accounts: tuple[str, ...] = ()
            if "leverage" in turned:
                accounts = tuple(self.crowd.raised)
                self.crowd.raised.clear()
            elif turned & {"layering", "spoofing", "stuffing"}:
                accounts = (self.manipulator.holding.account,)
            yield Truth(
                kind=episode.kind,
                symbol=self.market.symbol,
                starts_at=start_ns + int(episode.start_seconds * _SECOND),
                ends_at=start_ns + int(min(episode.end_seconds, elapsed) * _SECOND),
                strength=episode.strength,
                accounts=accounts,
            )

    def _seed(self, _: None) -> None:
        self.market.measure_depth()
        self.crowd.seed_book()
        self.crowd.begin()

    def _quote(self, maker: Maker) -> None:
        self.agenda.after(maker.act(), self._quote, maker)

    def _feel_stress(self, fair: float, seconds: float) -> None:
        move = fair / self._logged - 1
        self._logged = fair
        pace = move * move / seconds
        if self._slow == 0.0:
            self._fast = self._slow = self.market.contract.deviation**2
        self._fast += min(seconds / STRESS_SECONDS, 1.0) * (pace - self._fast)
        usual = min(pace, 9 * self._slow)
        self._slow += min(seconds / USUAL_SECONDS, 1.0) * (usual - self._slow)
        stress = (self._fast / self._slow) ** 0.5
        for maker in self.makers:
            maker.stress = stress

    def _sell(self, seconds: float) -> None:
        if not self.controls.sell_flow:
            return
        self._selling += self.controls.sell_flow * seconds * self.near_lots
        slice_lots = SLICE_DEPTHS * self.near_lots
        while self._selling >= slice_lots:
            self._selling -= slice_lots
            self.crowd.sell(int(slice_lots))
