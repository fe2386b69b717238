"""How liquidations would spread over a venue, at one moment."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from detectors.risk.contagion.drawn_radius import DrawnRadius, drawn_radius, rank_stability
from detectors.risk.contagion.growth import growth
from detectors.risk.contagion.importance import Edge, dangerous_edges, importance
from detectors.risk.contagion.lead_lag import edge_delays
from detectors.risk.contagion.path import Step, path_of
from detectors.risk.contagion.radius import Radius, spectral_radius
from detectors.risk.contagion.triggered import Triggered, reproduction_matrix, triggered
from detectors.risk.ladder import Side
from detectors.risk.margin_units import margin_units, marked
from detectors.risk.marks import MarkRule
from detectors.risk.quantiles import Quantiles, probability, quantiles
from detectors.risk_watch.assessment import NEAR_RATIO, REPRESENTATIVES, Learned
from detectors.risk_watch.co_movement import CoMovement
from detectors.risk_watch.holdings import Holdings
from detectors.table import Floats

SIDES: tuple[Side, Side] = ("long", "short")

REACHES = (NEAR_RATIO, 0.02, 0.04, 0.08)
"""How far a run is followed, as ratios: what it forces in other symbols may be further away than
what sets it off."""

MOST_FOLLOWED = 1_000_000
"""The largest number of margin units times symbols for which co-movement is followed further than
the first of `REACHES`: nearly every unit is triggered by nearly every symbol there."""

LIKELY = 0.8
"""A run that is this likely to keep going is followed further."""

PULSE_SECONDS = 1.0
"""The venue's interval between two margin checks, where nothing says it."""

SLICE_SECONDS = 1.0
"""The pause between two slices of a liquidation, where nothing says it."""

LEAST_STEP_RATIO = 0.05
"""A path ends where less than this share of the seed is forced."""


class Spread(NamedTuple):
    """How liquidations would spread.

    A unit of notional that is liquidated in a node forces so much in each other node, on average
    over a move h against it: K_ab = I'_a / h times what the move forces in b. A small h would make
    every large position next to the mark price a run of its own. A run from a shock x0 gets as far
    as h if I N(h) >= h - x0, so a radius of 1 at h says that it gets there. The state is that of
    the furthest of `REACHES` up to which this is likely.

    Attributes
    ----------
    reach
        The move h, as a ratio.
    symbols
        The names; node 2 s is the longs of symbol s, node 2 s + 1 its shorts.
    found, matrix
        What the moves force, by channel, and the reproduction matrix with the median impact.
    probability
        The share of drawn impacts with a radius of at least 1.
    radius
        The spectral radius: its 10, 50 and 90 % quantiles.
    seed, stability
        The most important node with the median impact, and the share of draws in which the same is
        the most important one.
    infects, infected
        Importance and vulnerability of each node, see `importance`.
    elsewhere_ratio
        The share of what is forced in the long run that is not in the seed's own symbol.
    edges
        The edges that the radius depends on most.
    path
        The way from the seed.
    doubling_seconds
        The time to act; infinite if it does not grow.
    assumed_isolated
        Whether cross positions of unknown collateral are taken as isolated.
    """

    reach: float
    symbols: list[str]
    found: Triggered
    matrix: Floats
    probability: float
    radius: Quantiles
    seed: int
    stability: float
    infects: Floats
    infected: Floats
    elsewhere_ratio: float
    edges: list[Edge]
    path: list[Step]
    doubling_seconds: float
    assumed_isolated: bool

    def name(self, node: int) -> str:
        """Return the symbol and side of a node, as in a sentence."""
        return f"{self.symbols[node // 2]} {SIDES[node % 2]}s"

    def channel(self, source: int, target: int) -> str:
        """Return the channel through which most of an edge goes."""
        if source == target:
            return "its own price"
        parts = {
            "shared accounts": self.found.shared[source, target],
            "co-movement": self.found.co_movement[source, target],
            "shared accounts that co-move": self.found.both[source, target],
        }
        return max(parts, key=lambda name: float(parts[name]))


