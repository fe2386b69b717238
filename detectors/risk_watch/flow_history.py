"""The recent flow of a symbol, and what it says about its price: impact, volatility, volume.

Ordinary flow is informed: traders buy while the index rises. Forced flow is not, and does not move
the index. So the impact is learned from the return over that of the index, where the venue
publishes one; with the plain return, it would be too large by what the flow only followed.
"""

import math
from collections import deque
from collections.abc import Iterable

import numpy as np
from msgspec import Struct

from detectors.market_data.book_summary import BookSummary
from detectors.risk.draws import slope_draws
from detectors.risk.flow_impact import flow_slope
from detectors.table import Floats

SPAN_SECONDS = 10
"""Flow and return are compared over spans of this length."""

SPANS = 90
"""Spans that the impact is learned from: a quarter of an hour."""

LEAST_SPANS = 18
"""Fewer spans with flow teach no impact."""

SPANS_A_MINUTE = 60 // SPAN_SECONDS
DAY_MINUTES = 1_440
LEAST_MINUTES = 10

FORCED_RATIO = 0.5
"""A span in which more of the net flow is forced teaches nothing about ordinary flow."""

_LARGEST = 1.0

_SEED = 1
"""The same draws each time: what changes is then the market, not the luck of the draw."""


class FlowState(Struct):
    """A `FlowHistory` as it is kept for a successor; columns are float64, byte for byte."""

    mid: float
    level: float
    open_span: tuple[float, float, float]
    minute_flow: float
    spans: int
    mids: bytes
    returns: bytes
    flows: bytes
    traded: bytes
    minute_moves: bytes
    minute_flows: bytes


