"""All symbols of the simulated exchange under one clock, and what they share."""

from collections.abc import Iterator, Sequence
from random import Random

from detectors.market_data.risk_events import Segment
from service.exchange.contagion import ContagionMeter
from service.exchange.floor import Floor, Scheduler, Shared
from service.exchange.measures import Truth, broken
from service.exchange.participants.cross import CrossTraders, Stall
from service.exchange.participants.population import Population
from service.exchange.participants.traders import UNLEVERAGED_ACCOUNTS
from service.exchange.scenarios.catalogue import Scenario
from service.exchange.structure import CrossAccounts
from service.exchange.venue.accounts import publish_isolated
from service.exchange.venue.contracts import Contract
from service.exchange.venue.cross_margin import CrossEngine
from service.exchange.venue.insurance import InsuranceFund

ACCOUNTS = 2_000
"""Accounts of the whole venue. Each contract is traded by some of them."""


def fund_account(seed: int) -> str:
    """The published name of the insurance fund's account."""
    return f"{Random(f'{seed}/fund').randrange(2**32):08x}"


class Floors:
    """The symbols, the insurance fund, cross-margin accounts, and the labels of contagion.

    Parameters
    ----------
    scenario, seed
        As for `service.exchange.simulation.simulate`.
    listed, participants
        The contracts, and the participants of each.
    scheduler, rng
        The calls that are due, and random numbers for what concerns all symbols.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        listed: Sequence[Contract],
        participants: Population,
        scheduler: Scheduler,
        rng: Random,
    ) -> None:
        self._structure = structure = scenario.structure
        self._clock = scheduler.clock
        self._start_ns = scheduler.clock.now
        names = [f"{number:08x}" for number in rng.sample(range(2**32), ACCOUNTS)]
        self.fund = InsuranceFund(scheduler.clock)
        self._fund_account = fund_account(seed)
        shared = Shared(structure, self.fund, self._fund_account)
        self.floors = [
            Floor(
                contract,
                participants,
                scheduler,
                f"{seed}",
                names[: participants.makers],
                rng.sample(
                    names[participants.makers :], participants.traders + UNLEVERAGED_ACCOUNTS + 1
                ),
                [
                    episode
                    for episode in scenario.episodes
                    if episode.symbols is None or position in episode.symbols
                ],
                shared,
            )
            for position, contract in enumerate(listed)
        ]
        self._contagion = ContagionMeter()
        self.traders: CrossTraders | None = None
        self._engine: CrossEngine | None = None
        if structure.cross is not None:
            self._admit_cross(structure.cross, scheduler, seed)
        if structure.shared_makers:
            self._fund_makers_across()

    def open(self) -> None:
        """Publish the initial state, and schedule every participant's start."""
        for floor in self.floors:
            floor.open()
        if self.traders is not None:
            self.traders.open_positions()
        self._publish_accounts()
        open_notional = sum(floor.market.open_notional() for floor in self.floors)
        self.fund.endow(self._structure.fund_ratio * open_notional)

    def pulse(self, elapsed: float, seconds: float, common: float) -> Iterator[Truth]:
        """Advance by ``seconds`` and yield the ground truth that has become known."""
        self.fund.leak(self._structure.rules.waterfall.withdrawn_ratio * seconds / 60.0)
        for floor in self.floors:
            floor.pulse(elapsed, seconds, common)
            yield from self._noted(floor.truths(elapsed, self._start_ns, final=False))
        if self.traders is not None and self._engine is not None:
            self.traders.act(seconds)
            self._engine.check()
            self._contagion.note(self._engine.take_forced(), ())

    def last_truths(self, elapsed: float) -> Iterator[Truth]:
        """Yield the ground truth that is known only at the end."""
        if self._structure.rules.breach:
            yield broken(self._structure.rules, self._start_ns, self._clock.now)
        if self._engine is not None:
            self._contagion.note(self._engine.take_forced(), ())
        for floor in self.floors:
            yield from self._noted(floor.truths(elapsed, self._start_ns, final=True))
        if self._structure.cross is not None or self._structure.shared_makers:
            yield from self._contagion.truths()

    def _noted(self, truths: Iterator[Truth]) -> list[Truth]:
        found = list(truths)
        self._contagion.note((), found)
        return found

    def _fund_makers_across(self) -> None:
        """Make the makers of one name one firm: each is a partner of its others."""
        for firm in zip(*(floor.makers for floor in self.floors), strict=True):
            for maker in firm:
                maker.partners = [partner for partner in firm if partner is not maker]

    def _admit_cross(self, plan: CrossAccounts, scheduler: Scheduler, seed: int) -> None:
        """Create the cross-margin accounts and their risk engine."""
        chosen = [self.floors[position] for position in plan.symbols]
        self.traders = CrossTraders(
            plan,
            [Stall(floor.market, floor.desk, floor.cross) for floor in chosen],
            chosen[0].controls,
            scheduler.clock,
            Random(f"{seed}/cross"),
        )
        self._engine = CrossEngine(
            scheduler.clock,
            self.traders.accounts,
            [floor.market for floor in chosen],
            plan.allocation,
            scheduler.after,
            Random(f"{seed}/reduce"),
        )

    def _publish_accounts(self) -> None:
        """Publish once which accounts have isolated margin, and which are makers."""
        segments: dict[str, Segment] = {}
        for floor in self.floors:
            segments |= {maker.holding.account: "maker" for maker in floor.makers}
            for holding in floor.crowd.holdings:
                segments.setdefault(holding.account, "retail")
            for holding in floor.crowd.unleveraged:
                segments.setdefault(holding.account, "pro")
            for holding in floor.house:
                segments[holding.account] = "house"
            segments |= dict.fromkeys(floor.machine_accounts, "retail")
        if self._structure.takeover:
            segments[self._fund_account] = "house"
        if self._structure.audited:
            for floor in self.floors:
                floor.desk.segments = segments
        for account, segment in segments.items():
            publish_isolated(self._clock, account, segment)
