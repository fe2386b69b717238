"""What the venue does. The defaults are the rules that it states; other values break them.

Each field is one switch. `service.exchange.breaches` names the values that break a rule.
"""

from dataclasses import dataclass, field
from math import inf
from typing import Literal

Who = Literal["nobody", "everybody", "small", "house"]
"""Accounts that are treated differently: with a position that is closed whole, or of the house."""

AdlRule = Literal["queue", "pro_rata", "water_filling", "reversed"]
"""How deleveraging is shared: by a queue (its end first if reversed), in proportion to the
positions, or such that the largest leverage becomes as small as possible."""


@dataclass(frozen=True, slots=True)
class LiquidationRules:
    """Whom the venue liquidates, when, and how much.

    Attributes
    ----------
    trigger_price
        The price that decides.
    trigger_ratio
        A position is liquidated below this multiple of its maintenance margin.
    step_share
        A step closes this share of the position's size when it fell below maintenance (Hyperliquid
        sends 20 % of a large position at a time).
    whole_below_orders
        A position smaller than this many median orders is closed in one step.
    stops_when_restored
        Whether the venue stops once equity is above maintenance.
    oversell
        Multiplies the order that would close the rest of a position.
    first_side_wrong
        Whether the first order of a liquidation enlarges the position.
    step_delay_seconds
        Mean time between two steps of one account, in which the venue recomputes its margin.
    waits, wait_seconds
        Who is liquidated that much later than due.
    exempt
        Who is not liquidated.
    best_first_seconds
        Above zero, one liquidation begins in such a time: of the latest account that fell below.
    price_band
        Maximum distance of a market order's price from the mark price; venues protect takers so.
    in_halts
        Whether liquidations go on in a halt.
    skipped_levels
        How many of the best price levels forced orders do not trade with.
    takeover_first
        Whether the fund takes a step over before anything is tried in the book.
    """

    trigger_price: Literal["mark", "last"] = "mark"
    trigger_ratio: float = 1.0
    step_share: float = 0.2
    whole_below_orders: float = 10.0
    stops_when_restored: bool = True
    oversell: float = 1.0
    first_side_wrong: bool = False
    step_delay_seconds: float = 0.4
    waits: Who = "nobody"
    wait_seconds: float = 0.0
    exempt: Who = "nobody"
    best_first_seconds: float = 0.0
    price_band: float = 0.05
    in_halts: bool = False
    skipped_levels: int = 0
    takeover_first: bool = False


@dataclass(frozen=True, slots=True)
class PriceRules:
    """How the mark price is made. Times are seconds since the start.

    Attributes
    ----------
    window_seconds
        Time constant of the average premium: the shorter of Hyperliquid's two.
    window_change_seconds, later_window_seconds
        When the window changes, and to what.
    lag_seconds
        How old the mark price is.
    index_fixed_seconds
        From when the index stands still.
    outage_seconds
        How long prices and references stop, once three accounts are being liquidated.
    stress_gap_seconds
        Time between two references while three accounts are being liquidated.
    extra_funding
        Added to the funding rate.
    leader_weight
        The weight of the first of the index's five sources. Above one half, it decides alone.
    wick_ratio
        By how much the mark price is too low for ten seconds of every five minutes.
    """

    window_seconds: float = 30.0
    window_change_seconds: float = inf
    later_window_seconds: float = 30.0
    lag_seconds: float = 0.0
    index_fixed_seconds: float = inf
    outage_seconds: float = 0.0
    stress_gap_seconds: float = 1.0
    extra_funding: float = 0.0
    leader_weight: float = 0.2
    wick_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class PublicationRules:
    """What the venue publishes of what happens.

    Attributes
    ----------
    liquidation_price_scale, open_interest_scale, max_leverage_scale
        Multiply the published value.
    flags_per_second
        How many trades a second are marked as liquidations at most.
    repeated_trades, hidden_orders, unmatched_orders, funding_resets
        Above zero, every so many-th trade is published twice; order is not published; limit order
        rests although it crosses; position has the funding index 0.
    print_discount_ratio
        How much worse for the liquidated account its trades are settled than the order they fill.
    lost_ratio
        Share of the published events that never arrive.
    backdated_cancels
        Above zero, every so many-th cancel carries a time of a millisecond before.
    """

    liquidation_price_scale: float = 1.0
    open_interest_scale: float = 1.0
    max_leverage_scale: float = 1.0
    flags_per_second: float = inf
    repeated_trades: int = 0
    hidden_orders: int = 0
    unmatched_orders: int = 0
    funding_resets: int = 0
    print_discount_ratio: float = 0.0
    lost_ratio: float = 0.0
    backdated_cancels: int = 0


