"""The events that only the risk of positions needs: accounts, liquidations, the insurance fund.

Conventions are those of `detectors.market_data.events`. The events of accounts belong to no symbol.
"""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from detectors.market_data.events import MAX_NUMBER, Kind, Name, Nanoseconds, Positive, Sequence

Money = Annotated[float, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
"""An amount in the settlement currency, which may be negative."""

Amount = Annotated[float, Meta(ge=0, le=MAX_NUMBER)]
"""An amount that is not negative."""

MarginMode = Literal["cross", "isolated", "portfolio"]
Segment = Literal["retail", "pro", "maker", "house"]
Phase = Literal["start", "slice", "end", "takeover"]
Method = Literal["book", "backstop", "auction", "adl"]
Cause = Literal["fee", "loss", "topup", "withdrawal"]


class Account(Struct, frozen=True, kw_only=True, gc=False):
    """The state of an account after a change.

    ``collateral_value`` is what the account holds beside its positions; ``equity`` includes their
    profit and may be negative. ``haircut_value`` is the part of the collateral that does not count.
    """

    kind: ClassVar[Kind] = Kind.ACCOUNT

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    account: Name
    collateral_value: Money | None = None
    equity: Money | None = None
    margin_mode: MarginMode | None = None
    maintenance_requirement: Amount | None = None
    haircut_value: Amount | None = None
    segment: Segment | None = None
    linked_group: Name | None = None


class Liquidation(Struct, frozen=True, kw_only=True, gc=False):
    """A step of the liquidation of an account's position.

    ``mark_price`` and ``index_price`` are those that the venue used for its decision.
    """

    kind: ClassVar[Kind] = Kind.LIQUIDATION

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    liquidation_id: Name
    account: Name
    phase: Phase
    method: Method | None = None
    order_id: Name | None = None
    quantity_requested: Amount | None = None
    quantity_filled: Amount | None = None
    price: Positive | None = None
    mark_price: Positive | None = None
    index_price: Positive | None = None
    equity_before: Money | None = None
    maintenance_before: Amount | None = None
    bankruptcy_price: Amount | None = None
    fee: Money | None = None
    insurance_delta: Money | None = None
    collateral_returned: Amount | None = None
    rule_version: Name | None = None
    reason: Name | None = None


class Insurance(Struct, frozen=True, kw_only=True, gc=False):
    """The balance of the insurance fund of a symbol, or of the whole venue (symbol ``*``)."""

    kind: ClassVar[Kind] = Kind.INSURANCE

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    balance: Amount
    delta: Money | None = None
    cause: Cause | None = None
    liquidation_id: Name | None = None


RiskEvent = Account | Liquidation | Insurance
