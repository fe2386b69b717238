"""The state of a symbol as plain data, for snapshots, and the monitor restored from it.

A restored monitor continues exactly as the captured monitor would have. Sums of floats depend on
the order of addition, so the state stores them and does not recompute them.
"""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct, field

from detectors.change_watch import ChangeState
from detectors.closing import Columns
from detectors.counts import Counts
from detectors.detector import Detector
from detectors.feed.checks import FeedState
from detectors.feed.incidents import FeedFindings
from detectors.feed.silence import WATCHED
from detectors.incidents.drift_incidents import DriftIncident
from detectors.incidents.ledger import LedgerEntry
from detectors.incidents.symbol_incidents import Incident
from detectors.market_data.account_sums import SignedAmount
from detectors.market_data.bar import BookState
from detectors.market_data.book import Book, BookSide, Level, RestingOrder, bands_of
from detectors.market_data.book_summary import Aggressors
from detectors.market_data.depth_baseline import DepthState
from detectors.market_data.early_ends import EarlyEnds
from detectors.market_data.flow import Flow
from detectors.market_data.leverage_baselines import LeverageBaseline, LeveragedOrder
from detectors.market_data.market_noise import MarketNoiseState
from detectors.market_data.quantities import QuantityState
from detectors.market_data.running_median import MedianState
from detectors.market_data.windows import WindowsState
from detectors.open_bar import SymbolProgress
from detectors.parameters import Parameters
from detectors.scorer import ScorerState
from detectors.symbol import SymbolMonitor
from detectors.venue.limits import LimitsState
from detectors.venue.trading import TradingState

FORMAT = 4
"""The format of SymbolState: raise it with any change of its fields or their meaning."""


