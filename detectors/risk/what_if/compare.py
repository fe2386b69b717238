"""A scenario before and after: the same shock under the venue's present rules and under others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.risk.closing import Allocation
from detectors.risk.impact import Impact
from detectors.risk.margin_units import MarginUnits, margin_units
from detectors.risk.marks import MarkRule, passed_through
from detectors.risk.positions import Positions
from detectors.risk.reduction import Reduction
from detectors.risk.venue_margins import Market
from detectors.risk.what_if.chain import Chain, Rules, chain
from detectors.risk.what_if.scenario import (
    Scenario,
    checked,
    of_symbol,
    scaled_impact,
    scaled_tiers,
)

_WHOLE = Reduction()


class VenueState(NamedTuple):
    """A venue at one moment; the sequences have an entry for each symbol number.

    Attributes
    ----------
    positions, markets
        All positions, and what is known of their symbols.
    impacts
        Of a forced sale, and of a forced purchase.
    mark_rules
        How each mark price follows; None if unknown.
    reduction, allocation
        How the venue liquidates.
    impact_seconds
        How long a forced sale presses on the price: the time that the impact was measured over.
    """

    positions: Positions
    markets: Sequence[Market]
    impacts: Sequence[tuple[Impact, Impact]]
    mark_rules: Sequence[MarkRule | None]
    reduction: Reduction = _WHOLE
    allocation: Allocation = "pro_rata"
    impact_seconds: float = 10.0


class WhatIf(NamedTuple):
    """What a scenario does.

    Attributes
    ----------
    before
        What its shocks do under the venue's present rules.
    after
        What they do with the scenario's changes.
    units, assumed_units, assumed_isolated_units
        The number of margin units, how many of them have a collateral that is not the venue's own
        figure, and how many are cross positions that are taken as isolated.
    """

    before: Chain
    after: Chain
    units: int
    assumed_units: int
    assumed_isolated_units: int


def what_if(state: VenueState, scenario: Scenario) -> WhatIf:
    """Return what a scenario does.

    The mark price shows the impact of liquidations at once, as for the distance of a cascade,
    unless the scenario has a mark window. Before and after then both go through their mark rules:
    the mark price shows what passes through within ``impact_seconds``.

    Parameters
    ----------
    state
        The venue.
    scenario
        What happens.

    Raises
    ------
    ValueError
        If the scenario names a symbol that is not there, or a number is out of range.

    Examples
    --------
    One long of 1 at 100 with a margin of 5. A fall of 3 % leaves 2, of which 1.94 are needed at 2 %
    and 2.91 at 3 %:

    >>> from detectors.risk.contract import Contract
    >>> from detectors.risk.flow_impact import flow_impact
    >>> from detectors.risk.tiers import tiers_of
    >>> positions = Positions()
    >>> positions.put("a", "X", quantity=1.0, entry_price=100.0, margin=5.0)
    >>> impact = flow_impact(1e-5)
    >>> state = VenueState(
    ...     positions, [Market(Contract(tiers_of([0.02])), 100.0, 0.05)], [(impact, impact)], [None]
    ... )
    >>> found = what_if(state, Scenario(shocks={"X": -0.03}, maintenance={"X": 1.5}))
    >>> found.before.forced.tolist(), found.after.forced.tolist()
    ([], [[100.0, 0.0]])
    """
    symbols = [state.positions.symbols.name(number) for number in range(len(state.markets))]
    checked(scenario, symbols)
    units = margin_units(state.positions, state.markets)
    lagged = scenario.mark_window_seconds is not None
    after = _chain(state, units, scenario, symbols, lagged=lagged)
    before = after
    if scenario.changes_rules:
        before = _chain(state, units, scenario.shock_alone, symbols, lagged=lagged)
    return WhatIf(
        before,
        after,
        len(units.account),
        int(np.count_nonzero(units.assumed)),
        int(np.count_nonzero(units.assumed_isolated)),
    )


class Changed(NamedTuple):
    """A venue under the rules of a scenario; the fields are those of `VenueState` and `chain`."""

    markets: list[Market]
    impacts: list[tuple[Impact, Impact]]
    rules: Rules


def changed(
    state: VenueState, scenario: Scenario, symbols: Sequence[str], *, lagged: bool
) -> Changed:
    """Return a venue under the rules of a scenario.

    Parameters
    ----------
    state, scenario
        The venue, and what is different.
    symbols
        The names of the symbol numbers.
    lagged
        Whether impact goes through the mark rules.

    Raises
    ------
    ValueError
        If a maintenance rate would not stay below 1; the message names the symbol.
    """
    reduction = state.reduction
    if scenario.step_ratio is not None:
        reduction = reduction._replace(kind="steps", step_ratio=scenario.step_ratio)
    window = scenario.mark_window_seconds
    passed = np.array([
        passed_through(_windowed(rule, window), state.impact_seconds) if lagged else 1.0
        for rule in state.mark_rules
    ])  # fmt: skip
    return Changed(
        [
            _under(market, symbol, of_symbol(scenario.maintenance, symbol, 1.0))
            for market, symbol in zip(state.markets, symbols, strict=True)
        ],
        [
            (scaled_impact(sale, depth), scaled_impact(purchase, depth))
            for (sale, purchase), depth in zip(
                state.impacts,
                (of_symbol(scenario.depth, symbol, 1.0) for symbol in symbols),
                strict=True,
            )
        ],
        Rules(
            reduction,
            state.allocation,
            passed,
            np.array([symbol in scenario.halted for symbol in symbols], np.bool_),
        ),
    )


def _chain(
    state: VenueState, units: MarginUnits, scenario: Scenario, symbols: list[str], *, lagged: bool
) -> Chain:
    its = changed(state, scenario, symbols, lagged=lagged)
    shocks = np.array([of_symbol(scenario.shocks, symbol, 0.0) for symbol in symbols])
    return chain(units, its.markets, its.impacts, shocks, its.rules)


def _under(market: Market, symbol: str, factor: float) -> Market:
    """Return a market with its maintenance rates multiplied."""
    if factor == 1.0:
        return market
    try:
        tiers = scaled_tiers(market.contract.tiers, factor)
    except ValueError as error:
        raise ValueError(f"the maintenance of {symbol} times {factor:g}: {error}") from error
    return market._replace(contract=market.contract._replace(tiers=tiers))


def _windowed(rule: MarkRule | None, window_seconds: float | None) -> MarkRule:
    """Return the rule with another window; the common perpetual's if it is unknown."""
    if window_seconds is None:
        return rule or MarkRule("last")
    kind = rule.kind if rule is not None and rule.kind != "last" else "ema_premium"
    return MarkRule(kind, window_seconds)
