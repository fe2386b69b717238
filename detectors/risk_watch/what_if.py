"""What a scenario would do to the venue as it stands: the answer that is shown."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from detectors.risk.contagion.radius import spectral_radius
from detectors.risk.contagion.triggered import reproduction_matrix, triggered
from detectors.risk.flow_impact import flow_impact
from detectors.risk.impact import Impact
from detectors.risk.ladder import Side
from detectors.risk.margin_units import margin_units, marked
from detectors.risk.quantiles import quantiles
from detectors.risk.what_if.chain import Chain
from detectors.risk.what_if.compare import VenueState, WhatIf, changed, what_if
from detectors.risk.what_if.scenario import Scenario
from detectors.risk_watch.assessment import NEAR_RATIO, ImpactBelief, Learned
from detectors.risk_watch.flow_history import SPAN_SECONDS
from detectors.risk_watch.holdings import WHOLE_VENUE, Holdings
from detectors.risk_watch.records import RULE_VERSION, Interval, interval
from detectors.table import Floats

SIDES: tuple[Side, Side] = ("long", "short")

LEAST_COVERAGE = 0.9
"""With less of a symbol's open interest known no reproduction number is shown."""

QUANTILES = (0.1, 0.5, 0.9)
"""A scenario is computed with these quantiles of the impact of a forced sale, of all symbols at
once: stress takes depth from all of them together."""


class SideOutcome(Struct, frozen=True):
    """What happens to one side of a symbol.

    ``generations`` is the notional closed in each generation with the median impact. Losses are
    beyond collateral. Notional is at the mark price before the shock.
    """

    symbol: str
    side: Side
    forced: Interval
    generations: list[float]
    accounts: Interval
    loss: Interval


class ScenarioOutcome(Struct, frozen=True):
    """What happens to the venue; money in the quote currency.

    Attributes
    ----------
    forced, generations, accounts, loss
        Of all symbols, as for `SideOutcome`. An account counts once, an isolated position as an
        account of its own.
    beyond_fund
        The loss that no insurance fund holds; null if no fund is known.
    below_at_once
        Accounts that are below maintenance before any price moves.
    prices
        The mark price of each symbol at the end.
    sides
        The sides of which something is closed.
    settled
        Whether the chain has ended within the generations that are computed.
    radius
        Notional newly forced per unit that is liquidated in the long run, before the shocks, over
        moves of 0.85 %; null where less than 90 % of a symbol's open interest is known.
    """

    forced: Interval
    generations: list[float]
    accounts: Interval
    loss: Interval
    beyond_fund: Interval | None
    below_at_once: int
    prices: dict[str, Interval]
    sides: list[SideOutcome]
    settled: bool
    radius: Interval | None


class WhatIfAnswer(Struct, frozen=True, kw_only=True):
    """What a scenario would do.

    Attributes
    ----------
    ts_event
        The moment of the positions and prices, in nanoseconds of event time.
    before
        What the shocks would do under the venue's present rules.
    after
        What they would do with the scenario's changes; the same as ``before`` without any.
    marks, coverage_ratio
        Of each symbol: the mark price, and known longs over open interest; null while that is
        unknown.
    insurance_fund
        What all funds hold; null if none is known.
    assumptions
        What was assumed where the venue's streams do not say.
    """

    ts_event: int
    shocks: dict[str, float]
    halted: list[str]
    maintenance: dict[str, float]
    depth: dict[str, float]
    step_ratio: float | None
    mark_window_seconds: float | None
    before: ScenarioOutcome
    after: ScenarioOutcome
    marks: dict[str, float]
    coverage_ratio: dict[str, float | None]
    insurance_fund: float | None
    assumptions: list[str]
    rule_version: str = RULE_VERSION


class Standing(NamedTuple):
    """A venue as it stands at one moment.

    Attributes
    ----------
    ts_event
        The moment, in nanoseconds of event time.
    holdings
        Positions, accounts and terms.
    impacts
        What is known of the impact of forced sales and purchases, by symbol.
    """

    ts_event: int
    holdings: Holdings
    impacts: Mapping[str, tuple[ImpactBelief, ImpactBelief]]


