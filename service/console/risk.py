"""The risk of a symbol's positions, as it was published last."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from detectors.market_data.book_summary import DEPTH_BPS
from detectors.risk.ladder import Side, against
from detectors.risk_watch.assessment import Learned
from detectors.risk_watch.monitor import RECORD_SECONDS, RiskMonitor
from detectors.risk_watch.records import (
    CASCADE_RATIO,
    Interval,
    RiskRecord,
    Run,
    Rung,
    cascade_of,
)
from service.kafka.risk_watch import RISK_KEY
from service.presentation.assumptions import describe_assumption
from service.web.view import View

State = Literal["known", "connecting", "off", "elsewhere", "reading", "unpublished", "unknown"]

_NOTES: dict[State, str] = {
    "connecting": "Not known while this process is not connected to Kafka.",
    "off": "Not watched: that needs a topic of positions, risk.enabled = true and outputs.signals.",
    "elsewhere": "Another instance watches the risk of liquidations. Open the console of the "
    "instance whose metric foreshock_risk_watched is 1.",
    "reading": "This instance is still reading the positions of the last day.",
    "unpublished": "No records of risk are computed: outputs.risk is empty.",
}

NO_POSITIONS = "No open position of this symbol is known that a move would liquidate."


class RungView(Struct, frozen=True):
    """What a move of the mark price to ``price`` liquidates, over the quoted depth up to there.

    ``depth`` is that of the side of the book that takes the forced orders, within ``move_bps`` of
    the mid price; None where no depth is stated. ``stressed_depth`` is the part of it that usually
    survives such a move within a minute.
    """

    move_bps: float
    price: float
    notional: float
    accounts: int
    largest_ratio: float
    depth: float | None
    stressed_depth: float | None


class SideView(Struct, frozen=True):
    """One side of a symbol.

    ``cascade`` is the least shock whose run forces out ``cascade_ratio`` of the open interest, None
    while the impact of flow is unknown. The other fields are those of `RiskRecord`.
    """

    side: Side
    rungs: list[RungView]
    cascade: Run | None
    cascade_probability: float | None
    reproduction: Interval | None
    coverage_ratio: float | None
    assumed_ratio: float
    positions: int


class RiskView(Struct, frozen=True):
    """The risk of a symbol's positions.

    ``note`` says in a sentence why there are no ``sides``. ``ts_ms`` is when the record was
    published, in event time. Money is in the quote currency.
    """

    state: State
    note: str = ""
    ts_ms: int | None = None
    mark_price: float | None = None
    open_interest: float | None = None
    insurance_fund: float | None = None
    evicted_positions: int = 0
    cascade_ratio: float = CASCADE_RATIO
    sides: list[SideView] = []
    assumptions: list[str] = []


def unwatched(view: View) -> tuple[State, str]:
    """Return why this process has no monitor of the risk: the state, and a sentence."""
    state: State
    if view.risk_wanted:
        state = "reading" if RISK_KEY in view.venue_alerts else "elsewhere"
    else:
        state = "off" if view.connected else "connecting"
    return state, _NOTES[state]


def risk(view: View, symbol: str) -> RiskView:
    """Return the last published risk of a symbol; nothing is computed anew."""
    monitor = view.risk
    if monitor is None:
        return RiskView(*unwatched(view))
    records = [*monitor.records.get(symbol, {}).values()]
    if not records:
        if not monitor.with_records:
            return RiskView("unpublished", _NOTES["unpublished"])
        return RiskView("unknown", _missing(monitor, symbol))
    if not any(record.positions for record in records):
        return RiskView("unknown", NO_POSITIONS)
    book = monitor.books.get(symbol)
    depths = {"long": book.bid_depth, "short": book.ask_depth} if book is not None else {}
    first, learned = records[0], monitor.learned.get(symbol)
    return RiskView(
        "known",
        ts_ms=first.ts_event // 1_000_000,
        mark_price=first.mark_price,
        open_interest=first.open_interest,
        insurance_fund=first.insurance_fund,
        evicted_positions=first.evicted_positions,
        sides=[_side(its, depths.get(its.side, ()), learned) for its in records],
        assumptions=[
            describe_assumption(its)
            for its in dict.fromkeys(each for record in records for each in record.assumptions)
        ],
    )


def nearest_cascade_bps(monitor: RiskMonitor, symbol: str) -> float | None:
    """Return the median distance of a cascade, of the nearer side; None if unknown or no move."""
    runs = map(cascade_of, monitor.records.get(symbol, {}).values())
    distances = [its.distance_bps.p50 for its in runs if its is not None]
    return min((its for its in distances if its is not None), default=None)


def _missing(monitor: RiskMonitor, symbol: str) -> str:
    """Return why there is no record of a symbol."""
    terms = monitor.holdings.terms.get(symbol)
    if terms is None:
        return NO_POSITIONS
    if terms.market is None:
        missing = "margin rates" if terms.tiers is None else "mark price"
        return f"No {missing} of this symbol known yet: without, there are no liquidation prices."
    if not monitor.assessments.get(symbol, True):
        return NO_POSITIONS
    return f"The first record comes within {RECORD_SECONDS} s of event time."


def _side(record: RiskRecord, depths: Sequence[float], learned: Learned | None) -> SideView:
    quoted = dict(zip(DEPTH_BPS, depths, strict=False))
    return SideView(
        side=record.side,
        rungs=[
            _rung(its, record, quoted.get(round(its.move_bps, 6)), learned) for its in record.rungs
        ],
        cascade=cascade_of(record),
        cascade_probability=record.cascade_probability,
        reproduction=record.reproduction,
        coverage_ratio=record.coverage_ratio,
        assumed_ratio=record.assumed_ratio,
        positions=record.positions,
    )


def _rung(its: Rung, record: RiskRecord, depth: float | None, learned: Learned | None) -> RungView:
    stressed = None
    if depth is not None and learned is not None and learned.flow.sigma_60s > 0.0:
        sigmas = its.move_bps / 1e4 / learned.flow.sigma_60s
        stressed = depth * learned.withdrawals.surviving_ratio(record.side, sigmas)
    return RungView(
        move_bps=its.move_bps,
        price=record.mark_price * (1.0 - against(record.side) * its.move_bps / 1e4),
        notional=its.notional,
        accounts=its.accounts,
        largest_ratio=its.largest_ratio,
        depth=depth,
        stressed_depth=stressed,
    )