@dataclass(frozen=True, slots=True)
class WaterfallRules:
    """Who pays, and who is deleveraged.

    Attributes
    ----------
    fee_multiple
        Multiplies the liquidation fee.
    remainder_returned
        Whether an account keeps what is left after loss and fee; else the fund does.
    pays_losses
        Whether the fund pays what accounts lack.
    withdrawn_ratio
        Share of the fund that leaves it every minute without a record.
    adl_rule
        How deleveraging is shared.
    adl_excess_ratio
        What is closed of the other side beyond the bankrupt position.
    takes_over
        Whether the fund takes over what it can bear before anybody is deleveraged.
    takeover_ratio
        The fund takes a position over once its equity is below this multiple of its maintenance
        margin.
    moved_seconds
        Above zero, how often a tenth of a position is moved to another account without a trade.
    """

    fee_multiple: float = 1.0
    remainder_returned: bool = True
    pays_losses: bool = True
    withdrawn_ratio: float = 0.0
    adl_rule: AdlRule = "queue"
    adl_excess_ratio: float = 0.0
    takes_over: bool = True
    takeover_ratio: float = 0.0
    moved_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ParameterRules:
    """The margin parameters, and how they change.

    Attributes
    ----------
    notice_seconds
        Time from the announcement of other margin rates to their effect. Venues that raise margins
        in stress announce it minutes to hours before; a shorter notice is the harder case.
    gives_reasons
        Whether the announcement says why.
    oscillation_seconds
        Above zero, the rates rise by a fifth and fall again in turn, after each such time.
    scale
        Multiplies all margin rates, published ones too.
    tiers_above
        By how many tiers positions are put too high; what is published stays right.
    initial_ratio
        The share of the published initial margin that accounts have to put up.
    """

    notice_seconds: float = 30.0
    gives_reasons: bool = True
    oscillation_seconds: float = 0.0
    scale: float = 1.0
    tiers_above: int = 0
    initial_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class AccessRules:
    """How orders are let in and answered, what they cost, and what stops them.

    Attributes
    ----------
    orders_per_second
        How many orders of an account are let in within a second.
    clients_share
        The share of this limit that retail clients have while positions are being liquidated.
    stress_delay
        Multiplies the time to an answer while positions are being liquidated.
    accepts_in_halts
        Whether orders are accepted in a halt.
    rearms_itself
        Whether a tripped kill switch is armed again without an operator.
    retry_seconds
        Above zero, clients wait only so long after each refusal.
    maker_fee, taker_fee
        The published fees as ratios to notional; a rebate is negative. They are not charged: what
        they pay has no effect on this market.
    """

    orders_per_second: float = 60.0
    clients_share: float = 1.0
    stress_delay: float = 1.0
    accepts_in_halts: bool = False
    rearms_itself: bool = False
    retry_seconds: float = 0.0
    maker_fee: float = -1e-6
    taker_fee: float = 5e-4


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules. ``breach`` is the name of what is broken, and ``amount`` by how much."""

    liquidation: LiquidationRules = field(default_factory=LiquidationRules)
    prices: PriceRules = field(default_factory=PriceRules)
    publication: PublicationRules = field(default_factory=PublicationRules)
    waterfall: WaterfallRules = field(default_factory=WaterfallRules)
    parameters: ParameterRules = field(default_factory=ParameterRules)
    access: AccessRules = field(default_factory=AccessRules)
    breach: str = ""
    amount: float = 0.0


KEPT = Rules()
"""The rules as the venue states them."""
