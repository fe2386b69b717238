"""The venue's insurance fund: it earns liquidation fees and pays what accounts lack."""

from detectors.market_data.risk_events import Cause, Insurance
from service.exchange.venue.ledger import Holding, Priced
from service.exchange.venue.publication import Clock

WHOLE_VENUE = "*"
"""The published symbol of a fund of all contracts."""


class InsuranceFund:
    """One fund for all contracts.

    Attributes
    ----------
    balance
        What it holds, in the quote currency, without the profit of positions that it took over;
        never negative.
    unpaid
        The losses that it could not pay so far.
    inventory
        The positions that it took over, with their markets.
    """

    def __init__(self, clock: Clock) -> None:
        self.balance = 0.0
        self.unpaid = 0.0
        self.inventory: list[tuple[Priced, Holding]] = []
        self._clock = clock

    def equity(self) -> float:
        """Balance plus the unrealised profit of the inventory at the mark prices."""
        profits = (its.profit(market.mark, market.lot_size) for market, its in self.inventory)
        return self.balance + sum(profits)

    def at_risk(self) -> float:
        """The notional of the inventory at the mark prices."""
        return sum(abs(its.lots) * market.lot_size * market.mark for market, its in self.inventory)

    def endow(self, amount: float) -> None:
        """Put the initial balance in."""
        self._change(amount, "topup", None)

    def earn(self, amount: float, liquidation_id: str | None) -> None:
        """Take in a fee, or a gain on a position that was taken over."""
        if amount > 0:
            self._change(amount, "fee", liquidation_id)

    def leak(self, share: float) -> None:
        """Lose a share of the balance without a record."""
        if share:
            self.balance *= 1.0 - share

    def pay(self, loss: float, liquidation_id: str | None) -> float:
        """Pay a loss as far as the balance allows; return what was paid."""
        paid = min(loss, self.balance)
        self.unpaid += loss - paid
        if paid > 0:
            self._change(-paid, "loss", liquidation_id)
        return paid

    def _change(self, delta: float, cause: Cause, liquidation_id: str | None) -> None:
        self.balance = max(self.balance + delta, 0.0)
        if self._clock.with_risk:
            self._clock.published.append(
                Insurance(
                    ts_event=self._clock.now,
                    sequence=self._clock.next_risk_sequence(),
                    symbol=WHOLE_VENUE,
                    balance=self.balance,
                    delta=delta,
                    cause=cause,
                    liquidation_id=liquidation_id,
                )
            )
