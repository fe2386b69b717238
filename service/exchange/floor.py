"""One symbol of the simulated exchange: its market, its participants, and its time steps."""

from collections.abc import Callable, Iterator, Sequence
from heapq import heappush
from random import Random
from typing import Any, NamedTuple

from service.exchange.controls import ControlPath, Controls, Episode
from service.exchange.measures import CascadeMeter, Truth, WithdrawalMeter
from service.exchange.participants.abuse import Manipulator
from service.exchange.participants.machines import Machines
from service.exchange.participants.makers import Maker, deploy, deploy_bids
from service.exchange.participants.population import Population
from service.exchange.participants.stops import Stops
from service.exchange.participants.traders import Crowd
from service.exchange.structure import Structure
from service.exchange.venue.backstop import Backstop
from service.exchange.venue.contracts import Contract
from service.exchange.venue.desk import Desk
from service.exchange.venue.fundamentals import Fundamental
from service.exchange.venue.gateway import Gateway
from service.exchange.venue.insurance import InsuranceFund
from service.exchange.venue.ledger import Holding
from service.exchange.venue.liquidation import RiskEngine, isolated_equity
from service.exchange.venue.margins import MarginSchedule, tiered
from service.exchange.venue.publication import Clock
from service.exchange.venue.records import LiquidationRecords
from service.exchange.venue.sources import Sources
from service.exchange.venue.venue import Market

MAKER_LEVERAGE = 3.0
MANIPULATOR_LEVERAGE = 5.0
"""Leverage settings. Makers are well funded and never liquidated."""

BELIEF_SECONDS = 30.0
"""Makers' belief decays with this time constant, as far as the index does not follow the trades."""

STRESS_SECONDS = 15.0
USUAL_SECONDS = 900.0
"""Makers compare the volatility of the last 15 seconds with that of the last 15 minutes."""

LEAST_NEAR = 0.2
"""Impact is computed with at least this share of the calm near depth."""

STRESSED = 3
"""So many positions in liquidation are a cascade, for rules that the venue breaks only then."""

SLICE_DEPTHS = 0.1
"""Size of one order of the urgent seller, in near depths."""

_SECOND = 1_000_000_000


class Scheduler:
    """A heap of scheduled calls. Calls due at the same time run in the order of scheduling."""

    __slots__ = ("_entries", "clock", "heap")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.heap: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._entries = 0

    def after(self, seconds: float, call: Callable[[Any], None], argument: Any = None) -> None:
        """Schedule ``call(argument)`` in this many seconds."""
        self._entries += 1
        due = self.clock.now + int(seconds * 1e9)
        heappush(self.heap, (due, self._entries, call, argument))


class Shared(NamedTuple):
    """What the markets of a venue share: rules, fund, and the name of the fund's account."""

    structure: Structure
    fund: InsuranceFund
    fund_account: str


