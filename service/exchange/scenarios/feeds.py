"""Feed faults: lost events, frozen streams, repeated prices.

The market itself continues unchanged. Every function has the parameters of those in
`service.exchange.scenarios.stress`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random

from msgspec.structs import replace

from detectors.market_data.events import Event, Kind, Reference
from detectors.market_data.risk_events import AuditEvent, RiskEvent
from service.exchange.controls import Controls, Episode, Ramp
from service.exchange.scenarios.stress import Symbols, cascade

Published = Event | RiskEvent | AuditEvent

BLIND_SECONDS = 120.0
"""How long cancels are frozen around the sale that triggers a cascade."""


def sequence_gap(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """No event of the symbol arrives. Below strength 1, that share of the events is lost."""
    return (_fault("sequence_gap", ("lost",), strength, start, length, symbols),)


def frozen_cancels(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Cancels do not arrive. Below strength 1, that share of them is lost."""
    return (_fault("frozen_cancels", ("lost_cancels",), strength, start, length, symbols),)


def ghost_orders(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Half of the cancels and trades are lost: filled and cancelled orders stay in the book."""
    lossy = ("lost_cancels", "lost_trades")
    return (_fault("ghost_orders", lossy, 0.5 * strength, start, length, symbols),)


def stale_references(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """References arrive as often as usual and repeat one price."""
    return (_fault("stale_references", ("stale",), strength, start, length, symbols),)


def blind_cascade(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A cascade. Cancels freeze half a minute before the sale that triggers it."""
    freeze = frozen_cancels(1.0, start + length - 30.0, BLIND_SECONDS, symbols)
    return (*cascade(strength, start, length, symbols), *freeze)


def _fault(
    kind: str,
    parameters: Sequence[str],
    share: float,
    start: float,
    length: float,
    symbols: Symbols,
) -> Episode:
    end = start + length
    ramps = [
        ramp
        for parameter in parameters
        for ramp in (
            Ramp(parameter, start, start, min(share, 1.0)),
            Ramp(parameter, end, end, 0.0),
        )
    ]
    return Episode(kind, start, end, share, tuple(ramps), symbols)


class FeedFaults:
    """Applies the injected feed faults to a venue's events.

    Parameters
    ----------
    seed
        Seed of the random losses.
    """

    def __init__(self, seed: str) -> None:
        self._rng = Random(seed)
        self._faults: dict[str, Controls] = {}
        self._frozen: dict[str, Reference] = {}

    def update(self, symbol: str, controls: Controls) -> None:
        """Read the current feed faults of a symbol."""
        if controls.lost or controls.lost_cancels or controls.lost_trades or controls.stale:
            self._faults[symbol] = controls
        else:
            self._faults.pop(symbol, None)
        if not controls.stale:
            self._frozen.pop(symbol, None)

    def apply(self, published: Sequence[Published]) -> Iterable[Published]:
        """The events that arrive, as they arrive. Those of the risk engine always do."""
        return self._apply_faults(published) if self._faults else published

    def _apply_faults(self, published: Sequence[Published]) -> Iterator[Published]:
        for event in published:
            if isinstance(event, RiskEvent):
                yield event
                continue
            controls = self._faults.get(event.symbol)
            if controls is None or self._arrives(_losses(controls).get(event.kind, controls.lost)):
                yield self._repeat_prices(event) if controls and controls.stale else event

    def _arrives(self, lost: float) -> bool:
        return lost < 1.0 and (lost == 0.0 or self._rng.random() >= lost)

    def _repeat_prices(self, event: Event | AuditEvent) -> Event | AuditEvent:
        if not isinstance(event, Reference):
            return event
        first = self._frozen.setdefault(event.symbol, event)
        return replace(event, mark_price=first.mark_price, index_price=first.index_price)


def _losses(controls: Controls) -> Mapping[Kind, float]:
    """The loss shares of the streams that differ from the other streams'."""
    return {
        Kind.CANCEL: max(controls.lost, controls.lost_cancels),
        Kind.TRADE: max(controls.lost, controls.lost_trades),
    }
