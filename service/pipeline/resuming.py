"""After a restart: the records that the restored states already contain."""

from collections.abc import Sequence

from detectors.market_data.events import Event
from service.pipeline.align import Aligner, Position


class Resuming:
    """The positions of the restored symbols, until every topic has been read beyond them."""

    def __init__(self) -> None:
        self._positions: dict[str, Position] = {}

    def __bool__(self) -> bool:
        return bool(self._positions)

    def add(self, symbol: str, position: Position) -> None:
        """Note the position up to which the restored state of a symbol contains the events."""
        self._positions[symbol] = position

    def place(
        self,
        stream: str,
        events: Sequence[Event],
        event_offsets: Sequence[int],
        i: int,
        place_ns: int,
    ) -> int | None:
        """Return the place of an event; None if its symbol's state contains the event already."""
        position = self._positions.get(events[i].symbol)
        if position is None or place_ns >= position.watermark_ns:
            return place_ns
        # A topic that was added after the snapshot was not read for it.
        stream_position = position.streams.get(stream)
        if stream_position is not None and event_offsets[i] < stream_position.read:
            return None
        # Time must not go back for a state that is already past this time: the event is late.
        return position.watermark_ns

    def end(self, aligner: Aligner) -> None:
        """Drop the positions if every topic was read beyond them.

        The watermark must pass them too: a topic that was silent may still deliver earlier events.
        """
        watermark_ns = aligner.watermark_ns
        if all(
            position.watermark_ns <= watermark_ns for position in self._positions.values()
        ) and all(
            stream_position.read <= aligner.read(stream)
            for position in self._positions.values()
            for stream, stream_position in position.streams.items()
            if aligner.reads(stream)
        ):
            self._positions = {}