def standing(holdings: Holdings, learned: Mapping[str, Learned], ts_event: int) -> Standing:
    """Return a copy of a venue, which does not change while the venue goes on.

    Parameters
    ----------
    holdings, learned
        Of a `RiskMonitor`.
    ts_event
        The moment that they are of.
    """
    impacts = {symbol: (its.impact("long"), its.impact("short")) for symbol, its in learned.items()}
    return Standing(ts_event, holdings.copy(), impacts)


def answer(venue: Standing, scenario: Scenario) -> WhatIfAnswer:
    """Return what a scenario would do.

    Symbols without a mark price or margins stand still: nothing is closed there.

    Parameters
    ----------
    venue
        The venue, see `standing`.
    scenario
        What happens.

    Raises
    ------
    ValueError
        If the scenario names a symbol of which nothing, or not enough, is known, or a number is out
        of range.
    """
    holdings = venue.holdings
    numbers = range(len(holdings.positions.symbols))
    symbols = [holdings.positions.symbols.name(number) for number in numbers]
    unknown = [symbol for symbol in symbols if holdings.of(symbol).market is None]
    named = {*scenario.shocks, *scenario.maintenance, *scenario.depth, *scenario.halted}
    for symbol in unknown:
        if symbol in named:
            raise ValueError(f"no mark price or no margins of {symbol} are known at that time")
    computed = scenario._replace(halted=scenario.halted | frozenset(unknown))
    slopes = [_slopes(venue.impacts.get(symbol)) for symbol in symbols]
    states = [
        _state(holdings, symbols, [by_side[place] for by_side in slopes])
        for place in range(len(QUANTILES))
    ]
    found = [what_if(state, computed) for state in states]
    marks = {symbol: holdings.of(symbol).mark for symbol in symbols if symbol not in unknown}
    coverage = {symbol: _coverage(holdings, symbol) for symbol in symbols}
    radii: list[Interval | None] = [None, None]
    if all(ratio is not None and ratio >= LEAST_COVERAGE for ratio in coverage.values()):
        lagged = scenario.mark_window_seconds is not None
        present = Scenario(halted=frozenset(unknown))
        radii = [_radii(states, each, symbols, lagged=lagged) for each in (present, computed)]
    after = _outcome(holdings, symbols, [each.after for each in found], unknown, radii[1])
    before = after
    if scenario.changes_rules:
        before = _outcome(holdings, symbols, [each.before for each in found], unknown, radii[0])
    without = [s for s, by_side in zip(symbols, slopes, strict=True) if not by_side.any()]
    return WhatIfAnswer(
        ts_event=venue.ts_event,
        shocks=dict(scenario.shocks),
        halted=sorted(scenario.halted),
        maintenance=dict(scenario.maintenance),
        depth=dict(scenario.depth),
        step_ratio=scenario.step_ratio,
        mark_window_seconds=scenario.mark_window_seconds,
        before=before,
        after=after,
        marks=marks,
        coverage_ratio=coverage,
        insurance_fund=holdings.all_funds(),
        assumptions=_assumptions(holdings, scenario, found[0], unknown, without),
    )


def _slopes(impacts: tuple[ImpactBelief, ImpactBelief] | None) -> Floats:
    """Return the move per unit of notional, a row a quantile and a column a side; 0 if unknown."""
    found = np.zeros((len(QUANTILES), len(SIDES)))
    for column, its in enumerate(impacts or ()):
        slopes = its.forced_slopes()
        if len(slopes):
            found[:, column] = quantiles(slopes)
    return found


def _state(holdings: Holdings, symbols: Sequence[str], slopes: Sequence[Floats]) -> VenueState:
    impacts: list[tuple[Impact, Impact]] = []
    for sale, purchase in slopes:
        impacts.append((flow_impact(float(sale)), flow_impact(float(purchase))))
    return VenueState(
        holdings.positions,
        holdings.markets(),
        impacts,
        [holdings.of(symbol).mark_rule for symbol in symbols],
        holdings.rule,
        impact_seconds=SPAN_SECONDS,
    )


