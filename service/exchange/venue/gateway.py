"""The gateway of one market: it lets orders in, answers every request, and takes time for it.

The time to an answer is a fixed time plus the wait behind the requests that came before. Both lie
before the event of the request: an order is published when it is decided.
"""

from collections import defaultdict, deque
from random import Random

from detectors.market_data.risk_events import Ack
from service.exchange.controls import State
from service.exchange.rules import AccessRules
from service.exchange.venue.ledger import Holding
from service.exchange.venue.matching import BUY, RestingOrder
from service.exchange.venue.publication import MESSAGE_GAP_NS, Publication

BASE_SECONDS = 0.0005
BASE_SPREAD = 0.02
"""Time to an answer without a queue, and the standard deviation of its logarithm. Numbers chosen:
within the milliseconds that venues in one data centre take."""

SERVICE_SECONDS = 2e-6
"""How long a request occupies the gateway."""

_SECOND = 1_000_000_000


class Gateway:
    """Admits and answers the requests of one market.

    Attributes
    ----------
    clients
        The accounts that a venue that breaks its rules treats worse under stress.
    is_stressed
        Whether positions are being liquidated, for rules that are broken only then.
    """

    def __init__(self, publication: Publication, rules: AccessRules, rng: Random) -> None:
        self._publication = publication
        self._clock = publication.clock
        self._rules = rules
        self._rng = rng
        self._recent: dict[str, deque[int]] = defaultdict(deque)
        self._free_ns = 0
        self._last_ns = 0
        self._received_ns = 0
        self._refused = 0
        self.clients: frozenset[str] = frozenset()
        self.is_stressed = False

    def admits(
        self,
        holding: Holding,
        side: int,
        lots: int,
        state: State,
        *,
        reduce_only: bool | None = None,
    ) -> bool:
        """Whether an order is let in; a refusal is answered at once."""
        self._receive()
        reason = None
        if state == "halted" and not self._rules.accepts_in_halts:
            reason = "halt"
        if self._is_beyond_limit(holding.account):
            reason = "rate_limit"
        if reason is None:
            return True
        self._clock.now += MESSAGE_GAP_NS
        self._refused += 1
        self._answer(
            f"refused-{self._refused}",
            holding.account,
            reason=reason,
            side=side,
            lots=lots,
            reduce_only=reduce_only,
        )
        return False

    def accepted(self, order_id: str, holding: Holding, trigger: float | None = None) -> None:
        """Answer an order that was let in; ``trigger`` is the price of a stop."""
        self._answer(order_id, holding.account, trigger=trigger)

    def cancelled(self, order: RestingOrder) -> None:
        """Answer a cancel."""
        self._receive()
        self._answer(order.order_id, order.holding.account, is_cancel=True)

    def _receive(self) -> None:
        """Set when the request came that is decided now: requests are decided in their order."""
        now = self._clock.now
        base = BASE_SECONDS * self._rng.lognormvariate(0.0, BASE_SPREAD)
        factor = self._rules.stress_delay if self.is_stressed else 1.0
        wait = max(self._free_ns - now, 0)
        self._free_ns = max(self._free_ns, now) + int(SERVICE_SECONDS * factor * _SECOND)
        self._received_ns = max(now - int(base * factor * _SECOND) - wait, self._last_ns)
        self._last_ns = self._received_ns

    def _is_beyond_limit(self, account: str) -> bool:
        """Count a request, and compare with the account's limit; refused ones count too."""
        recent, at = self._recent[account], self._received_ns
        recent.append(at)
        while recent[0] <= at - _SECOND:
            recent.popleft()
        limit = self._rules.orders_per_second
        if self.is_stressed and account in self.clients:
            limit *= self._rules.clients_share
        return len(recent) > limit

    def _answer(
        self,
        order_id: str,
        account: str,
        *,
        is_cancel: bool = False,
        reason: str | None = None,
        trigger: float | None = None,
        side: int | None = None,
        lots: int | None = None,
        reduce_only: bool | None = None,
    ) -> None:
        if not self._clock.with_risk:
            return
        now, contract = self._clock.now, self._publication.contract
        self._clock.published.append(
            Ack(
                ts_event=now,
                sequence=self._publication.sequence,  # beside the order that it answers
                symbol=contract.symbol,
                order_id=order_id,
                account=account,
                request="cancel" if is_cancel else "order",
                received_at=None if trigger is not None else self._received_ns,
                accepted_at=now if reason is None else None,
                rejected_at=None if reason is None else now,
                reason=reason,
                trigger_price=trigger,
                side=None if side is None else "buy" if side == BUY else "sell",
                quantity=None if lots is None else lots / contract.lots_per_unit,
                reduce_only=reduce_only,
            )
        )
