"""One symbol in detail: recent bars, detector readings, book, and the risk of its positions."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from numpy.typing import NDArray

from detectors.closing import stress_ratio
from detectors.detector import Detector
from detectors.market_data.book import BANDS_SPREADS, BookSide
from detectors.scorer import Reading
from detectors.symbol import SymbolMonitor
from service.console.history import History
from service.console.risk import RiskView, risk
from service.console.venue import SwitchView, switch_view
from service.presentation.incidents import IncidentRow, incident_rows
from service.presentation.phrases import describe_feature
from service.presentation.series import COLUMNS
from service.web.view import View

SHOWN_INCIDENTS = 40
"""Incidents shown of the symbol, open ones first."""

LEVELS = 8
"""Price levels shown per side."""


class FeatureView(Struct, frozen=True):
    """A feature of the last bar.

    ``deviation`` is its place between usual (0) and an alarm (1). For a detector without alarms it
    is in standard deviations.
    """

    feature: str
    text: str
    deviation: float


class DetectorView(Struct, frozen=True):
    """A detector's reading of the last bar, with its features, the most unusual first."""

    name: str
    status: str
    score: float | None
    stress_ratio: float | None
    alarm: bool
    suppressed: str | None
    alarms: bool
    features: list[FeatureView]


class PriceLevel(Struct, frozen=True):
    """The resting orders at a price."""

    price: float
    quantity: float
    orders: int


class Band(Struct, frozen=True):
    """Resting notional within ``spreads`` typical spreads of the mid price, per side."""

    spreads: float
    bid: float
    ask: float


class BookView(Struct, frozen=True):
    """The current book.

    ``usual_depth`` is the usual notional within five typical spreads of the mid, both sides.
    """

    mid: float | None
    spread_bps: float | None
    orders: int
    bands: list[Band]
    usual_depth: float
    bids: list[PriceLevel]
    asks: list[PriceLevel]


class Columns(Struct, frozen=True):
    """Bars as columns. ``ts_ms`` is when each bar closed; a value that a bar lacks is None."""

    ts_ms: list[int]
    columns: dict[str, list[float | None]]


class Detail(Struct, frozen=True):
    """A symbol in detail.

    ``whole``: ``bars`` holds all kept bars, else only those since the last message. ``known``: this
    process watches the symbol. ``kept``: the console keeps bars of the symbol. ``killswitch`` is
    None if this process has no kill switch of it.
    """

    symbol: str
    known: bool
    kept: bool
    whole: bool
    bars: Columns
    incidents: list[IncidentRow]
    detectors: list[DetectorView]
    book: BookView | None
    risk: RiskView
    killswitch: SwitchView | None


def detail(view: View, history: History, symbol: str, since_ns: int) -> tuple[Detail, int]:
    """Return a symbol with its bars after ``since_ns`` (0: all), and the time of its newest bar."""
    monitor = view.monitor(symbol)
    ring = history.rings.get(symbol)
    bars, newest = Columns([], {name: [] for name in COLUMNS}), since_ns
    if ring is not None:
        rows = ring.rows()
        rows = rows[rows["ts_event"] > since_ns]
        bars = columns(rows)
        newest = int(rows["ts_event"][-1]) if len(rows) else since_ns
    known = history.known_incidents(view.open_alerts)
    incidents = [incident for incident in known if incident.fired.symbol == symbol]
    memory = view.switch_memories.get(symbol)
    shown = Detail(
        symbol=symbol,
        known=monitor is not None,
        kept=ring is not None,
        whole=since_ns == 0,
        bars=bars,
        incidents=incident_rows(incidents, SHOWN_INCIDENTS),
        detectors=_detectors(monitor) if monitor is not None else [],
        book=_book(monitor) if monitor is not None else None,
        risk=risk(view, symbol),
        killswitch=switch_view(symbol, memory) if memory is not None else None,
    )
    return shown, newest


def columns(rows: NDArray[Any]) -> Columns:
    """Return rows of a history as columns, with the digits that a plot can show."""
    return Columns(
        (rows["ts_event"] // 1_000_000).tolist(),
        {name: _rounded(rows[name].tolist()) for name in COLUMNS},
    )


def _rounded(values: Sequence[float]) -> list[float | None]:
    return [float(f"{value:.7g}") if math.isfinite(value) else None for value in values]


def _detectors(monitor: SymbolMonitor) -> list[DetectorView]:
    signal = monitor.signal
    if signal is None:
        return []
    bar_seconds, budget = monitor.parameters.bar_seconds, monitor.parameters.false_alarms_per_day
    views = []
    for scorer in monitor.scorers:
        reading = signal.detectors.get(scorer.detector.name)
        if reading is None:
            continue
        judged = scorer.judged(reading.features)
        ratios = {name: stress_ratio(p, budget, bar_seconds) for name, (p, _) in judged.items()}
        usual = {name: value for name, (_, value) in judged.items()}
        views.append(_view(scorer.detector, reading, ratios, usual))
    for watch in monitor.watches:
        reading = signal.detectors.get(watch.detector.name)
        if reading is not None:
            deviations = watch.model.deviations_one(reading.features)
            usual = {name: watch.model.expected(name) for name in deviations}
            views.append(_view(watch.detector, reading, deviations, usual))
    return views


def _view(
    detector: Detector,
    reading: Reading,
    deviations: Mapping[str, float],
    usual: Mapping[str, float],
) -> DetectorView:
    features = [
        FeatureView(
            feature,
            describe_feature(detector.name, feature, reading.features[feature], usual[feature]),
            round(deviation, 2),
        )
        for feature, deviation in sorted(deviations.items(), key=lambda pair: -pair[1])
    ]
    return DetectorView(
        name=detector.name,
        status=reading.status,
        score=reading.score,
        stress_ratio=max(deviations.values(), default=None)
        if reading.p_value is not None
        else None,
        alarm=reading.alarm,
        suppressed=reading.suppressed,
        alarms=detector.alarms,
        features=features,
    )


def _book(monitor: SymbolMonitor) -> BookView:
    book = monitor.book
    mid = book.mid
    bands = []
    if mid is not None:
        pairs = zip(*book.depths(mid), strict=True)
        bands = [Band(width, *pair) for width, pair in zip(BANDS_SPREADS, pairs, strict=True)]
    return BookView(
        mid=mid,
        spread_bps=book.spread_bps,
        orders=len(book.orders),
        bands=bands,
        usual_depth=float(monitor.columns.market.depth.usual[monitor.row]),
        bids=_levels(book.bids),
        asks=_levels(book.asks),
    )


def _levels(side: BookSide) -> list[PriceLevel]:
    """Return the best price levels, the best first."""
    best = (side.sign * signed for signed in reversed(side.prices[-LEVELS:]))
    return [PriceLevel(p, side.levels[p].quantity, side.levels[p].orders) for p in best]
