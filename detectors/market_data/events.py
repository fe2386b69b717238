"""The events that an exchange sends to Foreshock, as immutable records.

Times are integer nanoseconds since the Unix epoch, UTC, taken at the matching engine. Prices are in
the quote currency, quantities in the contract's base unit. ``sequence`` orders the events of one
symbol that share a ``ts_event``. The types contain the bounds of each field: a decoder that uses
the types rejects values outside the bounds and names the field.
"""

import enum
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

EARLIEST_NS = 946_684_800_000_000_000
"""2000-01-01T00:00:00Z: an earlier time is a time in a wrong unit."""

LATEST_NS = 2**63 - 1
"""The last nanosecond of a signed 64-bit integer (in the year 2262)."""

MAX_NAME_LENGTH = 64
"""The largest number of characters of symbols, accounts and ids."""

MAX_NUMBER = 1e15
"""The largest price or quantity: a product of two fits a float with a wide margin."""

MIN_NUMBER = 1e-30
"""The smallest price or quantity: a product of two is a float of full precision."""

Nanoseconds = Annotated[int, Meta(ge=EARLIEST_NS, le=LATEST_NS)]
Sequence = Annotated[int, Meta(ge=0, le=LATEST_NS)]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
Positive = Annotated[float, Meta(ge=MIN_NUMBER, le=MAX_NUMBER)]
Leverage = Annotated[float, Meta(gt=0, le=10_000)]
Rate = Annotated[float, Meta(ge=-100, le=100)]
Side = Literal["buy", "sell"]
MarkMethod = Literal["ema_premium", "sma", "ema_price", "median", "last"]


class Kind(enum.IntEnum):
    """The stream of an event. The order of the members also breaks ties between streams."""

    ORDER = 0
    CANCEL = 1
    TRADE = 2
    REFERENCE = 3
    MARGIN = 4
    POSITION = 5
    STATUS = 6
    LATE = 7
    ACCOUNT = 8
    LIQUIDATION = 9
    INSURANCE = 10
    ACK = 11
    FEE_SCHEDULE = 12


class Order(Struct, frozen=True, kw_only=True, gc=False):
    """A new order, or the replacement of the resting order with the same id."""

    kind: ClassVar[Kind] = Kind.ORDER

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    order_id: Name
    account: Name | None = None
    side: Side
    price: Positive | None = None
    quantity: Positive
    leverage: Leverage | None = None
    type: Literal["limit", "market"] | None = None
    reduce_only: bool | None = None


class Cancel(Struct, frozen=True, kw_only=True, gc=False):
    """The cancellation of ``quantity`` of a resting order, or of its whole remaining quantity."""

    kind: ClassVar[Kind] = Kind.CANCEL

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    order_id: Name
    account: Name | None = None
    quantity: Positive | None = None


class Trade(Struct, frozen=True, kw_only=True, gc=False):
    """An execution, which reduces both orders that it names; ``side`` is the aggressor's side."""

    kind: ClassVar[Kind] = Kind.TRADE

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    trade_id: Name
    price: Positive
    quantity: Positive
    side: Side
    maker_order_id: Name | None = None
    taker_order_id: Name | None = None
    maker_account: Name | None = None
    taker_account: Name | None = None
    liquidation: bool | None = None


class IndexSource(Struct, frozen=True, kw_only=True, gc=False):
    """A price that the index is made of: its source, its age when it was used, and its weight.

    Weights are relative to their sum; without any, all sources weigh the same.
    """

    name: Name
    price: Positive
    age_ns: Annotated[int, Meta(ge=0, le=LATEST_NS)] | None = None
    weight: Annotated[float, Meta(ge=0, le=MAX_NUMBER)] | None = None


class Reference(Struct, frozen=True, kw_only=True, gc=False):
    """The prices and rates that the venue computes.

    ``last_price`` is that of the last trade as the venue counts it. ``stale`` says that the venue
    itself holds the prices for too old. ``index_sources`` are what the index is made of.
    """

    kind: ClassVar[Kind] = Kind.REFERENCE

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    mark_price: Positive | None = None
    index_price: Positive | None = None
    funding_rate: Rate | None = None
    open_interest: Annotated[float, Meta(ge=0, le=MAX_NUMBER)] | None = None
    last_price: Positive | None = None
    stale: bool | None = None
    index_sources: Annotated[tuple[IndexSource, ...], Meta(min_length=1)] | None = None


