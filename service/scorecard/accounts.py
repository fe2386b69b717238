"""Accounts and leverage for a recording that has none, drawn at random.

Public recordings name no accounts. The drawn ones show whether the detectors that need accounts
work on real flow, but they flatter these detectors: real accounts act in a pattern of their own,
and drawn ones do not.
"""

from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random

import msgspec
from msgspec import Struct

from detectors.market_data.events import Cancel, Event, Order, Trade

ACCOUNTS = 300
ACTIVITY_EXPONENT = 1.0
"""The n-th account's share of the orders is proportional to 1 / n (Zipf): few accounts place most
orders."""

MAX_LEVERAGE = 100.0
LEVERAGE_BETA = (1.0, 3.5)
LEVERAGE_CEILING = 0.6
"""Each account's habit, as a share of the maximum: as on the simulated exchange
(`service.exchange.participants.traders`)."""

OTHER_SHARE = 0.1
OTHER_DEVIATION = 0.3
"""The share of an account's orders that deviate from its habit, and the standard deviation of the
logarithm of their leverage."""


class Habits(Struct, frozen=True):
    """The drawn accounts of a symbol: their names, cumulated activity, and usual leverage."""

    names: list[str]
    cumulated: list[float]
    leverages: dict[str, float]

    def pick(self, rng: Random) -> str:
        """Draw the account of an order."""
        return self.names[bisect(self.cumulated, rng.random() * self.cumulated[-1])]

    def leverage(self, account: str, rng: Random) -> float:
        """Draw the leverage of an order of an account."""
        usual = self.leverages[account]
        if rng.random() >= OTHER_SHARE:
            return usual
        drawn = usual * rng.lognormvariate(0.0, OTHER_DEVIATION)
        return float(min(max(round(drawn, 1), 1.0), MAX_LEVERAGE))


def draw_habits(rng: Random) -> Habits:
    """Draw the accounts of a symbol."""
    names = [f"{rng.getrandbits(32):08x}" for _ in range(ACCOUNTS)]
    weights = [(number + 1) ** -ACTIVITY_EXPONENT for number in range(ACCOUNTS)]
    shares = [min(rng.betavariate(*LEVERAGE_BETA), LEVERAGE_CEILING) for _ in names]
    leverages = [float(max(round(share * MAX_LEVERAGE), 1)) for share in shares]
    return Habits(names, list(accumulate(weights)), dict(zip(names, leverages, strict=True)))


def with_accounts(events: Sequence[Event], seed: int) -> list[Event]:
    """The events with an account and a leverage for each order; deterministic.

    What the recording states remains. Cancels and trades get the accounts of the orders that they
    name. The venue's streams remain as they are.
    """
    if _has(events, lambda order: order.leverage is not None):
        return list(events)
    named = _has(events, lambda order: order.account is not None)
    rng = Random(f"{seed}/accounts")  # noqa: S311  seeded
    by_symbol: dict[str, Habits] = {}
    owners: dict[tuple[str, str], str] = {}
    return [_owned(event, by_symbol, owners, rng, named=named) for event in events]


def _has(events: Sequence[Event], states: Callable[[Order], bool]) -> bool:
    return any(isinstance(event, Order) and states(event) for event in events)


def _owned(
    event: Event,
    by_symbol: dict[str, Habits],
    owners: dict[tuple[str, str], str],
    rng: Random,
    *,
    named: bool,
) -> Event:
    if isinstance(event, Order):
        habits = by_symbol.get(event.symbol)
        if habits is None:
            habits = by_symbol[event.symbol] = draw_habits(rng)
        account = event.account if named else habits.pick(rng)
        if account is None:
            return event
        if account not in habits.leverages:
            share = min(rng.betavariate(*LEVERAGE_BETA), LEVERAGE_CEILING)
            habits.leverages[account] = float(max(round(share * MAX_LEVERAGE), 1))
        owners[event.symbol, event.order_id] = account
        leverage = habits.leverage(account, rng)
        return msgspec.structs.replace(event, account=account, leverage=leverage)
    if named:
        return event
    if isinstance(event, Cancel):
        owner = owners.get((event.symbol, event.order_id))
        return event if owner is None else msgspec.structs.replace(event, account=owner)
    if isinstance(event, Trade):
        maker = owners.get((event.symbol, event.maker_order_id or ""))
        taker = owners.get((event.symbol, event.taker_order_id or ""))
        if maker is not None or taker is not None:
            return msgspec.structs.replace(event, maker_account=maker, taker_account=taker)
    return event
