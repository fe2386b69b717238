"""The published states of accounts."""

from detectors.market_data.risk_events import Account, Segment
from service.exchange.venue.ledger import Pool
from service.exchange.venue.publication import Clock


def publish_pool(clock: Clock, pool: Pool, segment: Segment = "pro") -> None:
    """Publish the state of a cross-margin account."""
    if clock.with_risk:
        clock.published.append(
            Account(
                ts_event=clock.now,
                sequence=clock.next_risk_sequence(),
                account=pool.account,
                collateral_value=pool.collateral,
                equity=pool.equity(),
                margin_mode="cross",
                maintenance_requirement=pool.maintenance(),
                segment=segment,
            )
        )


def publish_balance(clock: Clock, account: str, segment: Segment, balance: float) -> None:
    """Publish what a liquidation has left on an account beside its positions."""
    if clock.with_risk:
        clock.published.append(
            Account(
                ts_event=clock.now,
                sequence=clock.next_risk_sequence(),
                account=account,
                collateral_value=balance,
                margin_mode="isolated",
                segment=segment,
            )
        )


def publish_isolated(clock: Clock, account: str, segment: Segment) -> None:
    """Publish that an account's positions have isolated margin."""
    if clock.with_risk:
        clock.published.append(
            Account(
                ts_event=clock.now,
                sequence=clock.next_risk_sequence(),
                account=account,
                margin_mode="isolated",
                segment=segment,
            )
        )
