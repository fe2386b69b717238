"""Positions with isolated margin: what an account holds in one contract, and when it is closed out.

Isolated margin: each position has its own collateral; a liquidation touches nothing else.
"""

_WORTHWHILE = 0.05  # less than this share of the margin is left where it is


class Holding:
    """An account's position in one contract.

    Attributes
    ----------
    account
        The account's name as published.
    lots
        Signed, long above zero.
    entry
        Mean price of entry in the quote currency.
    margin
        Collateral of the position in the quote currency.
    leverage
        The account's leverage setting for this contract; new exposure brings notional / leverage.
    margined
        Whether the position can be liquidated. Makers are not: they are funded across contracts.
    cash
        Sum of everything paid and received, in the quote currency: cash + lots * price is profit.
    version
        Rises with every change, so that a stored liquidation price can be told from a current one.
    liquidating
        Whether the venue is closing the position right now.
    """

    __slots__ = (
        "account", "cash", "entry", "leverage", "liquidating", "lots", "margin", "margined",
        "version",
    )  # fmt: skip

    def __init__(self, account: str, leverage: float, *, margined: bool) -> None:
        self.account = account
        self.leverage = leverage
        self.margined = margined
        self.lots = 0
        self.entry = 0.0
        self.margin = 0.0
        self.cash = 0.0
        self.version = 0
        self.liquidating = False

    def trade(self, lots: int, price: float, lot_size: float) -> None:
        """Book a fill of signed ``lots``.

        Opening adds notional / leverage to the margin. Closing releases its share of the margin,
        except in a liquidation: what is left of the collateral then goes on backing the rest.
        """
        self.cash -= lots * lot_size * price
        self.version += 1
        held = self.lots
        if held * lots >= 0:
            total = held + lots
            self.entry = (self.entry * held + price * lots) / total
            self.margin += abs(lots) * lot_size * price / self.leverage
            self.lots = total
            return
        closed = lots if abs(lots) <= abs(held) else -held
        if self.liquidating:
            self.margin -= closed * lot_size * (price - self.entry)
        else:
            self.margin *= 1 + closed / held
        self.lots = held + closed
        if self.lots == 0:
            self.margin = 0.0
            self.entry = 0.0
            if closed != lots:
                self.trade_flip(lots - closed, price, lot_size)

    def trade_flip(self, lots: int, price: float, lot_size: float) -> None:
        """Open the other way with what a closing fill left over (its cash is booked already)."""
        self.lots = lots
        self.entry = price
        self.margin = abs(lots) * lot_size * price / self.leverage

    def change_leverage(self, leverage: float, mark: float, lot_size: float) -> None:
        """Set the leverage, and withdraw the collateral that it does not ask for.

        The position then has the initial margin at the mark price and no more, profit included, as
        when a trader moves a venue's leverage slider up and takes the money out. Lower leverage
        changes later orders only.
        """
        if self.lots and leverage >= self.leverage and not self.liquidating:
            profit = self.lots * lot_size * (mark - self.entry)
            needed = abs(self.lots) * lot_size * mark / leverage
            if self.margin + profit > needed * (1 + _WORTHWHILE):
                self.margin = needed - profit
                self.version += 1
        self.leverage = leverage

    def equity(self, mark: float, lot_size: float) -> float:
        """Margin plus unrealised profit at the mark price."""
        return self.margin + self.lots * lot_size * (mark - self.entry)

    def liquidation_price(self, maintenance: float, lot_size: float) -> float:
        """The mark price at which equity meets the maintenance margin; 0 if there is none.

        Solves margin + q (p - entry) = maintenance |q| p for p.
        """
        if not self.lots:
            return 0.0
        quantity = self.lots * lot_size
        price = (quantity * self.entry - self.margin) / (quantity - maintenance * abs(quantity))
        return max(price, 0.0)
