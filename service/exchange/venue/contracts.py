"""The contracts that the simulated exchange lists, and their specifications."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

YEAR_SECONDS = 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Contract:
    """A linear perpetual contract, margined in the quote currency.

    Attributes
    ----------
    symbol
        The name, such as BTC-PERP.
    price
        Initial index price, in the quote currency.
    ticks_per_unit
        The price tick is one over this: about five significant figures, Hyperliquid's rule.
    lots_per_unit
        The quantity step is one over this. A lot is worth about one to ten of the quote currency.
    annual_volatility
        Standard deviation of yearly log returns.
    max_leverage
        The initial margin rate is one over this, the maintenance margin rate half of that. Venues
        publish 100x with 0.5 %, 75x with 0.65 %, 50x with 1 % (Bitunix's tiers). Hyperliquid
        states the rule of one half.
    median_notional
        The median trader order in the quote currency. Aleti & Mizrach (2021) report medians of
        1,300 USD (spot) to 18,000 USD (CME) for bitcoin.
    """

    symbol: str
    price: float
    ticks_per_unit: int
    lots_per_unit: int
    annual_volatility: float
    max_leverage: float
    median_notional: float

    @property
    def deviation(self) -> float:
        """Standard deviation of the log return over one second."""
        return self.annual_volatility / sqrt(YEAR_SECONDS)

    @property
    def lot_size(self) -> float:
        """One lot in units of the contract."""
        return 1 / self.lots_per_unit

    @property
    def initial_margin_rate(self) -> float:
        """Minimum collateral of a new position, as a share of its notional."""
        return 1 / self.max_leverage

    @property
    def maintenance_margin_rate(self) -> float:
        """The venue closes a position when its equity is below this share of its notional."""
        return 0.5 / self.max_leverage


_CATALOGUE = {
    contract.symbol: contract
    for contract in (
        Contract("BTC-PERP", 60_000.0, 1, 10_000, 0.50, 100, 4_000.0),
        Contract("ETH-PERP", 3_000.0, 10, 1_000, 0.65, 100, 3_000.0),
        Contract("SOL-PERP", 150.0, 100, 100, 0.85, 75, 2_000.0),
        Contract("XRP-PERP", 0.6, 100_000, 1, 0.80, 75, 1_500.0),
        Contract("DOGE-PERP", 0.15, 1_000_000, 1, 0.95, 75, 1_000.0),
        Contract("ADA-PERP", 0.45, 100_000, 1, 0.85, 75, 1_000.0),
        Contract("AVAX-PERP", 30.0, 1_000, 10, 0.90, 75, 1_000.0),
        Contract("LINK-PERP", 15.0, 1_000, 10, 0.85, 75, 1_000.0),
        Contract("LTC-PERP", 80.0, 1_000, 100, 0.75, 75, 1_000.0),
        Contract("BCH-PERP", 400.0, 100, 100, 0.80, 75, 1_000.0),
        Contract("DOT-PERP", 6.0, 10_000, 10, 0.85, 75, 1_000.0),
        Contract("ATOM-PERP", 9.0, 10_000, 10, 0.85, 75, 1_000.0),
    )
}


def contracts(symbols: int | Sequence[str]) -> list[Contract]:
    """The contracts for these symbols, or the first contracts of the catalogue.

    A symbol that is not in the catalogue, or beyond its end (ALT013-PERP, …), has the specification
    of a small contract.

    Raises
    ------
    ValueError
        If there is no symbol, or a duplicate.

    Examples
    --------
    >>> [contract.symbol for contract in contracts(2)]
    ['BTC-PERP', 'ETH-PERP']
    >>> contracts(["XYZ-PERP"])[0].max_leverage
    75
    """
    if isinstance(symbols, int):
        known = list(_CATALOGUE)[:symbols]
        names = known + [f"ALT{number:03d}-PERP" for number in range(len(known) + 1, symbols + 1)]
    else:
        names = list(symbols)
    if not names:
        raise ValueError("no symbols; at least one is needed")
    if len(set(names)) != len(names):
        raise ValueError(f"duplicate symbol in {', '.join(names)}")
    return [
        _CATALOGUE.get(name) or Contract(name, 10.0, 10_000, 10, 0.90, 75, 1_000.0)
        for name in names
    ]