def spread_of(
    holdings: Holdings, learned: Mapping[str, Learned], together: CoMovement
) -> Spread | None:
    """Return how liquidations would spread; None if nothing keeps itself going.

    The impacts of all symbols are drawn high together: stress takes depth from all of them.
    """
    numbers = range(len(holdings.positions.symbols))
    symbols = [holdings.positions.symbols.name(number) for number in numbers]
    slopes = _slopes(holdings, learned, symbols)
    if not slopes.any():
        return None
    markets = holdings.markets()
    units = margin_units(holdings.positions, markets)
    at = marked(units, markets, np.array([market.mark for market in markets]))
    betas = together.betas(symbols)
    state = None
    for reach in REACHES:
        moves = np.full(len(symbols), reach)
        many = len(units.account) * len(symbols) > MOST_FOLLOWED
        follow = None if state is not None and many else betas
        found = triggered(units, at, moves, follow, holdings.rule)
        further = _State.of(reach, found, slopes)
        if state is not None and further.probability < LIKELY:
            break
        state = further
        if state.probability < LIKELY:
            break
    if state is None or not len(state.spectrum.nodes):
        return None
    isolated = bool(units.assumed_isolated.any())
    del units, at  # as long as all positions, and the matrices need room
    return _described(state, holdings, together, symbols, assumed_isolated=isolated)


class _State(NamedTuple):
    """What a reach gives, before it is described."""

    reach: float
    found: Triggered
    matrix: Floats
    spectrum: Radius
    drawn: DrawnRadius
    probability: float

    @staticmethod
    def of(reach: float, found: Triggered, slopes: Floats) -> "_State":
        matrix = reproduction_matrix(found, slopes[len(slopes) // 2])
        drawn = drawn_radius(found, slopes)
        likely = probability(drawn.radius, at_least=1.0)
        return _State(reach, found, matrix, spectral_radius(matrix), drawn, likely)


def _described(
    state: _State,
    holdings: Holdings,
    together: CoMovement,
    symbols: list[str],
    *,
    assumed_isolated: bool,
) -> Spread:
    matrix, spectrum = state.matrix, state.spectrum
    infects, infected = importance(matrix, spectrum)
    seed = int(spectrum.nodes[np.argmax(spectrum.right)])
    edges = dangerous_edges(matrix, spectrum)
    path = path_of(matrix, np.ones_like(matrix), seed, least_ratio=LEAST_STEP_RATIO)
    ways = {(edge.source, edge.target) for edge in edges}
    ways |= {(step.source, step.target) for step in path}
    delays = _delays(holdings, together, symbols, sorted(ways))
    most, stable = rank_stability(state.drawn.top)
    own = infected.reshape(-1, 2).sum(axis=1)[seed // 2]
    return Spread(
        state.reach,
        symbols,
        state.found,
        matrix,
        state.probability,
        quantiles(state.drawn.radius),
        seed,
        stable if most == seed else float(np.mean(state.drawn.top == seed)),
        infects,
        infected,
        float(1.0 - own),
        edges,
        path_of(matrix, delays, seed, least_ratio=LEAST_STEP_RATIO),
        growth(matrix, delays).doubling_seconds,
        assumed_isolated,
    )


def _slopes(holdings: Holdings, learned: Mapping[str, Learned], symbols: Sequence[str]) -> Floats:
    """Return the drawn move per unit of notional forced in each node; 0 where it is unknown."""
    slopes = np.zeros((REPRESENTATIVES, 2 * len(symbols)))
    for number, symbol in enumerate(symbols):
        its = learned.get(symbol)
        if its is None or holdings.of(symbol).market is None:
            continue
        for column, side in enumerate(SIDES):
            drawn = its.impact_slopes(side)
            if len(drawn):
                slopes[:, 2 * number + column] = drawn
    return slopes


def _delays(
    holdings: Holdings,
    together: CoMovement,
    symbols: Sequence[str],
    ways: Sequence[tuple[int, int]],
) -> Floats:
    """Return the delay of each edge in seconds; the lag between symbols only of the given ways."""
    lags = np.zeros((len(symbols), len(symbols)))
    for source, target in sorted({(a // 2, b // 2) for a, b in ways if a // 2 != b // 2}):
        lags[source, target] = together.lag(symbols[source], symbols[target]).lag_seconds
    marks = np.array([mark_lag_seconds(holdings.of(symbol).mark_rule) for symbol in symbols])
    return edge_delays(lags, marks, PULSE_SECONDS, SLICE_SECONDS)


def mark_lag_seconds(rule: MarkRule | None) -> float:
    """Return the time until a mark price shows half of a move; 0 if its rule is unknown.

    >>> mark_lag_seconds(MarkRule("sma", 30.0))
    15.0
    >>> round(mark_lag_seconds(MarkRule("ema_price", 30.0)), 1)
    20.8
    """
    if rule is None or rule.kind == "last":
        return 0.0
    return 0.5 * rule.seconds if rule.kind == "sma" else math.log(2.0) * rule.seconds
