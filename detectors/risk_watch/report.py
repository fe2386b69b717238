"""The published record of an assessment."""

import math
from collections.abc import Sequence

import numpy as np

from detectors.market_data.book_summary import DEPTH_BPS, BookSummary
from detectors.risk.band import band_seconds, nearest_band
from detectors.risk.book_impact import book_impact
from detectors.risk.drawn_runs import OPEN_INTEREST_SHARES, Drawn, drawn_runs, outcomes_of
from detectors.risk.expressed import expressed
from detectors.risk.flow_impact import flow_impact
from detectors.risk.impact import moved_by
from detectors.risk.ladder import rungs
from detectors.risk.outcome import Outcome
from detectors.risk.quantiles import Quantiles, quantiles
from detectors.risk.root_impact import root_impact
from detectors.risk.runs import Runs, runs_of
from detectors.risk_watch.assessment import Assessment, Learned
from detectors.risk_watch.flow_history import SPAN_SECONDS, FlowHistory
from detectors.risk_watch.holdings import Holdings, Terms
from detectors.risk_watch.liquidation_flow import Source
from detectors.risk_watch.records import (
    Impact,
    Interval,
    PriceBand,
    RiskRecord,
    Run,
    Rung,
    finite,
    interval,
)

LEAST_COVERAGE = 0.9
"""With less of the market known no reproduction number is shown."""

SEED_RATIO = 0.01
"""The seed of the reproduction number, as a share of the open interest."""

OUTCOMES = 5
"""From how many of the drawn impacts the outcome of a run is computed."""

_IMPACT_RATIO = 0.1


def risk_record(
    its: Assessment,
    ts_event: int,
    holdings: Holdings,
    learned: Learned | None,
    book: BookSummary | None,
) -> RiskRecord:
    """Return the record of an assessment that still holds at ``ts_event``.

    ``book`` is the last summary of the symbol's book.
    """
    terms = holdings.of(its.symbol)
    reported = math.isfinite(terms.open_interest) and terms.open_interest > 0.0
    coverage = its.known.coverage_ratio if reported else None
    known = learned is not None and len(its.slopes) > 0
    runs: list[Run] = []
    reproduction = None
    seed = SEED_RATIO * its.open_interest
    if known and learned is not None:
        drawn = drawn_runs(its.forced, its.slopes, its.open_interest, seed)
        fund = holdings.fund(its.symbol)
        places = np.linspace(0, len(its.slopes) - 1, OUTCOMES).round().astype(np.int64)
        some = [runs_of(its.forced, flow_impact(slope)) for slope in its.slopes[places].tolist()]
        runs = [_run(its, drawn, some, share, learned.flow, fund) for share in OPEN_INTEREST_SHARES]
        if coverage is not None and coverage >= LEAST_COVERAGE:
            reproduction = interval(quantiles(drawn.reproduction))
    source: Source = "trades"
    liquidated = 0.0, 0
    if learned is not None:
        liquidated = learned.liquidations.recent(its.side)
        source = learned.liquidations.source(ts_event)
    return RiskRecord(
        symbol=its.symbol,
        side=its.side,
        ts_event=ts_event,
        contract="inverse" if its.ladder.contract.inverse else "linear",
        settlement_currency=terms.settlement_currency,
        mark_price=its.ladder.mark,
        open_interest=its.open_interest,
        coverage_ratio=coverage,
        assumed_ratio=its.known.assumed_ratio,
        positions=len(its.ladder.move),
        evicted_positions=holdings.evicted_positions,
        forced_flow_source=source,
        liquidations_15m=liquidated[1] if source == "liquidations" else None,
        liquidated_notional_15m=liquidated[0],
        rungs=[
            Rung(1e4 * rung.move, rung.notional, rung.accounts, rung.largest_ratio,
                 rung.concentration)
            for rung in rungs(its.ladder)
        ],
        band=_band(its, terms),
        impact=_impact(its, learned, book) if known and learned is not None else None,
        cascade_probability=its.probability if known else None,
        reproduction=reproduction,
        seed_notional=seed if reproduction is not None else None,
        runs=runs,
        insurance_fund=holdings.fund(its.symbol),
        assumptions=_assumptions(its, holdings, terms, reported=reported),
    )  # fmt: skip


