"""Radius, vectors, growth and draws against numpy's eigenvalues and against the definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.contagion.components import components
from detectors.risk.contagion.drawn_radius import drawn_radius, rank_stability
from detectors.risk.contagion.growth import growth
from detectors.risk.contagion.importance import dangerous_edges, importance, total_forced
from detectors.risk.contagion.path import path_of
from detectors.risk.contagion.radius import spectral_radius
from detectors.risk.contagion.triggered import Triggered


@st.composite
def matrices(draw, most=8):
    """Matrices of all kinds: dense, sparse, in blocks, circles."""
    size = draw(st.integers(1, most))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = np.exp(generator.normal(-1, 1, (size, size)))
    return values * (generator.random((size, size)) < draw(st.sampled_from([0.1, 0.2, 0.5, 1.0])))


def largest(matrix):
    return float(np.abs(np.linalg.eigvals(matrix)).max())


@given(matrices())
def test_the_radius_is_that_of_the_eigenvalues(matrix):
    found = spectral_radius(matrix)
    # Defective eigenvalues are off by the square root of a rounding and more: the truth is then 0.
    cyclic = any(len(nodes) > 1 or matrix[nodes[0], nodes[0]] > 0 for nodes in components(matrix))
    expected = largest(matrix) if cyclic else 0.0
    assert found.value == pytest.approx(expected, rel=1e-5)
    assert found.low <= found.value <= found.high


@given(matrices())
def test_the_vectors_belong_to_the_radius(matrix):
    found = spectral_radius(matrix)
    if not len(found.nodes):
        assert found.value == 0
        return
    block = matrix[np.ix_(found.nodes, found.nodes)]
    assert block @ found.right == pytest.approx(found.value * found.right, rel=1e-4)
    assert found.left @ block == pytest.approx(found.value * found.left, rel=1e-4)
    radii = sorted(largest(matrix[np.ix_(nodes, nodes)]) for nodes in components(matrix))
    if len(radii) > 1 and radii[-2] > 0.99 * radii[-1]:
        return
    worth = importance(matrix, found)
    assert matrix @ worth.infects == pytest.approx(found.value * worth.infects, rel=1e-3, abs=1e-6)
    assert worth.infected @ matrix == pytest.approx(
        found.value * worth.infected, rel=1e-3, abs=1e-6
    )


@given(matrices())
def test_components_are_the_nodes_that_reach_each_other(matrix):
    size = len(matrix)
    reach = np.linalg.matrix_power(np.eye(size) + (matrix > 0), size) > 0
    expected = {frozenset(np.flatnonzero(reach[a] & reach[:, a]).tolist()) for a in range(size)}
    found = components(matrix)
    assert {frozenset(nodes.tolist()) for nodes in found} == expected
    assert sorted(np.concatenate(found).tolist()) == list(range(size))


@given(matrices(), st.integers(0, 63))
def test_the_share_of_an_edge_is_what_the_radius_loses_with_it(matrix, place):
    found = spectral_radius(matrix)
    edges = dangerous_edges(matrix, found, most=100)
    if not edges:
        return
    assert sum(edge.share for edge in edges) == pytest.approx(1)
    shares = [edge.share for edge in edges]
    assert shares == pytest.approx(sorted(shares, reverse=True), abs=1e-6)
    edge = edges[place % len(edges)]
    if edge.share < 1e-3:
        return
    changed = matrix.copy()
    changed[edge.source, edge.target] *= 1 - 1e-4
    lost = 1 - spectral_radius(changed[np.ix_(found.nodes, found.nodes)]).value / found.value
    assert lost == pytest.approx(1e-4 * edge.share, rel=0.02, abs=2e-8)


@given(matrices(), st.floats(0.1, 0.95))
def test_the_total_is_the_sum_of_all_rounds(matrix, radius):
    found = spectral_radius(matrix)
    if not len(found.nodes):
        return
    matrix = matrix * (radius / found.value)
    seed = np.linspace(0, 1, len(matrix))
    total = total_forced(matrix, spectral_radius(matrix), seed)
    summed, round_of = np.zeros(len(matrix)), seed
    for _ in range(2000):
        summed, round_of = summed + round_of, round_of @ matrix
    assert total == pytest.approx(summed, rel=1e-6)


def test_at_a_radius_of_one_there_is_no_total():
    matrix = np.array([[1.0, 0.5], [0.0, 0.0]])
    assert np.isinf(total_forced(matrix, spectral_radius(matrix), np.ones(2))).all()


@given(matrices(), st.integers(0, 2**32 - 1))
def test_at_the_rate_of_growth_the_radius_is_one(matrix, seed):
    delays = np.random.default_rng(seed).uniform(1, 100, matrix.shape)
    found = growth(matrix, delays)
    if not len(spectral_radius(matrix).nodes):
        assert found == (-math.inf, math.inf)
        return
    discounted = spectral_radius(matrix * np.exp(-found.rate * delays)).value
    assert discounted == pytest.approx(1, rel=1e-4)
    value = spectral_radius(matrix).value
    if value > 1.001:
        assert found.doubling_seconds == pytest.approx(math.log(2) / found.rate)
        shortest = math.log(2) / math.log(value) * delays[matrix > 0].min()
        assert shortest <= found.doubling_seconds * (1 + 1e-6)
    elif value < 0.999:
        assert found.doubling_seconds == math.inf


def test_an_edge_needs_a_delay():
    with pytest.raises(ValueError, match="a delay that is not finite and above 0"):
        growth(np.array([[1.0]]), np.array([[0.0]]))
    with pytest.raises(ValueError, match="negative or not finite"):
        spectral_radius(np.array([[-1.0]]))


@given(matrices(), st.integers(0, 2**32 - 1))
def test_each_draw_has_the_radius_of_its_matrix(matrix, seed):
    size = len(matrix)
    nothing = np.zeros((size, size))
    own = matrix.diagonal().copy()
    found = Triggered(
        np.full(size, 0.01), own, matrix - np.diag(own), nothing, nothing, np.zeros(size, np.int64)
    )
    slopes = 0.01 * np.exp(np.random.default_rng(seed).normal(0, 1, (5, size)))
    slopes[4, : size // 2] = 0.0
    drawn = drawn_radius(found, slopes)
    for draw in range(4):
        exact = spectral_radius(matrix * (slopes[draw] / 0.01)[:, np.newaxis])
        assert drawn.radius[draw] == pytest.approx(exact.value, rel=1e-3)
        if len(exact.nodes):
            top = drawn.top[draw]
            # Of two nodes that are worth the same either may be the first.
            assert top in exact.nodes or exact.value == pytest.approx(drawn.radius[draw], rel=1e-3)
    assert (
        drawn.radius[4]
        <= spectral_radius(matrix * (slopes[4] / 0.01)[:, np.newaxis]).value * 1.1 + 1e-3
    )


def test_rank_stability_counts_draws():
    assert rank_stability(np.array([2, 2, 5])) == (2, pytest.approx(2 / 3))


@given(matrices(), st.integers(0, 2**32 - 1))
def test_a_path_visits_each_node_once_and_never_goes_back_in_time(matrix, seed):
    delays = np.random.default_rng(seed).uniform(1, 100, matrix.shape)
    steps = path_of(matrix, delays, 0, least_ratio=0.05)
    seconds, forced = {0: 0.0}, {0: 1.0}
    for step in steps:
        assert step.target not in seconds
        assert step.seconds == pytest.approx(
            seconds[step.source] + delays[step.source, step.target]
        )
        assert step.ratio >= 0.05
        summed = sum(value * matrix[source, step.target] for source, value in forced.items())
        assert step.ratio == pytest.approx(summed)
        seconds[step.target], forced[step.target] = step.seconds, step.ratio
