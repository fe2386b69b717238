"""What a detector of a venue's conduct is, and what it sees of the venue."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from msgspec import Struct

from detectors.conduct.incident import Verdict
from detectors.market_data.book_summary import BookSummary
from detectors.risk.ladder import Side
from detectors.risk_watch.assessment import Assessment, Learned
from detectors.risk_watch.holdings import Holdings
from detectors.risk_watch.monitor import RiskInput
from detectors.risk_watch.output import Statement


class Scene(NamedTuple):
    """The venue as the watch over the risk of liquidations knows it. It is to be read only.

    Attributes
    ----------
    holdings
        All positions, the accounts behind them, and the terms in force of each symbol.
    books
        The last summary of each symbol's book.
    learned
        What is learned of each symbol's flow and depth.
    assessments
        The state of each symbol and side when it last changed: the ladders of the positions.
    """

    holdings: Holdings
    books: Mapping[str, BookSummary]
    learned: Mapping[str, Learned]
    assessments: Mapping[str, Mapping[Side, Assessment]] = MappingProxyType({})


class Detector(Protocol):
    """A detector of a venue's conduct.

    Events and summaries come in the order of event time, but for late events, which may be older
    than a second that was judged.

    Attributes
    ----------
    name, version
        Its name in alerts, and its version, which is part of their ids.
    quiet_ns
        For how long it must find nothing before an incident resolves.
    over
        What the alert of the end says, without the symbol.
    needs
        The streams without which it can say nothing.
    statements
        What it publishes beside alerts; the monitor takes it from there after each second.
    """

    name: str
    version: int
    quiet_ns: int
    over: str
    needs: tuple[str, ...]
    statements: list[Statement]

    def take(self, event: RiskInput, scene: Scene, /) -> None:
        """Take an event, just before the scene does."""

    def summarise(self, symbol: str, ends_at: int, summary: BookSummary, /) -> None:
        """Take the summary of the bar that ends at ``ends_at``."""

    def judge(self, ts_event: int, scene: Scene, /) -> dict[str, Verdict]:
        """Return what holds at the end of a second, by symbol."""


@runtime_checkable
class Remembering(Protocol):
    """A detector that knows more than a successor can read again: half an hour, or a day.

    Attributes
    ----------
    remembered
        The type of its memories.
    """

    remembered: type[Struct]

    def memory(self, symbol: str) -> Struct | None:
        """Return what is known of a symbol (or of the venue: `MARKET`); None if that is nothing."""

    def restore(self, symbol: str, state: Any) -> None:
        """Continue from a memory. Raises ValueError if it does not fit."""