def _run(
    its: Assessment,
    drawn: Drawn,
    some: Sequence[Runs],
    share: float,
    flow: FlowHistory,
    fund: float | None,
) -> Run:
    distances = quantiles(drawn.distance[share])
    outcomes = outcomes_of(its.ladder, its.rule, some, share * its.open_interest, fund or 0.0)
    slope, sigma, flow_p99 = flow.slope, flow.sigma_60s, flow.p99_minute_flow
    multiples = hits = None
    if slope > 0.0 and sigma > 0.0:
        told = [expressed(x, sigma, flow.sigma_5m, slope, flow_p99 if flow_p99 > 0.0 else 1.0)
                for x in distances]  # fmt: skip
        # The nearest is the likeliest.
        hits = interval(Quantiles(*sorted(each.probability for each in told)))
        if flow_p99 > 0.0:
            multiples = interval(Quantiles(*(each.sale_multiple for each in told)))
    return Run(
        open_interest_ratio=share,
        distance_bps=interval(distances, 1e4),
        distance_sigmas=interval(distances, 1.0 / sigma) if sigma > 0.0 else None,
        hit_5m_ratio=hits,
        sale_notional=interval(distances, 1.0 / slope if slope > 0.0 else math.inf),
        sale_multiple=multiples,
        notional=_of(outcomes, [each.notional for each in outcomes]),
        accounts=_of(outcomes, [each.accounts for each in outcomes]),
        largest_ratio=_of(outcomes, [each.largest_ratio for each in outcomes]),
        loss=_of(outcomes, [each.loss for each in outcomes]),
        beyond_fund=_of(outcomes, [each.beyond_fund for each in outcomes]),
        deleveraged_notional=_of(outcomes, [each.deleveraged_notional for each in outcomes]),
    )


def _of(outcomes: Sequence[Outcome], values: Sequence[float]) -> Interval | None:
    return interval(quantiles(np.array(values, dtype=np.float64))) if outcomes else None


def _band(its: Assessment, terms: Terms) -> PriceBand | None:
    band = nearest_band(its.ladder, its.rule, its.open_interest)
    if band is None:
        return None
    seconds: tuple[float | None, float | None] = (None, None)
    if terms.mark_rule is not None and band.full_move > 0.0:
        first, full = band_seconds(band, terms.mark_rule, 2.0 * band.full_move)
        seconds = finite(first), finite(full)
    return PriceBand(
        band.first_price, band.full_price, 1e4 * band.first_move, 1e4 * band.full_move,
        band.mean_price, band.notional, band.accounts, *seconds,
    )  # fmt: skip


def _impact(its: Assessment, learned: Learned, book: BookSummary | None) -> Impact:
    notional = _IMPACT_RATIO * its.open_interest
    flow, factor = learned.flow, learned.forced.factor
    withdrawn = learned.withdrawals.factor(its.side)
    sold = np.array([notional])
    walked = rooted = None
    if book is not None:
        depth = np.array(book.bid_depth if its.side == "long" else book.ask_depth)
        surviving = 1.0 / withdrawn.median
        impact = book_impact(np.array(DEPTH_BPS) / 1e4, depth, surviving, 0.0, SPAN_SECONDS)
        walked = finite(1e4 * float(moved_by(impact, sold)[0]))
    volume, sigma = flow.traded_a_day, flow.sigma_60s * math.sqrt(1_440.0)
    if volume > 0.0 and sigma > 0.0:
        rooted = finite(1e4 * float(moved_by(root_impact(sigma, volume, notional), sold)[0]))
    refill = learned.withdrawals.refill[its.side]
    return Impact(
        notional=notional,
        flow_bps=interval(quantiles(its.slopes), 1e4 * notional),
        book_bps=walked,
        root_bps=rooted,
        slope_bps_per_million=1e10 * flow.slope,
        forced_factor=factor.median,
        forced_deviation=factor.deviation,
        forced_events=factor.events,
        withdrawal=learned.withdrawals.going_on,
        surviving_ratio=1.0 / withdrawn.median,
        refill_seconds=refill.seconds if refill is not None else None,
    )


def _assumptions(its: Assessment, holdings: Holdings, terms: Terms, *, reported: bool) -> list[str]:
    """Return what was assumed where the venue's streams do not say."""
    found = ["mark_follows_fully"]
    if terms.inverse is None:
        found.append("linear_contract")
    if math.isnan(terms.index):
        found.append("impact_includes_information")
    if its.rule.kind == "full":
        found.append("whole_positions_are_closed")
    if its.known.assumed_ratio > 0.0:
        found.append("margin_of_some_positions")
    if not reported:
        found.append("open_interest_from_positions")
    if holdings.fund(its.symbol) is None:
        found.append("no_insurance_fund")
    elif its.symbol not in holdings.funds:
        found.append("fund_of_the_venue_for_this_symbol_alone")
    if terms.mark_rule is None:
        found.append("mark_rule_unknown")
    return found
