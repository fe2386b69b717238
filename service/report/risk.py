"""How far a cascade of each symbol was over a replay: collected, and as a table and plots."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from msgspec import Struct, field

from detectors.risk_watch.cascade import ENTER
from detectors.risk_watch.monitor import RECORD_SECONDS
from detectors.risk_watch.records import CASCADE_RATIO, Interval, RiskRecord, cascade_of
from service.describe import moment
from service.presentation.phrases import duration
from service.report.envelope import Envelope
from service.report.text import html, table

PLOTTED = 6
"""How many sides of symbols are plotted, the nearest ones."""

LISTED = 40

BUCKETS = 400
"""Buckets of a series."""

_COLUMNS = 3
_NEVER = math.inf


class _Side(Struct):
    """One side of a symbol over a replay; ``nearest`` is the record with the least distance."""

    nearest: RiskRecord
    distance_bps: float = _NEVER
    likely_records: int = 0
    series: Envelope = field(default_factory=lambda: Envelope(BUCKETS, _COLUMNS))


class RiskCollected:
    """Collects the records of risk of a replay; its memory does not grow with the replay time."""

    def __init__(self) -> None:
        self._sides: dict[tuple[str, str], _Side] = {}

    def take(self, records: Iterable[RiskRecord]) -> None:
        """Add records in the order of event time."""
        for record in records:
            run = cascade_of(record)
            if run is None:
                continue
            key = record.symbol, record.side
            side = self._sides.get(key) or self._sides.setdefault(key, _Side(record))
            distance = run.distance_bps.p50
            if distance is not None and distance < side.distance_bps:
                side.distance_bps, side.nearest = distance, record
            side.likely_records += (record.cascade_probability or 0.0) >= ENTER
            values = (run.distance_bps.p10, distance, run.distance_bps.p90)
            side.series.add(
                record.ts_event // (RECORD_SECONDS * 1_000_000_000),
                [math.nan if value is None else value for value in values],
            )

    def _ranked(self) -> list[tuple[tuple[str, str], _Side]]:
        return sorted(self._sides.items(), key=lambda pair: (pair[1].distance_bps, pair[0]))

    def section(self) -> str:
        """Return the section of the page; empty if the recording had no positions."""
        ranked = self._ranked()
        if not ranked:
            return ""
        heads = (
            "side", "nearest", "at", "as an ordinary order", "forced", "loss beyond the fund",
            "likely for", "known positions",
        )  # fmt: skip
        rows = [_row(side) for _, side in ranked[:LISTED]]
        left = len(ranked) - LISTED
        more = f'<p class="muted">{left:,} more sides are not listed</p>' if left > 0 else ""
        return f"""<h2 id="risk">How far a cascade was</h2>
<p class="muted">A cascade is a run of liquidations over {CASCADE_RATIO:.0%} of the open interest,
computed from the recorded positions. Its distance is the least move that sets it off: the median,
and the 10 to 90 % interval. Likely: a move of 0.85 % sets it off in {ENTER:.0%} of draws or more.
It is a state, not a forecast.</p>
<div id="risk-plot" role="img" aria-label="distance of a cascade over time; the table has the
nearest"></div>
{table(heads, rows, numbers=" x xxxxx")}{more}"""

    def plots(self) -> list[dict[str, Any]]:
        """Return the data of the plots, the nearest side first."""
        return [
            {"symbol": symbol, "side": side, **_points(its.series)}
            for (symbol, side), its in self._ranked()[:PLOTTED]
            if its.distance_bps < _NEVER
        ]


def _row(side: _Side) -> tuple[str, ...]:
    record, its = side.nearest, cascade_of(side.nearest)
    assert its is not None
    order = "sale" if record.side == "long" else "purchase"
    coverage = record.coverage_ratio
    known = side.distance_bps < _NEVER
    return (
        f"{html(record.symbol)} {record.side}s",
        _spread(its.distance_bps, "{:.0f} bps") if known else "no move",
        moment(record.ts_event, day=True) if known else "",
        f"{order} of {_spread(its.sale_notional, '{:,.0f}')}" if known else "",
        _spread(its.notional, "{:,.0f}"),
        _spread(its.beyond_fund, "{:,.0f}"),
        duration(side.likely_records * RECORD_SECONDS) if side.likely_records else "never",
        "not known" if coverage is None else f"{coverage:.0%}",
    )


def _spread(its: Interval | None, form: str) -> str:
    if its is None:
        return ""
    low, middle, high = (
        "no move" if value is None else form.format(value) for value in (its.p10, its.p50, its.p90)
    )
    return middle if low == high else f"{middle}<br><small>{low} to {high}</small>"


def _points(series: Envelope) -> dict[str, Any]:
    """Return times and distances; of each bucket the lowest and the highest."""
    keys, values = series.points()
    return {
        "ts_ms": (keys * RECORD_SECONDS * 1_000).tolist(),
        **{
            name: [float(f"{value:.4g}") if np.isfinite(value) else None for value in column]
            for name, column in zip(("p10", "p50", "p90"), values.T.tolist(), strict=True)
        },
    }
