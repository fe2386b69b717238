"""How automatic deleveraging is shared among the accounts on the other side."""

from collections.abc import Callable, Iterable, Sequence

from service.exchange.rules import AdlRule
from service.exchange.venue.ledger import Holding, Priced

Equity = Callable[[Holding], float]
"""What backs a position at the mark price, its profit included: of the position with isolated
margin, of the account with cross margin."""


def ranked(holdings: Iterable[Holding], market: Priced, equity: Equity) -> list[Holding]:
    """Return accounts in the order in which a queue closes them.

    First those in profit, by profit ratio times leverage: unrealised profit over the notional at
    entry, times notional over equity. Then those at a loss, by loss ratio over leverage (Binance's
    and Bybit's ranking). Accounts in liquidation are last.
    """
    mark, lot_size = market.mark, market.lot_size

    def score(holding: Holding) -> float:
        notional = abs(holding.lots) * lot_size
        ratio = holding.profit(mark, lot_size) / (notional * holding.entry)
        its = equity(holding)
        leverage = notional * mark / its if its > 0 else float("inf")
        return ratio * leverage if ratio > 0 else ratio / leverage

    return sorted(holdings, key=lambda its: (its.liquidating, -score(its), its.account))


def shared(
    rule: AdlRule, queue: Sequence[Holding], lots: int, market: Priced, equity: Equity
) -> list[tuple[Holding, int]]:
    """Return who is closed by how many lots; together ``lots``, or all that there are.

    ``queue`` is in the order of `ranked`.
    """
    if rule == "pro_rata":
        return _filled(queue, _pro_rata(queue, lots), lots)
    if rule == "water_filling":
        return _filled(queue, _water_filling(queue, lots, market, equity), lots)
    ordered = queue if rule == "queue" else queue[::-1]
    return _filled(ordered, [0.0] * len(ordered), lots)


def _pro_rata(queue: Sequence[Holding], lots: int) -> list[float]:
    total = sum(abs(its.lots) for its in queue)
    return [abs(its.lots) * min(lots / total, 1.0) for its in queue]


def _water_filling(
    queue: Sequence[Holding], lots: int, market: Priced, equity: Equity
) -> list[float]:
    """Return max(0, |q| - L E / P) with the leverage L at which the sum is what must be closed.

    References
    ----------
    [^1]: [Campbell, Hey, Moallemi & Nutz, 2026. Risk-Based Auto-Deleveraging. arXiv:2603.15963.]
    (https://arxiv.org/abs/2603.15963)
    """
    worth = market.lot_size * market.mark
    backing = [max(equity(its), 0.0) / worth for its in queue]

    def closed(leverage: float) -> list[float]:
        pairs = zip(queue, backing, strict=True)
        return [max(abs(its.lots) - leverage * part, 0.0) for its, part in pairs]

    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2.0
        if sum(closed(middle)) > lots:
            low = middle
        else:
            high = middle
    return closed(high)


def _filled(
    ordered: Sequence[Holding], wanted: Sequence[float], lots: int
) -> list[tuple[Holding, int]]:
    """Return whole lots: the whole part of what is wanted, and the rest in the order given."""
    parts = [min(int(part), abs(its.lots)) for its, part in zip(ordered, wanted, strict=True)]
    left = lots - sum(parts)
    # Fractions of a lot first, so that none gets more than a lot beyond its share.
    for step in (1, lots):
        for place, its in enumerate(ordered):
            is_share = step == lots or wanted[place] > parts[place]
            more = min(step, left, abs(its.lots) - parts[place]) if is_share else 0
            parts[place] += more
            left -= more
    return [(its, part) for its, part in zip(ordered, parts, strict=True) if part]
