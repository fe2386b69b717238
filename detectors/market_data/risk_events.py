"""The events that no detector of a symbol needs: accounts, liquidations, funds, and for the audit.

Conventions are those of `detectors.market_data.events`, but for ``sequence``: it orders the events
of one stream that share a ``ts_event``, and is not part of the numbering of a symbol. An account
belongs to no symbol. The step of a liquidation is called ``phase`` on the wire as well: ``kind`` is
the stream of an event.
"""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from detectors.market_data.events import (
    MAX_NUMBER,
    Kind,
    Name,
    Nanoseconds,
    Positive,
    Rate,
    Sequence,
    Side,
)

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
    """The state of an account after a change, in the settlement currency.

    ``collateral_value`` is what the account holds beside its positions and beside the margins of
    isolated ones; it is negative if realised losses exceed it. ``equity`` includes the unrealised
    profit of its cross positions and may be negative. ``maintenance_requirement`` is the sum over
    those positions. ``haircut_value`` is the part of the collateral that does not count as margin.
    Accounts with the same ``linked_group`` belong to one owner. ``settlement_currency`` is that of
    the amounts: an account with several currencies has a state in each.
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
    settlement_currency: Name | None = None


class Liquidation(Struct, frozen=True, kw_only=True, gc=False):
    """A step of the liquidation of an account's position.

    ``phase`` is the step: the ``start`` of the liquidation, a ``slice`` of the position that was
    sold or bought, a ``takeover`` of the position by the venue, or the ``end``. The records of one
    liquidation share its ``liquidation_id``. ``mark_price`` and ``index_price`` are those that the
    venue used for its decision: at the start, those of the trigger. ``equity_before`` and
    ``maintenance_before`` are those of the position, or of the account with cross margin.
    ``bankruptcy_price`` is the mark price at which nothing is left. ``insurance_delta`` is what the
    insurance fund gained (or lost, if negative) with this step, ``collateral_returned`` what the
    account kept at the end. Quantities are unsigned; ``side`` is that of the closing order: a long
    is closed by ``sell``.
    """

    kind: ClassVar[Kind] = Kind.LIQUIDATION

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    liquidation_id: Name
    account: Name
    phase: Phase
    method: Method | None = None
    side: Side | None = None
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
    """The balance of the insurance fund of a symbol, or of the whole venue (symbol ``*``).

    That of a symbol is in its settlement currency, that of the venue in the quote currency.
    ``delta`` is the change that led to ``balance``, and ``cause`` its reason.
    """

    kind: ClassVar[Kind] = Kind.INSURANCE

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    balance: Amount
    delta: Money | None = None
    cause: Cause | None = None
    liquidation_id: Name | None = None


class Ack(Struct, frozen=True, kw_only=True, gc=False):
    """The venue's answer to a request: to an order, or to a cancel of it.

    ``received_at`` is when the request reached the venue, and one of ``accepted_at`` and
    ``rejected_at`` is when it was decided; a rejection has a ``reason``, such as ``rate_limit``,
    ``margin``, ``price_band`` or ``halt``. An order with a ``trigger_price`` is a stop: it waits,
    and ``accepted_at`` is when it was triggered. ``parent_id`` is shared by the orders that an
    execution was cut into, a stop's among them. ``side``, ``quantity`` and ``reduce_only`` describe
    an order that is not among the orders because it was rejected.
    """

    kind: ClassVar[Kind] = Kind.ACK

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    order_id: Name
    account: Name | None = None
    request: Literal["order", "cancel"] | None = None
    received_at: Nanoseconds | None = None
    accepted_at: Nanoseconds | None = None
    rejected_at: Nanoseconds | None = None
    reason: Name | None = None
    trigger_price: Positive | None = None
    parent_id: Name | None = None
    side: Side | None = None
    quantity: Positive | None = None
    reduce_only: bool | None = None


class FeeSchedule(Struct, frozen=True, kw_only=True, gc=False):
    """The fees of a symbol as ratios to notional, from ``effective_at`` on, or at once.

    A negative ``maker_rate`` is a rebate. ``liquidation_rate`` is charged on what is closed by
    force, and ``insurance_rate`` is the part of it that the insurance fund gets. ``tier`` is the
    class of clients that pay these rates; without it, all do.
    """

    kind: ClassVar[Kind] = Kind.FEE_SCHEDULE

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    effective_at: Nanoseconds | None = None
    maker_rate: Rate
    taker_rate: Rate
    liquidation_rate: Annotated[float, Meta(ge=0, le=1)] | None = None
    insurance_rate: Annotated[float, Meta(ge=0, le=1)] | None = None
    tier: Name | None = None


RiskEvent = Account | Liquidation | Insurance
"""What the risk of positions needs beside the events of symbols."""

AuditEvent = Ack | FeeSchedule
"""What only the audit reads."""
