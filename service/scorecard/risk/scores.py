"""Numbers that could each be an alarm: the run, its parts, and simple baselines."""

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct

from detectors.market_data.book_summary import DEPTH_BPS, BookSummary
from detectors.risk.forced import move_of
from detectors.risk_watch.assessment import WHALE_BPS, Learned
from detectors.risk_watch.records import CASCADE_RATIO, cascade_of
from service.scorecard.risk.forecast import State

RUN = "run: distance for 40 % of open interest"
ONE_STEP = "ladder: move that forces 40 % by itself"
REPRODUCTION = "reproduction number of 1 % of open interest"
NEAR = "notional within 1 % over open interest"
NEAR_OVER_DEPTH = "notional within 1 % over depth within 1 %"
OPEN_OVER_DEPTH = "open interest over depth within 0.5 %"
SIGMA = "sigma of a minute"
RETURN = "absolute return of a minute"
SCORES = (RUN, REPRODUCTION, ONE_STEP, NEAR, NEAR_OVER_DEPTH, OPEN_OVER_DEPTH, SIGMA, RETURN)
"""All of them, the most complete first. `NEAR` is leverage alone, `OPEN_OVER_DEPTH` depth alone,
`NEAR_OVER_DEPTH` both without a run; `ONE_STEP` is the run without feedback."""

DEPTH_50_BPS, DEPTH_1_PERCENT = DEPTH_BPS.index(50.0), DEPTH_BPS.index(100.0)


class Sample(Struct, frozen=True):
    """The scores of a symbol at one moment; a larger one is more dangerous.

    A distance counts as its negative. Scores that are not known yet are left out.
    """

    symbol: str
    ts_event: int
    scores: dict[str, float]


def sample(states: Sequence[State], learned: Learned | None, book: BookSummary | None) -> Sample:
    """Return the scores of both sides of a symbol as one: the more dangerous side counts."""
    found: dict[str, float] = {}
    for state in states:
        for name, value in _of_side(state, book):
            found[name] = max(found.get(name, -math.inf), value)
    if learned is not None and not math.isnan(learned.flow.sigma_60s):
        found[SIGMA] = learned.flow.sigma_60s
        found[RETURN] = abs(learned.flow.minute_return)
    record = states[0].record
    return Sample(record.symbol, record.ts_event, found)


def _of_side(state: State, book: BookSummary | None) -> Iterable[tuple[str, float]]:
    record, its = state.record, state.its
    (near,) = (rung.notional for rung in record.rungs if rung.move_bps == WHALE_BPS)
    if (run := cascade_of(record)) is not None:
        distance = run.distance_bps.p50
        yield RUN, -math.inf if distance is None else -distance
    if record.reproduction is not None and record.reproduction.p50 is not None:
        yield REPRODUCTION, record.reproduction.p50
    yield ONE_STEP, -1e4 * move_of(its.forced, CASCADE_RATIO * its.open_interest)
    yield NEAR, near / record.open_interest
    if book is not None:
        depth = book.bid_depth if record.side == "long" else book.ask_depth
        # An empty side has a depth of 1 in the quote currency.
        yield NEAR_OVER_DEPTH, near / max(depth[DEPTH_1_PERCENT], 1.0)
        yield OPEN_OVER_DEPTH, record.open_interest / max(depth[DEPTH_50_BPS], 1.0)