class FlowHistory:
    """Flow and returns of one symbol over the last quarter of an hour, and its minutes of a day.

    Attributes
    ----------
    mid, index
        The last mid price and index price; NaN while unknown.
    slope
        Move per unit of ordinary aggressor notional; NaN while unknown.
    sigma_60s
        Standard deviation of the one-minute log return, without the last minute; NaN while unknown.
    """

    __slots__ = (
        "_flow", "_flows", "_forced", "_level", "_mids", "_minute_flow", "_minute_flows",
        "_minute_moves", "_slopes", "_spans", "_traded", "_traded_spans", "index", "mid",
        "sigma_60s", "slope",
    )  # fmt: skip

    def __init__(self) -> None:
        self.mid = self.index = self._level = math.nan
        self._flow = self._forced = self._traded = self._minute_flow = 0.0
        self._mids: deque[float] = deque(maxlen=SPANS + 1)
        # Return, and flow; a span with mostly forced flow is left out of both.
        self._flows: deque[tuple[float, float]] = deque(maxlen=SPANS)
        self._traded_spans: deque[float] = deque(maxlen=SPANS)
        self._minute_moves: deque[float] = deque(maxlen=DAY_MINUTES)
        self._minute_flows: deque[float] = deque(maxlen=DAY_MINUTES)
        self._spans = 0
        self.slope = self.sigma_60s = math.nan
        self._slopes: Floats | None = None

    def add(self, summary: BookSummary) -> None:
        """Add a bar of the current span; the first one ever only says where the price begins."""
        if math.isnan(self.mid):
            self.mid = summary.mid
            self._mids.append(summary.mid)
            self._level = self.level
            return
        self.mid = summary.mid
        self._flow += summary.bought - summary.sold
        self._forced += summary.forced_bought - summary.forced_sold
        self._traded += summary.bought + summary.sold

    def close_span(self) -> None:
        """Close the current span, and learn from it."""
        if math.isnan(self.mid):
            return
        flow, forced = self._flow, self._forced
        if abs(forced) <= FORCED_RATIO * abs(flow):
            moved = self.level - self._level
            # An index that comes or goes is no return.
            self._flows.append((moved if abs(moved) < _LARGEST else 0.0, flow))
        self._level = self.level
        self._mids.append(self.mid)
        self._traded_spans.append(self._traded)
        self._minute_flow += flow
        self._flow = self._forced = self._traded = 0.0
        self._spans += 1
        if self._spans % SPANS_A_MINUTE == 0:
            self._minute_moves.append(abs(self.minute_return))
            self._minute_flows.append(abs(self._minute_flow))
            self._minute_flow = 0.0
        self._learn()

    @property
    def level(self) -> float:
        """The logarithm of the mid price over the index, or of the mid price without an index."""
        return math.log(self.mid) - (0.0 if math.isnan(self.index) else math.log(self.index))

    @property
    def minute_return(self) -> float:
        """Log return of the last minute up to the last span's end; 0 while unknown."""
        if len(self._mids) <= SPANS_A_MINUTE:
            return 0.0
        return math.log(self._mids[-1] / self._mids[-1 - SPANS_A_MINUTE])

    @property
    def sigma_5m(self) -> float:
        """Standard deviation of the five-minute log return of a price without drift."""
        return self.sigma_60s * math.sqrt(5.0)

    @property
    def p99_minute_move(self) -> float:
        """The 99 % quantile of the absolute one-minute return of the last day; NaN if unknown."""
        return _p99(self._minute_moves)

    @property
    def p99_minute_flow(self) -> float:
        """The 99 % quantile of the absolute one-minute net flow of the last day; NaN if unknown."""
        return _p99(self._minute_flows)

    @property
    def traded_a_day(self) -> float:
        """Notional traded a day at the rate of the last quarter of an hour; NaN if unknown."""
        if len(self._traded_spans) < LEAST_SPANS:
            return math.nan
        return sum(self._traded_spans) / len(self._traded_spans) * 86_400 / SPAN_SECONDS

    @property
    def slopes(self) -> Floats:
        """Draws of the slope; empty while it is unknown."""
        if self._slopes is None:
            known = not math.isnan(self.slope)
            self._slopes = slope_draws(*self._pairs(), _SEED) if known else np.zeros(0)
        return self._slopes

    def state(self) -> FlowState | None:
        """Return what is known; None before the first bar."""
        if math.isnan(self.mid):
            return None
        returns, flows = self._pairs()
        return FlowState(
            self.mid,
            self._level,
            (self._flow, self._forced, self._traded),
            self._minute_flow,
            self._spans,
            packed(self._mids),
            packed(returns),
            packed(flows),
            packed(self._traded_spans),
            packed(self._minute_moves),
            packed(self._minute_flows),
        )

    def restore(self, state: FlowState) -> None:
        """Continue from a state. Raises ValueError if its columns do not fit."""
        self.mid, self._level = state.mid, state.level
        self._flow, self._forced, self._traded = state.open_span
        self._minute_flow, self._spans = state.minute_flow, state.spans
        self._mids.extend(unpacked(state.mids))
        self._flows.extend(zip(unpacked(state.returns), unpacked(state.flows), strict=True))
        self._traded_spans.extend(unpacked(state.traded))
        self._minute_moves.extend(unpacked(state.minute_moves))
        self._minute_flows.extend(unpacked(state.minute_flows))
        self._learn()

    def _pairs(self) -> tuple[Floats, Floats]:
        pairs = np.array(self._flows, dtype=np.float64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def _learn(self) -> None:
        returns, flows = self._pairs()
        enough = np.count_nonzero(flows) >= LEAST_SPANS
        self.slope = flow_slope(returns, flows) if enough else math.nan
        self._slopes = None
        before = np.log(np.array(self._mids)[: -SPANS_A_MINUTE or None])
        minutes = before[SPANS_A_MINUTE:] - before[:-SPANS_A_MINUTE]
        known = len(minutes) >= LEAST_SPANS
        self.sigma_60s = math.sqrt(float(np.square(minutes).mean())) if known else math.nan


def packed(values: Iterable[float]) -> bytes:
    """Return floats as bytes.

    >>> unpacked(packed([0.1, -2.0]))
    [0.1, -2.0]
    """
    return np.array([*values], dtype="<f8").tobytes()


def unpacked(column: bytes) -> list[float]:
    """Return the floats of `packed`. Raises ValueError for other bytes."""
    return [float(value) for value in np.frombuffer(column, dtype="<f8")]


def _p99(values: deque[float]) -> float:
    if len(values) < LEAST_MINUTES:
        return math.nan
    ordered = sorted(values)
    return ordered[math.ceil(0.99 * len(ordered)) - 1]