def _radii(
    states: Sequence[VenueState], scenario: Scenario, symbols: Sequence[str], *, lagged: bool
) -> Interval:
    """Return the spectral radius of the reproduction matrix under the rules of a scenario."""
    radii = []
    trades = np.repeat([symbol not in scenario.halted for symbol in symbols], 2)
    for state in states:
        its = changed(state, scenario, symbols, lagged=lagged)
        units = margin_units(state.positions, its.markets)
        at = marked(units, its.markets, np.array([market.mark for market in its.markets]))
        moves = np.full(len(symbols), NEAR_RATIO)
        found = triggered(units, at, moves, None, its.rules.reduction, its.rules.allocation)
        slopes = np.array([each.beyond for both in its.impacts for each in both])
        slopes *= np.repeat(its.rules.passed_ratio, 2) * trades
        radii.append(spectral_radius(reproduction_matrix(found, slopes) * trades).value)
    return _interval(radii)


def _outcome(
    holdings: Holdings,
    symbols: Sequence[str],
    chains: Sequence[Chain],
    unknown: Sequence[str],
    radius: Interval | None,
) -> ScenarioOutcome:
    middle = chains[len(chains) // 2]
    forced = [each.forced.sum(axis=0) for each in chains]
    sides = []
    for number, symbol in enumerate(symbols):
        for column, side in enumerate(SIDES):
            node = 2 * number + column
            if any(each[node] > 0.0 for each in forced):
                sides.append(
                    SideOutcome(
                        symbol,
                        side,
                        _interval([each[node] for each in forced]),
                        middle.forced[:, node].tolist(),
                        _interval([each.accounts[node] for each in chains]),
                        _interval([each.shortfall[node] for each in chains]),
                    )
                )
    beyond = None
    if holdings.funds:
        beyond = _interval([_beyond(holdings, symbols, each.shortfall) for each in chains])
    return ScenarioOutcome(
        forced=_interval([each.sum() for each in forced]),
        generations=middle.forced.sum(axis=1).tolist(),
        accounts=_interval([each.liquidated for each in chains]),
        loss=_interval([each.shortfall.sum() for each in chains]),
        beyond_fund=beyond,
        below_at_once=middle.below_at_once,
        prices={
            symbol: _interval([each.price_ratio[number] * holdings.of(symbol).mark
                               for each in chains])
            for number, symbol in enumerate(symbols) if symbol not in unknown
        },
        sides=sides,
        settled=all(each.settled for each in chains),
        radius=radius,
    )  # fmt: skip


def _interval(values: Sequence[float]) -> Interval:
    return interval(quantiles(np.array(values, dtype=np.float64)))


def _beyond(holdings: Holdings, symbols: Sequence[str], loss: Floats) -> float:
    """Return what a symbol's own fund, and then the venue's, do not hold."""
    rest = 0.0
    for number, symbol in enumerate(symbols):
        lost = float(loss[2 * number] + loss[2 * number + 1])
        rest += max(lost - holdings.funds.get(symbol, 0.0), 0.0)
    return max(rest - holdings.funds.get(WHOLE_VENUE, 0.0), 0.0)


def _coverage(holdings: Holdings, symbol: str) -> float | None:
    interest = holdings.of(symbol).open_interest
    if not (math.isfinite(interest) and interest > 0.0):
        return None
    quantity = holdings.positions.quantity[holdings.positions.rows_of(symbol)]
    return float(quantity[quantity > 0.0].sum()) / interest


def _assumptions(
    holdings: Holdings,
    scenario: Scenario,
    found: WhatIf,
    unknown: Sequence[str],
    without: Sequence[str],
) -> list[str]:
    """Return what was assumed where the venue's streams do not say."""
    told = ["impacts_of_all_symbols_are_high_together", "price_stays_moved"]
    if any(its.inverse is None for its in holdings.terms.values()):
        told.append("linear_contract")
    kind = "steps" if scenario.step_ratio is not None else holdings.rule.kind
    if kind == "full":
        told.append("whole_positions_are_closed")
    if found.units < len(holdings.positions):
        told.append("accounts_are_closed_pro_rata")
    if scenario.mark_window_seconds is None:
        told.append("mark_follows_fully")
    elif any(holdings.of(symbol).mark_rule is None for symbol in holdings.terms):
        told.append("mark_rule_unknown")
    if found.assumed_units:
        told.append("margin_of_some_positions")
    if found.assumed_isolated_units:
        told.append("assumed_isolated")
    if holdings.evicted_positions:
        told.append("smallest_positions_left_out")
    if not holdings.funds:
        told.append("no_insurance_fund")
    told += [f"nothing_moves_in:{symbol}" for symbol in unknown]
    told += [f"no_impact_known_of:{symbol}" for symbol in without if symbol not in unknown]
    return told
