"""How a feed's faults are made: events get lost, a stream freezes, prices stand still.

The market itself goes on unchanged. Every function has the parameters of the functions in
`service.exchange.scenarios.provocations`.
"""

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from msgspec.structs import replace

from detectors.market_data.events import Event, Kind, Reference
from service.exchange.controls import Controls, Episode, Ramp
from service.exchange.scenarios.provocations import Symbols, cascade

BLIND_SECONDS = 120.0
"""How long cancels are frozen around the sale that sets a cascade off."""


def sequence_gap(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Of one symbol nothing arrives for some seconds, below strength 1 that share is lost."""
    return (_fault("sequence_gap", ("lost",), strength, start, length, symbols),)


def frozen_cancels(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Cancels do not arrive, below strength 1 that share of them."""
    return (_fault("frozen_cancels", ("lost_cancels",), strength, start, length, symbols),)


def ghost_orders(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """Half of the cancels and trades are lost: orders stay in the book as it is seen."""
    lossy = ("lost_cancels", "lost_trades")
    return (_fault("ghost_orders", lossy, 0.5 * strength, start, length, symbols),)


def stale_references(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """References come as often as ever, and repeat one price."""
    return (_fault("stale_references", ("stale",), strength, start, length, symbols),)


def blind_cascade(
    strength: float, start: float, length: float, symbols: Symbols
) -> tuple[Episode, ...]:
    """A cascade, and cancels freeze half a minute before the sale that sets it off."""
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


class Wire:
    """What of a venue's events arrives, while faults are provoked.

    Parameters
    ----------
    seed
        Of what is lost by chance.
    """

    def __init__(self, seed: str) -> None:
        self._rng = Random(seed)
        self._faults: dict[str, Controls] = {}
        self._stood_still: dict[str, Reference] = {}

    def follow(self, symbol: str, controls: Controls) -> None:
        """See what is wrong with a symbol's feed at the moment."""
        if controls.lost or controls.lost_cancels or controls.lost_trades or controls.stale:
            self._faults[symbol] = controls
        else:
            self._faults.pop(symbol, None)
        if not controls.stale:
            self._stood_still.pop(symbol, None)

    def arriving(self, published: Sequence[Event]) -> Iterator[Event] | Sequence[Event]:
        """What of this arrives, and how."""
        return self._through_faults(published) if self._faults else published

    def _through_faults(self, published: Sequence[Event]) -> Iterator[Event]:
        for event in published:
            controls = self._faults.get(event.symbol)
            if controls is None or self._passes(_losses(controls).get(event.kind, controls.lost)):
                yield self._as_it_was(event) if controls and controls.stale else event

    def _passes(self, lost: float) -> bool:
        return lost < 1.0 and (lost == 0.0 or self._rng.random() >= lost)

    def _as_it_was(self, event: Event) -> Event:
        if not isinstance(event, Reference):
            return event
        first = self._stood_still.setdefault(event.symbol, event)
        return replace(event, mark_price=first.mark_price, index_price=first.index_price)


def _losses(controls: Controls) -> Mapping[Kind, float]:
    """The share lost of the streams that lose another than the rest."""
    return {
        Kind.CANCEL: max(controls.lost, controls.lost_cancels),
        Kind.TRADE: max(controls.lost, controls.lost_trades),
    }