class Floor:
    """One symbol: its market, its participants, and a scenario's effects on them."""

    def __init__(
        self,
        contract: Contract,
        participants: Population,
        scheduler: Scheduler,
        seed: str,
        makers: Sequence[str],
        accounts: list[str],
        episodes: Sequence[Episode],
        shared: Shared,
    ) -> None:
        self.rng = rng = Random(f"{seed}/{contract.symbol}")
        self.scheduler = scheduler
        self.meter = CascadeMeter(contract.symbol)
        self.withdrawals = WithdrawalMeter(contract.symbol)
        structure = shared.structure
        self.rules = rules = structure.rules
        self.market = market = Market(contract, scheduler.clock, self.meter, rules)
        self.fundamental = Fundamental(contract)
        self.controls = Controls()
        self.path = ControlPath(
            self.controls, [ramp for episode in episodes for ramp in episode.ramps]
        )
        self.controls.lost = rules.publication.lost_ratio
        if structure.funding_index:
            market.publication.funding_index = Random(f"{seed}/funding").uniform(5.0, 20.0)
        self._set_margins(contract, is_tiered=structure.tiered)
        self.cross: list[Holding] = []
        records = LiquidationRecords(market)
        self.backstop = (
            Backstop(market, shared.fund, records, shared.fund_account, self.holdings, self._equity)
            if structure.takeover
            else None
        )
        self.desk = Desk(
            market,
            shared.fund,
            records,
            self._equity,
            structure.liquidation_fee,
            self.backstop,
        )
        self.risk = RiskEngine(market, scheduler.after, rng, self.desk)
        self.makers = [
            Maker(
                market,
                self.controls,
                Holding(name, MAKER_LEVERAGE, margined=False),
                participants,
                rng,
            )
            for name in makers
        ]
        self.near_lots = sum(maker.near_lots for maker in self.makers)
        market.least_near_lots = self.near_lots * LEAST_NEAR
        self.crowd = Crowd(
            market,
            self.controls,
            participants,
            self.near_lots,
            accounts[:-1],
            scheduler.after,
            rng,
            structure,
        )
        self._liquidation_fee = structure.liquidation_fee
        self.house = (
            self.crowd.holdings[:: round(1 / structure.house_share)]
            if structure.house_share
            else []
        )
        self.risk.house = frozenset(its.account for its in self.house)
        self.stops = (
            Stops(market, self.crowd.holdings, structure.stop_share, Random(f"{seed}/stops"))
            if structure.stop_share > 0
            else None
        )
        self.machines: Machines | None = None
        if structure.audited:
            self._admit_machines(structure, f"{seed}/{contract.symbol}")
        self.manipulator = Manipulator(
            market,
            self.controls,
            Holding(accounts[-1], MANIPULATOR_LEVERAGE, margined=True),
            participants,
            self.near_lots,
            scheduler.after,
            rng,
        )
        self.episodes = sorted(episodes, key=lambda episode: episode.end_seconds)
        self._fast_variance = self._slow_variance = 0.0
        self._last_fair = market.mid()
        self._unsold_lots = 0.0
        self._margins = market.schedule
        self._margin_scale = 1.0
        self._below_new_margin: dict[str, None] = {}
        self._measured = 0
        self._published = 0.0
        self._outage_until: float | None = None
        self._next_move = rules.waterfall.moved_seconds

    def open(self) -> None:
        """Publish the initial state, and schedule every participant's start."""
        market, access = self.market, self.rules.access
        market.publish_margin()
        if market.gateway is not None:
            market.publication.fees(access.maker_fee, access.taker_fee, self._liquidation_fee)
        self.crowd.open_positions()
        after, rng = self.scheduler.after, self.rng
        for maker in self.makers:
            after(rng.uniform(0.0, 0.5), self._quote, maker)
        after(0.7, self._seed_book)

    def pulse(self, elapsed: float, seconds: float, common: float) -> None:
        """Advance by ``seconds``: parameters, prices, stress, liquidations, publication."""
        market, controls = self.market, self.controls
        self.path.follow(elapsed)
        market.enter(controls.state)
        scale = controls.margin_scale * self._oscillation(elapsed)
        if scale != self._margin_scale:
            self._announce_margin(scale)
        deploy(self.makers, controls.makers, self.scheduler.after, self.rng)
        deploy_bids(self.makers, controls.bids, self.scheduler.after, self.rng)
        mid = market.mid()
        followed = self.fundamental.advance(
            self.rng, common, seconds, controls.volatility, mid / market.index - 1
        )
        market.belief -= followed + market.belief * min(seconds / BELIEF_SECONDS, 1.0)
        is_out = self._is_out(elapsed)
        if not is_out:
            market.update_prices(self.fundamental.index, seconds)
        market.liveliness = self.fundamental.liveliness
        self.crowd.watch_trend(seconds)
        self._update_stress(market.fair(), seconds)
        self.crowd.choose_eager()
        self.crowd.seek_value(self.fundamental.worth, seconds)
        self._sell(seconds)
        self.manipulator.act(seconds)
        if self.stops is not None:
            self.stops.act(seconds)
        if self.machines is not None:
            self.machines.act()
        self.risk.check()
        if market.gateway is not None:
            market.gateway.is_stressed = self.risk.open > 0
        if self.backstop is not None:
            self.backstop.act(seconds)
        if self._next_move and elapsed >= self._next_move:
            self._next_move += self.rules.waterfall.moved_seconds
            self._move_position()
        if int(elapsed + 1e-6) > self._measured:
            self._measured = int(elapsed + 1e-6)
            market.measure_depth()
            gap = self.rules.prices.stress_gap_seconds if self.risk.open >= STRESSED else 1.0
            if not is_out and self._measured >= self._published + gap:
                self._published = self._measured
                market.publish_reference()

    def _admit_machines(self, structure: Structure, seed: str) -> None:
        """Put the gateway before the market, and the machines of clients before the gateway."""
        market, access = self.market, structure.rules.access
        gateway = Gateway(market.publication, access, Random(f"{seed}/gateway"))
        market.gateway = gateway
        market.sources = Sources(structure.rules.prices, Random(f"{seed}/sources"))
        self.machines = Machines(
            market,
            gateway,
            self.scheduler.after,
            Random(f"{seed}/machines"),
            access.retry_seconds,
        )
        clients = (its.account for its in self.crowd.holdings)
        gateway.clients = frozenset((*clients, *self.machine_accounts))

    def _set_margins(self, contract: Contract, *, is_tiered: bool) -> None:
        market, rules = self.market, self.rules.parameters
        rates = (
            contract.maintenance_margin_rate,
            contract.initial_margin_rate,
            contract.median_notional,
        )
        if is_tiered:
            market.schedule = tiered(*rates)
        if rules.scale != 1.0:
            market.schedule = market.schedule.scaled(rules.scale)
        if rules.tiers_above:
            market.stated_tiers = market.schedule
            market.schedule = tiered(*rates, above=rules.tiers_above)

    def _oscillation(self, elapsed: float) -> float:
        """The factor of the margin rates of a venue that changes them to and fro."""
        period = self.rules.parameters.oscillation_seconds
        return 1.2 if period and int(elapsed / period) % 2 else 1.0

    def _is_out(self, elapsed: float) -> bool:
        """Whether the venue's prices stand still although it goes on liquidating."""
        length = self.rules.prices.outage_seconds
        if length and self._outage_until is None and self.risk.open >= STRESSED:
            self._outage_until = elapsed + length
        return self._outage_until is not None and elapsed < self._outage_until

    def _move_position(self) -> None:
        """Move a tenth of the largest position to another account of its side."""
        owned = sorted(self.crowd.holdings, key=lambda its: its.lots, reverse=True)
        able = [its for its in owned if its.lots >= 10 and not its.liquidating]
        if len(able) > 1:
            self.market.transfer(able[0], able[1], able[0].lots // 10, self.market.mark)

    def truths(self, elapsed: float, start_ns: int, *, final: bool) -> Iterator[Truth]:
        """Yield the ground-truth records that have become known since the last call."""
        now = self.scheduler.clock.now
        cascade = self.meter.close() if final else self.meter.watch(now, self.market.mark)
        if cascade is not None:
            yield cascade
        depth_share = sum(maker.unscaled_near_lots() for maker in self.makers) / self.near_lots
        withdrawal = self.withdrawals.watch(now, depth_share)
        if final and withdrawal is None:
            withdrawal = self.withdrawals.close(now)
        if withdrawal is not None:
            yield withdrawal
        while self.episodes and (final or self.episodes[0].end_seconds <= elapsed):
            episode = self.episodes.pop(0)
            if episode.start_seconds >= elapsed or not episode.labelled:
                continue
            parameters = {ramp.parameter for ramp in episode.ramps}
            accounts: tuple[str, ...] = ()
            if "leverage" in parameters:
                accounts = tuple(self.crowd.raised)
                self.crowd.raised.clear()
            elif parameters & {"layering", "spoofing", "stuffing"}:
                accounts = (self.manipulator.holding.account,)
            elif "margin_scale" in parameters:
                accounts = tuple(self._below_new_margin)
            yield Truth(
                kind=episode.kind,
                symbol=self.market.symbol,
                starts_at=start_ns + int(episode.start_seconds * _SECOND),
                ends_at=start_ns + int(min(episode.end_seconds, elapsed) * _SECOND),
                strength=episode.strength,
                accounts=accounts,
            )

    @property
    def machine_accounts(self) -> tuple[str, ...]:
        """The accounts of clients' machines."""
        its = self.machines
        return () if its is None else (its.burster.account, its.insister.account)

    def holdings(self) -> Iterator[Holding]:
        """Every holding of the market but that of the fund."""
        for maker in self.makers:
            yield maker.holding
        yield from self.crowd.holdings
        yield from self.crowd.unleveraged
        yield self.manipulator.holding
        yield from self.cross

    def _equity(self, holding: Holding) -> float:
        if holding.pool is not None:
            return holding.pool.equity()
        return isolated_equity(self.market, holding)

    def _announce_margin(self, scale: float) -> None:
        self._margin_scale = scale
        rules = self.rules.parameters
        due = self.scheduler.clock.now + int(rules.notice_seconds * 1e9)
        schedule = self._margins.scaled(scale)
        reason = "volatility" if rules.gives_reasons else None
        self.market.announce_margin(schedule, effective_at=due, reason=reason)
        self.scheduler.after(rules.notice_seconds, self._apply_margin, schedule)

    def _apply_margin(self, schedule: MarginSchedule) -> None:
        """Apply other margin rates: every liquidation price moves at once."""
        market = self.market
        before, market.schedule = market.schedule, schedule
        for holding in self.holdings():
            if holding.schedule is not None:
                holding.schedule = schedule
                holding.leverage = min(holding.leverage, market.max_leverage)
            if not holding.margined or not holding.lots:
                continue
            if holding.pool is None:
                notional = abs(holding.lots) * market.lot_size * market.mark
                equity = holding.equity(market.mark, market.lot_size)
                if before.maintenance(notional) <= equity < schedule.maintenance(notional):
                    self._below_new_margin[holding.account] = None
            holding.version += 1
            market.publish_position(holding)

    def _seed_book(self, _: None) -> None:
        self.market.measure_depth()
        self.crowd.seed_book()
        self.crowd.begin()

    def _quote(self, maker: Maker) -> None:
        self.scheduler.after(maker.act(), self._quote, maker)

    def _update_stress(self, fair: float, seconds: float) -> None:
        move = fair / self._last_fair - 1
        self._last_fair = fair
        variance = move * move / seconds
        if self._slow_variance == 0.0:
            self._fast_variance = self._slow_variance = self.market.contract.deviation**2
        self._fast_variance += min(seconds / STRESS_SECONDS, 1.0) * (variance - self._fast_variance)
        clipped = min(variance, 9 * self._slow_variance)
        self._slow_variance += min(seconds / USUAL_SECONDS, 1.0) * (clipped - self._slow_variance)
        stress = (self._fast_variance / self._slow_variance) ** 0.5
        for maker in self.makers:
            maker.stress = stress

    def _sell(self, seconds: float) -> None:
        if not self.controls.sell_flow:
            return
        self._unsold_lots += self.controls.sell_flow * seconds * self.near_lots
        slice_lots = SLICE_DEPTHS * self.near_lots
        while self._unsold_lots >= slice_lots:
            self._unsold_lots -= slice_lots
            self.crowd.sell(int(slice_lots))
