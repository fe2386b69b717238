"""The least sufficient reduction against a search over all reductions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.reduction import Reduction, checked, sufficient_reductions
from detectors.risk.tiers import maintenance, tiers_of


@st.composite
def tables(draw):
    count = draw(st.integers(1, 4))
    rates = sorted(draw(st.lists(st.floats(0.002, 0.2), min_size=count, max_size=count)))
    widths = draw(st.lists(st.floats(10, 500), min_size=count - 1, max_size=count - 1))
    return tiers_of(rates, [0.0, *np.cumsum(widths).tolist()])


def restores(tiers, rule, size, price, equity, closed):
    left = equity - closed * price * (rule.fee_ratio + rule.slippage_ratio)
    required = maintenance(tiers, np.array([(size - closed) * price]))[0]
    return left >= rule.restored_ratio * required - 1e-9 * (1 + size * price)


@given(
    tiers=tables(),
    size=st.floats(0.1, 20),
    price=st.floats(10, 100),
    equity_ratio=st.floats(-0.1, 1.2),
    restored=st.floats(1, 2),
    fee=st.sampled_from([0.0, 0.001, 0.005, 0.05]),
    slippage=st.sampled_from([0.0, 0.002]),
)
def test_it_restores_the_position_and_nothing_less_does(
    tiers, size, price, equity_ratio, restored, fee, slippage
):
    rule = Reduction("sufficient", restored, fee, slippage)
    required = maintenance(tiers, np.array([size * price]))[0]
    equity = equity_ratio * restored * required
    closed = sufficient_reductions(
        tiers, rule, np.array([size]), np.array([price]), np.array([equity])
    )[0]
    grid = np.linspace(0, 1, 401)[:-1] * size
    enough = [c for c in grid if equity > 0 and restores(tiers, rule, size, price, equity, c)]
    if closed < size:
        assert restores(tiers, rule, size, price, equity, closed)
    # Brute force: what a search over 400 partial closings finds is no less and hardly more.
    if enough:
        assert closed <= enough[0] + 1e-6 * size
        assert closed >= enough[0] - size / 400 - 1e-6 * size
    else:
        assert closed >= size * (1 - 1 / 400)


def test_a_rule_out_of_range_is_refused_by_name():
    for changed, message in (
        ({"restored_ratio": 0.9}, r"restored_ratio is 0\.9"),
        ({"fee_ratio": 1.0}, r"fee_ratio is 1\.0"),
        ({"slippage_ratio": -0.1}, r"slippage_ratio is -0\.1"),
        ({"step_ratio": 0.0}, r"step_ratio is 0\.0"),
        ({"whole_below": float("nan")}, "whole_below is nan"),
    ):
        with pytest.raises(ValueError, match=message):
            checked(Reduction()._replace(**changed))
    assert checked(Reduction()) == Reduction()