class SymbolState(Struct):
    """The complete state of a SymbolMonitor.

    ``open_bar`` is the end of the open bar, if it has events; otherwise None. ``delays`` holds the
    smallest record delay of that bar by stream, in nanoseconds. A feed without ``feed`` and
    ``findings`` starts with an empty state.
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
    watches: dict[str, ChangeState]
    windows: WindowsState
    size: MedianState
    spread: MedianState
    incident: Incident | None
    drift: DriftIncident | None
    progress: SymbolProgress = field(name="marks")
    flow: Flow
    leveraged: list[LeveragedOrder]
    last_quantity: float
    placed: list[SignedAmount]
    shown: list[SignedAmount]
    states_accounts: bool
    layers: dict[str, float]
    spoofs: dict[str, float]
    opened: BookState | None
    feed: FeedState | None = None
    findings: FeedFindings = field(default_factory=FeedFindings)
    delays: dict[str, int] = {}
    early: EarlyEnds = field(default_factory=EarlyEnds)
    tick: float = 0.0
    often: dict[str, int] = {}
    noise: MarketNoiseState = field(default_factory=MarketNoiseState)
    quantities: QuantityState = field(default_factory=QuantityState)
    trading: TradingState = field(default_factory=TradingState)
    ledger: dict[str, LedgerEntry] = {}
    aggressors: Aggressors = field(default_factory=Aggressors)
    limits: LimitsState = field(default_factory=LimitsState)


def capture(
    monitor: SymbolMonitor, open_bar: int | None, delays: Mapping[str, int] | None = None
) -> SymbolState:
    """Return the state of a monitor.

    The state shares mutable objects with the monitor: encode the state before the monitor takes
    the next event. ``delays`` are the delays of the open bar.
    """
    book, bar = monitor.book, monitor.open_bar
    market, row = monitor.columns.market, monitor.row
    return SymbolState(
        open_bar=open_bar,
        orders=book.orders,
        bids=list(book.bids.levels.items()),
        asks=list(book.asks.levels.items()),
        leverage_baselines=(monitor.leverage_baselines.recent, monitor.leverage_baselines.older),
        spans=market.spans.state(row),
        depth=market.depth.state(row),
        scorers={
            scorer.detector.name: scorer.state()
            for scorer in monitor.scorers
            # An estimator is code's own object, and its scores mean nothing to another one.
            if scorer.detector.estimator is None
        },
        watches={watch.detector.name: watch.state() for watch in monitor.watches},
        windows=market.windows.state(row),
        size=market.sizes.state(row),
        spread=market.spreads.state(row),
        incident=monitor.incidents.open,
        drift=monitor.drifts.open,
        progress=bar.progress,
        flow=bar.flow,
        leveraged=bar.leveraged,
        last_quantity=bar.last_quantity,
        placed=monitor.large.placed,
        shown=monitor.large.shown,
        states_accounts=monitor.large.states_accounts,
        layers=monitor.large.layers.sums,
        spoofs=monitor.large.spoofs.sums,
        opened=bar.opened,
        feed=monitor.feed.checks.snapshot(),
        findings=monitor.feed.findings,
        delays=dict(delays or {}),
        early=bar.early,
        tick=book.tick,
        often=monitor.drifts.often,
        noise=monitor.noise.state,
        quantities=bar.quantities.state if bar.quantities is not None else QuantityState(),
        trading=monitor.trading.state,
        ledger=monitor.ledger.entries,
        aggressors=bar.aggressors,
        limits=bar.limits,
    )


def revive(
    symbol: str,
    state: SymbolState,
    parameters: Parameters,
    detectors: tuple[Detector, ...],
    counts: Counts,
    columns: Columns | None = None,
) -> SymbolMonitor:
    """Return a monitor that continues from a captured state.

    The monitor takes ownership of the state: decode the state again for each call. A detector that
    is not in the state begins with its warm-up. It takes a row of ``columns``, if any are given.

    Raises
    ------
    ValueError
        Parts of the state contradict each other.
    """
    monitor = SymbolMonitor(symbol, parameters, detectors, counts, columns)
    try:
        _restore(monitor, state)
    except Exception:
        monitor.release()
        raise
    return monitor


def _restore(monitor: SymbolMonitor, state: SymbolState) -> None:
    _revive_book(monitor.book, state)
    if state.feed is not None:
        if len(state.feed.seen) != len(WATCHED):
            raise ValueError(f"feed.seen has {len(state.feed.seen)} counts, not {len(WATCHED)}")
        monitor.feed.restore(state.feed, state.findings)
    monitor.leverage_baselines.recent, monitor.leverage_baselines.older = state.leverage_baselines
    market, row = monitor.columns.market, monitor.row
    market.spans.restore(row, state.spans)
    market.depth.restore(row, state.depth)
    monitor.noise.state = state.noise
    for scorer in monitor.scorers:
        scorer_state = state.scorers.get(scorer.detector.name)
        if scorer_state is not None:
            scorer.restore(scorer_state)
    for watch in monitor.watches:
        watch_state = state.watches.get(watch.detector.name)
        if watch_state is not None:
            watch.restore(watch_state)
    market.windows.restore(row, state.windows)
    market.sizes.restore(row, state.size)
    market.spreads.restore(row, state.spread)
    monitor.incidents.open = state.incident
    monitor.drifts.open = state.drift
    monitor.drifts.often = state.often
    monitor.trading.state = state.trading
    monitor.ledger.entries = state.ledger
    bar = monitor.open_bar
    monitor.book.bands = bands_of(float(market.spreads.value[row]))
    bar.begin(state.opened, float(market.sizes.value[row]))
    bar.progress = state.progress
    bar.flow = state.flow
    bar.leveraged = state.leveraged
    bar.last_quantity = state.last_quantity
    monitor.large.placed, monitor.large.shown = state.placed, state.shown
    monitor.large.states_accounts = state.states_accounts
    monitor.large.layers.sums, monitor.large.spoofs.sums = state.layers, state.spoofs
    bar.early = state.early
    bar.aggressors = state.aggressors
    bar.limits = state.limits
    if bar.quantities is not None:
        bar.quantities.state = state.quantities


def _revive_book(book: Book, state: SymbolState) -> None:
    book.tick = state.tick
    book.orders = state.orders
    _revive_side(book.bids, state.bids)
    _revive_side(book.asks, state.asks)
    resting = Counter((order.is_buy, order.price) for order in book.orders.values())
    levels = {
        (is_buy, price): level.orders
        for is_buy, side in ((True, book.bids), (False, book.asks))
        for price, level in side.levels.items()
    }
    if resting != levels:
        raise ValueError("the price levels are not those of the resting orders")


def _revive_side(side: BookSide, levels: list[tuple[float, Level]]) -> None:
    side.restore(dict(levels))
