"""The fields of position records that have a rule of their own: leverage and funding index."""

from detectors.audit.holdings import Held
from detectors.audit.outcome import Case, Tally
from detectors.market_data.events import Margin, Position


class PositionFields:
    """Compares leverage and funding index of one symbol's position records with what they may be.

    Attributes
    ----------
    leverages, funding_resets
        Position records; a breach has a leverage above the maximum, or a funding index of 0.
    """

    __slots__ = ("_funding_index", "_symbol", "funding_resets", "leverages")

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._funding_index = 0.0
        self.leverages = Tally()
        self.funding_resets = Tally()

    def on_position(self, position: Position, held: Held | None, margin: Margin | None) -> None:
        """Take a record; ``held`` is the position before it, ``margin`` the parameters in force."""
        most = margin.max_leverage if margin is not None else None
        before = 0.0 if held is None else abs(held.recorded)
        # A maximum that falls does not bind what was there before.
        has_grown = abs(position.quantity) > before * (1 + 1e-9)
        if position.leverage is not None and most is not None and has_grown:
            if position.leverage <= most * (1 + 1e-9):
                self.leverages.held()
            else:
                story = f"leverage {position.leverage:g}; the maximum is {most:g}"
                money = abs(position.quantity) * position.entry_price
                self.leverages.breach(
                    Case(position.ts_event, self._symbol, position.account, position.leverage,
                         money, story)
                )  # fmt: skip
        index = position.funding_index
        if index is None:
            return
        if index == 0.0 and self._funding_index:
            story = f"funding index 0; other accounts had {self._funding_index:g}"
            self.funding_resets.breach(
                Case(position.ts_event, self._symbol, position.account, abs(self._funding_index),
                     0.0, story)
            )  # fmt: skip
        else:
            self.funding_resets.held()
            self._funding_index = index
