"""The published records of liquidations."""

from detectors.market_data.risk_events import Liquidation, Method, Phase
from service.exchange.venue.ledger import Holding
from service.exchange.venue.venue import Market

RULE_VERSION = "1"


class Closing:
    """The liquidation of one position, from its start to its end.

    Attributes
    ----------
    liquidation_id
        The name of the liquidation.
    step_lots
        The size of a step.
    is_published
        Whether its start has been published.
    has_erred
        Whether the order has been sent that a venue gets wrong that breaks its rules.
    """

    __slots__ = ("has_erred", "is_published", "liquidation_id", "step_lots")

    def __init__(self, liquidation_id: str, step_lots: int) -> None:
        self.liquidation_id = liquidation_id
        self.step_lots = step_lots
        self.is_published = False
        self.has_erred = False


class LiquidationRecords:
    """Publishes the liquidations of one market."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._count = 0

    def next_id(self) -> str:
        """A new name for a liquidation."""
        self._count += 1
        return f"{self._market.symbol}-L{self._count}"

    def publish(
        self,
        liquidation_id: str,
        holding: Holding,
        phase: Phase,
        *,
        method: Method | None = None,
        order_id: str | None = None,
        requested: int | None = None,
        filled: int | None = None,
        price: float | None = None,
        equity: float | None = None,
        maintenance: float | None = None,
        bankruptcy_price: float | None = None,
        fee: float | None = None,
        insurance_delta: float | None = None,
        returned: float | None = None,
        reason: str | None = None,
    ) -> None:
        """Publish a record, with the mark and the index of now. Quantities are in lots."""
        market, clock = self._market, self._market.clock
        if not clock.with_risk:
            return
        scale = market.contract.lots_per_unit
        clock.published.append(
            Liquidation(
                ts_event=clock.now,
                sequence=clock.next_risk_sequence(),
                symbol=market.symbol,
                liquidation_id=liquidation_id,
                account=holding.account,
                phase=phase,
                method=method,
                order_id=order_id,
                quantity_requested=None if requested is None else requested / scale,
                quantity_filled=None if filled is None else filled / scale,
                price=price,
                mark_price=market.mark,
                index_price=market.index,
                equity_before=equity,
                maintenance_before=maintenance,
                bankruptcy_price=bankruptcy_price,
                fee=fee,
                insurance_delta=insurance_delta,
                collateral_returned=returned,
                rule_version=RULE_VERSION,
                reason=reason,
            )
        )
