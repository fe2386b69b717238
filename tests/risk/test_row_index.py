"""An index of rows is a dict that takes less memory."""

import random

import pytest

from detectors.risk import row_index
from detectors.risk.row_index import RowIndex


@pytest.mark.parametrize("seed", range(5))
def test_it_says_what_a_dict_says(monkeypatch, seed):
    monkeypatch.setattr(row_index, "LEAST_CHANGED", 8)
    rng = random.Random(seed)
    index, expected = RowIndex(), {}
    for step in range(4_000):
        key = rng.randrange(300) << 32 | rng.randrange(4)
        assert index.get(key) == expected.get(key)
        if key in expected and rng.random() < 0.6:
            assert index.pop(key) == expected.pop(key)
        elif key not in expected:
            index.put(key, step)
            expected[key] = step
        else:
            assert index.get(key) == expected[key]
        assert len(index) == len(expected)
    assert len(index._changed) < max(8, len(index._keys))  # they were merged
    assert {key: index.get(key) for key in expected} == expected


def test_a_key_that_is_gone_has_no_row_and_may_come_back():
    index = RowIndex()
    assert index.pop(1) is None
    index.put(1, 5)
    assert (index.pop(1), index.get(1), len(index)) == (5, None, 0)
    index.put(1, 6)
    assert (index.get(1), len(index)) == (6, 1)
