"""The rules that a venue states of itself. What is absent is not claimed."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, structs

from detectors.market_data.events import MarkMethod, Tier
from detectors.risk.marks import MarkRule
from detectors.risk.reduction import Reduction

Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Share = Annotated[float, Meta(gt=0, le=1)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]
Bps = Annotated[float, Meta(ge=0, le=10_000)]
Multiple = Annotated[float, Meta(ge=1, le=100)]
Basis = Literal["mark", "index", "last", "mid"]
Strategy = Literal["full", "sufficient", "steps"]


class MarkClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """How the mark price is made.

    ``method`` and ``window_seconds`` as on the wire, ``clamp`` the largest distance from the index
    as a ratio, ``stale_seconds`` the age from which a reference must not be used,
    ``source_shift_bps`` how far one index source may move the mark, ``tolerance_bps`` by how much
    the recomputed mark may differ.
    """

    method: MarkMethod | None = None
    window_seconds: Seconds | None = None
    clamp: Ratio | None = None
    stale_seconds: Seconds | None = None
    source_shift_bps: Bps | None = None
    tolerance_bps: Bps = 1.0


class MarginClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """When a position is liquidated: equity below ``buffer`` times the maintenance margin.

    ``tiers`` stand in for tiers that the margins do not publish, and are compared with those that
    they do. ``initial_enforced`` says that no order is accepted that leaves its account below the
    initial margin.
    """

    buffer: Annotated[float, Meta(gt=0, le=100)] = 1.0
    tiers: tuple[Tier, ...] | None = None
    initial_enforced: bool = False


class LiquidationClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """How positions are closed.

    Attributes
    ----------
    trigger
        The price that decides.
    strategy
        ``full``, ``sufficient`` (the least that restores the position) or ``steps`` of ``share`` of
        the first size.
    share, whole_below, whole_below_quantity
        Of steps: the share, and the notional (quote currency) or the quantity (base currency) up to
        which a position is closed whole.
    restored_ratio
        Of ``sufficient``: equity over maintenance margin after a reduction.
    pause_seconds, emergency_ratio
        Least time between two slices; not binding while equity is below this multiple of the
        maintenance margin.
    max_open_seconds
        Longest time that an account may be below maintenance without action.
    over_median_ratio, over_p95_ratio
        Largest excess over the sufficient reduction, as a share of the position.
    partial_ratio
        Least share of eligible liquidations after which a part of the position is left.
    price_limit
        Largest distance of a slice's price from the mark price, as a ratio.
    fee
        Fee of a forced sale, as a ratio to notional.
    remainder_returned
        Whether the account keeps what is left after loss and fee.
    cancel_orders_first
        Whether the account's own orders are cancelled before the first slice.
    escalation
        The methods of a liquidation in their order.
    inversion_ratio
        Largest share of liquidated notional that is taken out of turn.
    rebound_ratio
        Largest share of liquidated notional that is taken after the index has recovered.
    price_bps
        Largest difference to the price that the visible book offered, as a mean.
    resume_grace_seconds
        Time after a halt in which nothing is liquidated.
    depth_ratio
        Largest share of the depth within 1 % of the mid price that a slice asks for.
    smallest_quantity
        The smallest quantity that can be traded, in the base unit (default: the smallest trade).
    """

    trigger: Basis | None = None
    strategy: Strategy | None = None
    share: Share = 0.2
    whole_below: Amount = 0.0
    whole_below_quantity: Amount = 0.0
    restored_ratio: Multiple = 1.0
    pause_seconds: Seconds | None = None
    emergency_ratio: Ratio = 0.0
    max_open_seconds: Seconds | None = None
    over_median_ratio: Ratio | None = None
    over_p95_ratio: Ratio | None = None
    partial_ratio: Ratio | None = None
    price_limit: Ratio | None = None
    fee: Ratio | None = None
    remainder_returned: bool | None = None
    cancel_orders_first: bool | None = None
    escalation: tuple[Literal["book", "auction", "backstop", "adl"], ...] | None = None
    inversion_ratio: Ratio | None = None
    rebound_ratio: Ratio | None = None
    price_bps: Bps | None = None
    resume_grace_seconds: Seconds | None = None
    depth_ratio: Annotated[float, Meta(gt=0, le=1_000)] | None = None
    smallest_quantity: Amount | None = None


class FeeClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """What trading and liquidating pays.

    ``profit_ratio`` is the most that the liquidator gains with a step, as a ratio to its notional.
    ``rebate_spread_ratio`` is the largest rebate of a maker, as a share of the median half spread
    in calm.
    """

    profit_ratio: Ratio | None = None
    rebate_spread_ratio: Annotated[float, Meta(ge=0, le=1_000)] | None = None


class ExecutionClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """What clients' orders cost under stress.

    ``stop_bps`` is how much worse than its trigger price a stop is filled, and ``stop_pieces`` in
    how many trades, each as the 95 % quantile. ``joint_ratio`` is the largest share of minutes in
    which latency, spread and shortfall are all above their 95 % quantile in calm.
    """

    stop_bps: Bps | None = None
    stop_pieces: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    joint_ratio: Ratio | None = None


class AccessClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """How orders are let in.

    ``orders_per_second`` is the limit of an account, ``stress_latency_factor`` the 99 % quantile of
    the time to an answer under stress over that in calm, and ``reaction_seconds`` how soon a halt
    follows its cause.
    """

    orders_per_second: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    stress_latency_factor: Annotated[float, Meta(ge=1, le=1_000_000)] | None = None
    reaction_seconds: Seconds = 5.0


class AutomationClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """What machines do when they are refused or stopped.

    ``backoff`` says that clients wait longer after each rejection, ``accepts_nothing`` that no new
    order is accepted in a halt, or after a trip of the kill switch. ``rearmed_by`` names who may
    re-arm it, and ``least_tripped_seconds`` is how long a trip lasts at least.
    """

    backoff: bool = False
    accepts_nothing: bool = False
    rearmed_by: tuple[str, ...] | None = None
    least_tripped_seconds: Seconds = 60.0


class MonitoringClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """What the monitoring promises: ``warned_ratio`` of the cascades ``lead_seconds`` before."""

    warned_ratio: Ratio | None = None
    lead_seconds: Seconds = 0.0


class FairnessClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether accounts are treated alike: ``equal_treatment`` says so.

    A difference fails if it is beyond its floor and beyond chance, with a false discovery rate of
    ``discovery_rate``. ``correlation`` is the floor of a rank correlation with size.
    """

    equal_treatment: bool = False
    correlation: Ratio = 0.2
    discovery_rate: Share = 0.05


class AdlClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """Auto-deleveraging.

    ``score`` orders the queue, and ``inversion_ratio`` is the share that may be out of turn.
    ``reserve_ratio`` is the fund's least equity over the notional of what it has taken over.
    """

    score: Literal["pnl_ratio_leverage", "pnl_ratio", "leverage", "size"] | None = None
    inversion_ratio: Ratio = 0.0
    reserve_ratio: Ratio | None = None


class InsuranceClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """The insurance fund.

    ``account`` is the name under which it holds positions that it takes over. ``covers_all`` says
    that no loss is left unpaid, ``floor`` is its least balance, and ``tolerance`` the rounding of
    its amounts.
    """

    account: str | None = None
    covers_all: bool = False
    floor: Amount | None = None
    tolerance: Amount = 0.01


class ParameterClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of margin parameters.

    ``notice_seconds`` lie between the announcement of a change and its effect, ``cooling_seconds``
    between two changes of a parameter, and twice that before a change back. ``reasons_given`` says
    that each change has a reason. ``max_sign_changes`` is the largest number of changes of
    direction within a day, ``max_churn`` the largest sum of changes over the net change, both of
    the logarithm.
    """

    notice_seconds: Seconds | None = None
    cooling_seconds: Seconds | None = None
    reasons_given: bool | None = None
    max_sign_changes: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    max_churn: Amount | None = None


class FundingClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """Funding: ``cap`` is the largest rate, as a ratio to notional."""

    cap: Ratio | None = None


class RetailClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """Rules for retail clients in the EU.

    ``closeout`` is the share of the initial margins at which an account is closed;
    ``negative_balance`` says that no account ends below zero.
    """

    closeout: Ratio | None = None
    negative_balance: bool = False


class FeedClaims(Struct, frozen=True, forbid_unknown_fields=True):
    """What the feed is to be relied on for.

    ``numbered`` says whether sequence numbers are consecutive. ``unknown_orders_ratio`` is the
    largest share of cancels and trades that name unknown orders, ``crossed_ratio`` that of
    references with a crossed book, ``busiest_factor`` the longest gap between references in the
    busiest minutes over the usual one.
    """

    numbered: bool | None = None
    unknown_orders_ratio: Ratio | None = None
    crossed_ratio: Ratio = 0.0
    busiest_factor: Annotated[float, Meta(ge=1, le=1_000_000)] | None = None


class Claims(Struct, frozen=True, forbid_unknown_fields=True):
    """What a venue claims. ``symbols`` holds what differs for a symbol, merged by `of_symbol`."""

    venue: str = ""
    mark: MarkClaims = MarkClaims()
    margin: MarginClaims = MarginClaims()
    liquidation: LiquidationClaims = LiquidationClaims()
    fairness: FairnessClaims = FairnessClaims()
    adl: AdlClaims = AdlClaims()
    insurance: InsuranceClaims = InsuranceClaims()
    parameters: ParameterClaims = ParameterClaims()
    funding: FundingClaims = FundingClaims()
    retail: RetailClaims = RetailClaims()
    fees: FeeClaims = FeeClaims()
    execution: ExecutionClaims = ExecutionClaims()
    access: AccessClaims = AccessClaims()
    automation: AutomationClaims = AutomationClaims()
    monitoring: MonitoringClaims = MonitoringClaims()
    feed: FeedClaims = FeedClaims()


class Book(Struct, frozen=True):
    """The claims for every symbol, and those of single symbols."""

    default: Claims = Claims()
    of_symbol: dict[str, Claims] = {}

    def of(self, symbol: str) -> Claims:
        """Return the claims for a symbol."""
        return self.of_symbol.get(symbol, self.default)


def stated(section: str, claims: Struct, *names: str) -> str:
    """Return claims as they stand in the file; empty if none of them is stated.

    >>> stated("liquidation", LiquidationClaims(strategy="steps"), "strategy", "share")
    '[liquidation] strategy = "steps", share = 0.2'
    >>> stated("liquidation", LiquidationClaims(), "pause_seconds")
    ''
    """
    values = structs.asdict(claims)
    parts = [f"{name} = {_toml(values[name])}" for name in names if values[name] is not None]
    return f"[{section}] {', '.join(parts)}" if parts else ""


def reduction(claims: LiquidationClaims) -> Reduction | None:
    """Return the claimed strategy as a rule of `detectors.risk`; None without a claim."""
    if claims.strategy is None:
        return None
    return Reduction(
        claims.strategy,
        restored_ratio=claims.restored_ratio,
        fee_ratio=claims.fee or 0.0,
        step_ratio=claims.share,
        whole_below=claims.whole_below,
    )


def mark_rule(method: MarkMethod, seconds: float) -> MarkRule | None:
    """Return a mark rule that can be recomputed from the book; None for a median of sources."""
    if method == "median":
        return None
    return MarkRule(method, seconds)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