class Tier(Struct, frozen=True, kw_only=True, gc=False):
    """The margin rates of the part of a position's notional up to ``up_to_notional``.

    The part begins at the bound of the tier before it. None in ``up_to_notional``: the last tier,
    without an upper bound. The rates are ratios to the notional of this part.
    """

    up_to_notional: Positive | None = None
    initial_rate: Annotated[float, Meta(gt=0, le=1)] | None = None
    maintenance_rate: Annotated[float, Meta(gt=0, lt=1)]


class Margin(Struct, frozen=True, kw_only=True, gc=False):
    """The venue's margin parameters for a symbol, as ratios to notional.

    ``tiers`` are in ascending order and replace the single rates where they are given: a position
    pays the rate of each tier for its part of the notional, as with income tax. ``announced_at``
    and ``effective_at`` say when a change became known and when it takes effect; without
    ``effective_at`` it takes effect at once.
    ``mark_method`` says how the mark price follows the market within ``mark_window_ns``;
    ``mark_clamp`` is its largest distance from the index, as a ratio.

    A ``linear`` contract settles in the quote currency. An ``inverse`` one settles in the base
    currency, and its quantities are face values in the quote currency; its margins, and the bounds
    of its tiers, are in the base currency. Cross accounts are separate by ``settlement_currency``.
    """

    kind: ClassVar[Kind] = Kind.MARGIN

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    initial_margin_rate: Rate | None = None
    maintenance_margin_rate: Rate | None = None
    max_leverage: Leverage | None = None
    mark_window_ns: Annotated[int, Meta(ge=0, le=LATEST_NS)] | None = None
    announced_at: Nanoseconds | None = None
    effective_at: Nanoseconds | None = None
    tiers: Annotated[tuple[Tier, ...], Meta(min_length=1)] | None = None
    reason: Name | None = None
    rule_version: Name | None = None
    mark_method: MarkMethod | None = None
    mark_clamp: Annotated[float, Meta(ge=0, le=1)] | None = None
    contract: Literal["linear", "inverse"] | None = None
    settlement_currency: Name | None = None


class Position(Struct, frozen=True, kw_only=True, gc=False):
    """An account's position after a change. ``quantity`` is signed; long is positive.

    ``margin`` is the collateral of an isolated position without its unrealised profit; it is
    negative if the position has lost more than was put up for it. It is absent or 0 for a cross
    position, which the account's collateral backs. ``funding_index`` is the venue's cumulative
    funding per unit that the position has settled.
    """

    kind: ClassVar[Kind] = Kind.POSITION

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    account: Name
    quantity: Annotated[float, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
    entry_price: Positive
    leverage: Leverage | None = None
    margin: Annotated[float, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)] | None = None
    margin_mode: Literal["cross", "isolated", "portfolio"] | None = None
    funding_index: Annotated[float, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)] | None = None
    liquidation_price: Annotated[float, Meta(ge=0, le=MAX_NUMBER)] | None = None


State = Literal["open", "auction", "halted", "closed", "expired", "book_cleared"]


class Status(Struct, frozen=True, kw_only=True, gc=False):
    """A change of a symbol's trading state, as the venue announces it.

    The state lasts until the next status of the symbol, or until ``until`` if that is earlier: the
    symbol is then open. ``book_cleared`` is not a state: the venue has removed all resting orders,
    and the state stays as it is.
    """

    kind: ClassVar[Kind] = Kind.STATUS

    ts_event: Nanoseconds
    sequence: Sequence | None = None
    symbol: Name
    state: State
    until: Nanoseconds | None = None


Event = Order | Cancel | Trade | Reference | Margin | Position | Status


class Late(Struct, frozen=True, kw_only=True, gc=False):
    """An event that arrives too late for its place in event time.

    ``ts_event`` is the place that it takes.
    """

    kind: ClassVar[Kind] = Kind.LATE

    ts_event: int
    sequence: Sequence | None = None
    symbol: Name
    event: Event
