"""The markets in which the audit is tested, and the claims that their venue keeps."""

from dataclasses import replace

from msgspec import structs

from detectors.audit.claims import (
    AccessClaims,
    AdlClaims,
    AutomationClaims,
    Book,
    Claims,
    ExecutionClaims,
    FairnessClaims,
    FeeClaims,
    FeedClaims,
    FundingClaims,
    InsuranceClaims,
    LiquidationClaims,
    MarginClaims,
    MarkClaims,
    ParameterClaims,
    RetailClaims,
)
from service.exchange.controls import Episode
from service.exchange.floors import fund_account
from service.exchange.rules import KEPT, Rules
from service.exchange.scenarios.catalogue import Scenario
from service.exchange.scenarios.positions import FEE, margin_raise
from service.exchange.scenarios.sessions import halt
from service.exchange.scenarios.stress import cascade
from service.exchange.structure import Structure
from service.exchange.venue.backstop import FUND_MARGIN
from service.exchange.venue.contracts import contracts
from service.exchange.venue.margins import tiered
from service.exchange.venue.switches import OPERATOR
from service.exchange.venue.venue import PREMIUM_CAP

SYMBOLS: tuple[int, ...] = (0,)
SYMBOL = "BTC-PERP"

RAISE = 4.0
"""The rise of the margins in the market `raises`: it liquidates a part of the accounts."""

_VENUE = Structure(
    liquidation_fee=FEE, tiered=True, house_share=0.1, funding_index=True, fund_ratio=0.01
)

MARKETS: dict[str, tuple[str, Structure]] = {
    "book": ("two cascades; losses are closed through the book, and the fund pays", _VENUE),
    "fund": (
        "two cascades; the fund takes bankrupt positions over",
        replace(_VENUE, takeover=True, fund_ratio=1.0),
    ),
    "adl": (
        "two cascades; the fund does not suffice, and the other side is deleveraged",
        replace(_VENUE, takeover=True, fund_ratio=0.0002),
    ),
    "margins": (
        "two cascades, with a rise of the margins before the second and a fall after it",
        _VENUE,
    ),
    "halt": ("two cascades, each with a halt and an auction", _VENUE),
    "access": (
        "two cascades, each with a halt; orders pass a gateway, and some are stops",
        replace(_VENUE, audited=True, stop_share=0.2),
    ),
    "raises": (
        "calm, with a rise of the margins that liquidates; orders pass a gateway",
        replace(_VENUE, audited=True, open_interest=0.5),
    ),
}
"""What happens in each market, and the venue's structure there."""


def market(name: str, rules: Rules, seconds: float) -> Scenario:
    """A market of a length in seconds, of a venue with these rules."""
    does, structure = MARKETS[name]
    return Scenario(name, does, _episodes(name, seconds), replace(structure, rules=rules))


def _episodes(name: str, seconds: float) -> tuple[Episode, ...]:
    if name == "raises":
        return (margin_raise(RAISE, 0.4 * seconds, 0.5 * seconds, SYMBOLS)[-1],)
    length = 0.2 * seconds
    starts = (0.1 * seconds, 0.5 * seconds)
    episodes: list[Episode] = []
    for start in starts:
        episodes += cascade(1.0, start, length, SYMBOLS)
        if name in ("halt", "access"):
            episodes += halt(1.0, start + length + 30.0, 40.0, SYMBOLS)
    if name == "margins":
        episodes += [margin_raise(0.2, 0.45 * seconds, 0.4 * seconds, SYMBOLS)[-1]]
    return tuple(episodes)


def claims(name: str, seed: int) -> Book:
    """What the venue of a market states of itself with this seed."""
    usual = _claims(name, seed)
    if name == "fund":
        return Book(structs.replace(usual, fees=FeeClaims(profit_ratio=FEE)))
    if not MARKETS[name][1].audited:
        return Book(usual)
    return Book(
        structs.replace(
            usual,
            mark=structs.replace(usual.mark, source_shift_bps=10.0),
            margin=structs.replace(usual.margin, initial_enforced=True),
            retail=RetailClaims(negative_balance=True),
            fees=FeeClaims(rebate_spread_ratio=0.5),
            access=AccessClaims(
                orders_per_second=KEPT.access.orders_per_second, stress_latency_factor=3.0
            ),
            automation=AutomationClaims(
                backoff=True,
                accepts_nothing=True,
                rearmed_by=(OPERATOR,),
                least_tripped_seconds=30.0,
            ),
            liquidation=structs.replace(usual.liquidation, rebound_ratio=0.5)
            if name == "raises"
            else usual.liquidation,
            execution=ExecutionClaims(joint_ratio=0.01),
        )
    )


def _claims(name: str, seed: int) -> Claims:
    (contract,) = contracts([SYMBOL])
    tiers = tiered(
        contract.maintenance_margin_rate, contract.initial_margin_rate, contract.median_notional
    ).published()
    rules = KEPT
    whole_below = rules.liquidation.whole_below_orders * contract.median_notional / contract.price
    return Claims(
        venue="Simulated exchange",
        mark=MarkClaims(
            method="ema_premium",
            window_seconds=rules.prices.window_seconds,
            clamp=PREMIUM_CAP,
            stale_seconds=5.0,
        ),
        margin=MarginClaims(tiers=tiers),
        liquidation=LiquidationClaims(
            trigger="mark",
            strategy="steps",
            share=rules.liquidation.step_share,
            whole_below_quantity=whole_below,
            pause_seconds=0.5 * rules.liquidation.step_delay_seconds,
            max_open_seconds=5.0,
            price_limit=rules.liquidation.price_band,
            fee=FEE,
            remainder_returned=True,
            partial_ratio=0.2,  # in a cascade most positions are closed to the end
            # A fund that runs dry comes back with the price, and may take over after all.
            escalation=None if name == "adl" else ("book", "backstop", "adl"),
            inversion_ratio=0.0,
            price_bps=0.1,
        ),
        fairness=FairnessClaims(equal_treatment=True),
        adl=AdlClaims(score="pnl_ratio_leverage", reserve_ratio=FUND_MARGIN),
        insurance=InsuranceClaims(account=fund_account(seed), floor=0.0),
        parameters=ParameterClaims(
            notice_seconds=rules.parameters.notice_seconds,
            cooling_seconds=40.0,
            reasons_given=True,
        ),
        funding=FundingClaims(cap=0.01),
        feed=FeedClaims(unknown_orders_ratio=0.001, busiest_factor=2.0),
    )
