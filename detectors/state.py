"""A symbol's state as plain data: what a snapshot holds, and how a monitor comes back from it.

A monitor that comes back goes on exactly as the one that was captured would have: also sums of
floats, which depend on the order in which they were added, are kept rather than made anew.
"""

from collections.abc import Mapping

from msgspec import Struct, field

from detectors.detector import Detector
from detectors.feed.checks import FeedState
from detectors.feed.incidents import FeedFindings
from detectors.incidents.drift_incidents import DriftIncident
from detectors.incidents.symbol_incidents import Incident
from detectors.judging.peers import HourlyPriors
from detectors.market_data.bar import BookState, DepthState, Flow
from detectors.market_data.book import Book, BookSide, Level, RestingOrder
from detectors.market_data.leverage_baselines import LeverageBaseline, LeveragedOrder
from detectors.market_data.one_sided_accounts import LargeOrder
from detectors.open_bar import Counts, SymbolProgress
from detectors.parameters import Parameters
from detectors.scorer import ScorerState
from detectors.symbol import SymbolMonitor

FORMAT = 3
"""The format of SymbolState: raise it with any change to what it holds or means."""


class SymbolState(Struct):
    """Everything that a SymbolMonitor knows.

    ``open_bar`` is the end of the bar that was open and had seen events, None without one;
    ``delays`` are the fastest records of that bar by stream, in nanoseconds. What is not there of a
    feed begins anew.
    """

    open_bar: int | None
    orders: dict[str, RestingOrder]
    bids: list[tuple[float, Level]]
    asks: list[tuple[float, Level]]
    leverage_baselines: tuple[dict[str, LeverageBaseline], dict[str, LeverageBaseline]] = field(
        name="habits"
    )
    spans: tuple[Flow, ...]
    depth: DepthState
    scorers: dict[str, ScorerState]
    hourly_priors: HourlyPriors = field(name="lessons")
    incident: Incident | None
    drift: DriftIncident | None
    progress: SymbolProgress = field(name="marks")
    flow: Flow
    leveraged: list[LeveragedOrder]
    large: list[LargeOrder]
    one_sided: tuple[dict[str, float], float]
    opened: BookState | None
    feed: FeedState | None = None
    findings: FeedFindings = field(default_factory=FeedFindings)
    delays: dict[str, int] = {}


def capture(
    monitor: SymbolMonitor, open_bar: int | None, delays: Mapping[str, int] | None = None
) -> SymbolState:
    """The state of a monitor. It shares what can change with it: encode it before going on.

    ``delays`` are those of the open bar.
    """
    book, seen = monitor.book, monitor.open_bar
    return SymbolState(
        open_bar=open_bar,
        orders=book.orders,
        bids=list(book.bids.levels.items()),
        asks=list(book.asks.levels.items()),
        leverage_baselines=(monitor.leverage_baselines.recent, monitor.leverage_baselines.older),
        spans=monitor.spans.sums,
        depth=monitor.depth_baseline.state,
        scorers={scorer.detector.name: scorer.state() for scorer in monitor.scorers},
        hourly_priors=monitor.hourly_priors,
        incident=monitor.incidents.open,
        drift=monitor.drifts.open,
        progress=seen.progress,
        flow=seen.flow,
        leveraged=seen.leveraged,
        large=seen.large,
        one_sided=(monitor.one_sided.placed, monitor.one_sided.gross),
        opened=seen.opened,
        feed=monitor.feed.state,
        findings=monitor.feed.findings,
        delays=dict(delays or {}),
    )


def revive(
    symbol: str,
    state: SymbolState,
    parameters: Parameters,
    detectors: tuple[Detector, ...],
    counts: Counts,
) -> SymbolMonitor:
    """A monitor that goes on where the captured one was. It takes the state over: decode it anew.

    A detector that the state does not know begins with its warm-up.
    """
    monitor = SymbolMonitor(symbol, parameters, detectors, counts)
    _revive_book(monitor.book, state)
    if state.feed is not None:
        monitor.feed.restore(state.feed, state.findings)
    monitor.leverage_baselines.recent, monitor.leverage_baselines.older = state.leverage_baselines
    monitor.spans.sums = state.spans
    monitor.depth_baseline.state = state.depth
    for scorer in monitor.scorers:
        its = state.scorers.get(scorer.detector.name)
        if its is not None:
            scorer.restore(its)
    monitor.hourly_priors = state.hourly_priors
    monitor.incidents.open = state.incident
    monitor.drifts.open = state.drift
    seen = monitor.open_bar
    seen.begin(state.opened, state.depth.usual)
    seen.progress = state.progress
    seen.flow = state.flow
    seen.leveraged = state.leveraged
    seen.large = state.large
    monitor.one_sided.placed, monitor.one_sided.gross = state.one_sided
    return monitor


def _revive_book(book: Book, state: SymbolState) -> None:
    book.orders = state.orders
    _revive_side(book.bids, state.bids)
    _revive_side(book.asks, state.asks)


def _revive_side(side: BookSide, levels: list[tuple[float, Level]]) -> None:
    side.levels = dict(levels)
    side.prices = sorted(side.sign * price for price in side.levels)
