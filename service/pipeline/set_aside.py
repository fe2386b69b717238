"""Symbols that are set aside because their detection raised an exception.

Such a symbol is not watched, and its records become dead letters. The other symbols are not
affected. A restart watches the symbol again. If the records that failed are read again, they fail
again.
"""

import traceback
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import TypeVar

from detectors.market_data.events import Event, Late
from detectors.symbol import SymbolMonitor
from service.pipeline.rejection import Rejection
from service.pipeline.wire import Decoded

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

MAX_SYMBOLS = 10_000
"""The largest number of symbols that are set aside. Above it, the first one is watched again."""


class SetAside:
    """The symbols of a partition that are set aside, and their refused events.

    Parameters
    ----------
    forget
        Called with each symbol that is set aside; it must drop the symbol's state. None: no symbol
        is set aside, and exceptions are raised.
    """

    def __init__(self, forget: Callable[[str], None] | None) -> None:
        self._forget = forget
        self._reasons: dict[str, str] = {}
        self._news: dict[str, str] = {}
        self._refused: list[Event] = []

    @property
    def reasons(self) -> Mapping[str, str]:
        """The reason for each symbol that is set aside."""
        return self._reasons

    def contain(self, symbol: str, step: Callable[..., None], *arguments: object) -> None:
        """Call ``step``. If it raises an exception, set the symbol aside."""
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001 - the other symbols continue
            self.add(symbol, error)

    def each(
        self,
        monitors: Mapping[str, SymbolMonitor],
        items: Mapping[str, _Item],
        step: Callable[[SymbolMonitor, _Item], _Result],
    ) -> dict[str, _Result]:
        """Call ``step`` with the monitor and the item of each symbol; return the results by symbol.

        Symbols without a monitor are left out, and symbols that fail are set aside.
        """
        results: dict[str, _Result] = {}
        for symbol, item in items.items():
            monitor = monitors.get(symbol)
            if monitor is None:  # it was set aside a moment ago
                continue
            try:
                results[symbol] = step(monitor, item)
            except Exception as error:  # noqa: BLE001 - the other symbols continue
                self.add(symbol, error)
        return results

    def at_once(
        self, step: Callable[[Sequence[_Item]], Sequence[_Result]], items: Mapping[str, _Item]
    ) -> dict[str, _Result]:
        """Call ``step`` with the items of all symbols at once; return the results by symbol.

        If it raises an exception, call it for each symbol alone, and set symbols aside that fail.
        So a step that fails must have learned nothing, see `detectors.table.Writes`.
        """
        try:
            return dict(zip(items, step(list(items.values())), strict=True))
        except Exception:  # noqa: BLE001 - which symbol it is of shows one by one
            results: dict[str, _Result] = {}
            for symbol, item in items.items():
                try:
                    (results[symbol],) = step([item])
                except Exception as error:  # noqa: BLE001 - the other symbols continue
                    self.add(symbol, error)
            return results

    def contain_all(
        self, events: Sequence[Event | Late], takers: MutableMapping[str, SymbolMonitor]
    ) -> None:
        """Apply events to the monitors of their symbols; set symbols aside that fail."""
        left = iter(events)
        while True:
            try:
                for event in left:
                    takers[event.symbol].apply(event)
            except Exception as error:  # noqa: BLE001 - as above
                self.add(event.symbol, error)
                takers.pop(event.symbol, None)
                self.apply(event)
            else:
                return

    def add(self, symbol: str, error: Exception) -> None:
        """Set a symbol aside because of an exception."""
        if self._forget is None:
            raise error
        self._forget(symbol)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename.rpartition('/')[2]}, line {frame.lineno}, in {frame.name}"
        self._reasons[symbol] = self._news[symbol] = f"{error!r:.500} ({place})"
        if len(self._reasons) > MAX_SYMBOLS:
            del self._reasons[next(iter(self._reasons))]

    def apply(self, event: Event | Late) -> None:
        """Refuse an event of a symbol that is set aside."""
        self._refused.append(event.event if isinstance(event, Late) else event)

    def take(self) -> tuple[dict[str, str], list[Event]]:
        """Return the symbols set aside since the last call, and the refused events."""
        taken = self._news, self._refused
        self._news, self._refused = {}, []
        return taken

    def rejection(self, symbol: str, index: int = 0) -> Rejection:
        """Return the rejection of a record of a symbol that is set aside."""
        why = self._reasons.get(symbol, "an exception")
        return Rejection(index, "set_aside", f"symbol {symbol} is set aside until a restart: {why}")

    def filter(self, decoded: Decoded[Event], records: int) -> Decoded[Event]:
        """Return a batch of ``records`` records without events of symbols set aside."""
        if not any(event.symbol in self._reasons for event in decoded.events):
            return decoded
        places: list[int] = []
        kept: Decoded[Event] = Decoded(
            [],
            list(decoded.rejections),
            places,
            decoded.ignored,
            decoded.unread,
            decoded.elsewhere,
        )
        for index, event in zip(decoded.records(records), decoded.events, strict=True):
            if event.symbol in self._reasons:
                kept.rejections.append(self.rejection(event.symbol, index))
            else:
                kept.events.append(event)
                places.append(index)
        kept.rejections.sort(key=lambda rejection: rejection.index)
        return kept
