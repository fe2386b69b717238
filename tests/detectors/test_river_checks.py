"""Run river's checks on each detector's model; the data set is generated, not downloaded."""

import random

import pytest
from river import checks, datasets

from detectors.catalogue import CATALOGUE
from detectors.judging.robust_tails import RobustTails


class CardPayments:
    """A replacement for the data set that river would download: ordinary rows and few outliers."""

    def __init__(self):
        rng = random.Random(7)
        self.rows = []
        for i in range(1_000):
            far = i > 100 and rng.random() < 0.02
            row = {f"V{j}": rng.gauss(4.0 if far else 0.0, 1.0) for j in range(1, 9)}
            self.rows.append(({**row, "Amount": rng.expovariate(0.01)}, int(far)))

    def __iter__(self):
        return iter(self.rows)

    def take(self, n):
        return self.rows[:n]


@pytest.mark.parametrize("detector", CATALOGUE, ids=lambda d: d.name)
def test_river_checks(detector, monkeypatch):
    monkeypatch.setattr(datasets, "CreditCard", CardPayments)
    model = detector.model() if detector.model else RobustTails(detector.statistics)
    checks.check_estimator(model)
