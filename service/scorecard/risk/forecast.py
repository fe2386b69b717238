"""What the positions said would happen in a cascade, just before it began."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from detectors.market_data.risk_events import Liquidation
from detectors.risk.drawn_runs import OPEN_INTEREST_SHARES, drawn_outcomes
from detectors.risk.forced import Forced, forced_of
from detectors.risk.ladder import Side
from detectors.risk.quantiles import Quantiles, quantiles
from detectors.risk.reduction import Reduction
from detectors.risk_watch.assessment import Assessment
from detectors.risk_watch.records import RiskRecord
from service.exchange.measures import Truth
from service.exchange.venue.contracts import contracts
from service.exchange.venue.desk import STEP_SHARE, WHOLE_BELOW_ORDERS
from service.replay.files import stream_path

SECOND = 1_000_000_000

BEFORE_NS = 60 * SECOND
"""The distance is read so long before the onset: what sets a cascade off takes up to a minute."""

KEPT_NS = BEFORE_NS + 30 * SECOND
"""States older than this before an onset are not needed."""

WHOLE, STEPS = "whole positions", "the venue's steps"
"""The rules by which the venue is taken to close positions: the default, and its own."""


class State(Struct, frozen=True):
    """A published record, and what it was made of."""

    record: RiskRecord
    its: Assessment


class Run(Struct, frozen=True):
    """What a run was expected to do: its fall as a ratio, and its forced notional."""

    fall: Quantiles
    notional: Quantiles


class Forecast(Struct, frozen=True):
    """A cascade, and what was said of it before.

    Attributes
    ----------
    symbol, onset_ns
        Of the cascade.
    runs
        By rule: the run over the largest published share of the open interest that any shock sets
        off, in the last record before the onset. Empty without such a run.
    fall, notional
        What happened: the fall from the mark price of that record to the lowest, and what was
        liquidated.
    distances
        The distance for 2 and 40 % of the open interest as ratios, in the last record a minute
        before the onset; infinite if no move does it.
    moved
        The move of the mark price from that record to the onset.
    """

    symbol: str
    onset_ns: int
    runs: dict[str, Run]
    fall: float
    notional: float
    distances: dict[float, Quantiles]
    moved: float


def forecast(
    cascade: Truth, states: dict[Side, list[State]], liquidations: Sequence[Liquidation]
) -> Forecast | None:
    """Return what was said before a cascade; None if nothing was.

    ``states`` are those before the onset, in order; ``liquidations`` those of the symbol.
    """
    marks = [
        its.mark_price
        for its in liquidations
        if its.mark_price is not None and cascade.starts_at <= its.ts_event <= cascade.ends_at
    ]
    if not marks or cascade.peak_drawdown_ratio is None:
        return None
    onset, side = marks[0], _side(marks)
    its = states.get(side, [])
    before = [state for state in its if state.record.ts_event <= cascade.starts_at - BEFORE_NS]
    if not its or not before:
        return None
    last, earlier = its[-1], before[-1].record
    sign = 1.0 if side == "long" else -1.0
    worst = onset * (1.0 - sign * cascade.peak_drawdown_ratio)
    return Forecast(
        symbol=cascade.symbol,
        onset_ns=cascade.starts_at,
        runs=_runs(last.its),
        fall=sign * (1.0 - worst / last.record.mark_price),
        notional=cascade.liquidated_notional or 0.0,
        distances={
            run.open_interest_ratio: _ratios(
                run.distance_bps.p10, run.distance_bps.p50, run.distance_bps.p90
            )
            for run in earlier.runs
            if run.open_interest_ratio in (OPEN_INTEREST_SHARES[0], OPEN_INTEREST_SHARES[-1])
        },
        moved=sign * (1.0 - onset / earlier.mark_price),
    )


def liquidations_of(directory: Path) -> dict[str, list[Liquidation]]:
    """Read the liquidations of a simulated market, by symbol, in the order of event time."""
    path = stream_path(directory, "liquidations")
    found: dict[str, list[Liquidation]] = {}
    if path is not None:
        for its in msgspec.json.Decoder(Liquidation).decode_lines(path.read_bytes()):
            found.setdefault(its.symbol, []).append(its)
    return found


def venue_rule(symbol: str) -> Reduction:
    """Return how the simulated venue closes a position: small ones whole, others in steps.

    >>> venue_rule("BTC-PERP").step_ratio
    0.2
    """
    (contract,) = contracts([symbol])
    return Reduction(
        "steps",
        step_ratio=STEP_SHARE,
        whole_below=WHOLE_BELOW_ORDERS * contract.median_notional,
    )


def _side(marks: Sequence[float]) -> Side:
    """Return which side was liquidated: the price moves against it."""
    return "long" if marks[0] - min(marks) >= max(marks) - marks[0] else "short"


def _ratios(*bps: float | None) -> Quantiles:
    return Quantiles(*(np.inf if each is None else each / 1e4 for each in bps))


def _runs(its: Assessment) -> dict[str, Run]:
    """Return the run by each rule; it is left out where no shock sets one off."""
    steps = venue_rule(its.symbol)
    found = {WHOLE: _run(its, its.rule, its.forced)}
    found[STEPS] = _run(its, steps, forced_of(its.ladder, steps))
    return {rule: run for rule, run in found.items() if run is not None}


def _run(its: Assessment, rule: Reduction, forced: Forced) -> Run | None:
    for share in reversed(OPEN_INTEREST_SHARES):
        outcomes = drawn_outcomes(
            its.ladder, rule, forced, its.slopes, share * its.open_interest, 0.0
        )
        if outcomes:
            return Run(
                quantiles(np.array([each.end for each in outcomes])),
                quantiles(np.array([each.notional for each in outcomes])),
            )
    return None
