"""The audit says what preceded the recorded changes of margins, by the arithmetic of the watch."""

import math
import random

import pytest

from detectors.audit.changes import cooling
from detectors.audit.claims import Book
from detectors.market_data.events import Margin, Order, Reference
from tests.audit.made import SECOND, evidence

START = 1_700_000_040 * SECOND  # a full minute
MINUTE = 60 * SECOND


def day(follows):
    """Three rises and falls, at the ends of hours of high and low volatility, or anywhere."""
    draws, events, mid, rate = random.Random(2), [], 100.0, 0.01
    for minute in range(90 + 3 * 210):
        at = START + minute * MINUTE
        cycle = (minute - 90) % 210 if minute >= 90 else 210
        mid *= math.exp(draws.gauss(0.0, 5e-3 if cycle < 60 else 1e-3))
        events += [
            Order(ts_event=at, symbol="X", order_id=side, side=side, price=price, quantity=9.0)
            for side, price in (("buy", mid * 0.9999), ("sell", mid * 1.0001))
        ]
        events.append(
            Reference(ts_event=at + SECOND, symbol="X", mark_price=mid, open_interest=1e3)
        )
        if minute == 0 or cycle in ((60, 209) if follows else (100, 150)):
            rate *= 1.5 if cycle in (60, 100) else 1.0 / 1.5
            events.append(
                Margin(ts_event=at + 2 * SECOND, symbol="X", maintenance_margin_rate=rate)
            )
    return evidence(events, Book())


def test_margins_that_follow_the_volatility_of_the_record_are_told():
    facts = cooling(day(follows=True)).facts
    assert facts["preceded by"] == "volatility (X, 6 changes)"
    assert facts["correlation with the volatility of the hour"] > 0.9
    assert facts["loop gain"] == pytest.approx(0.0)  # nobody was liquidated


def test_margins_that_follow_nothing_are_unexplained():
    facts = cooling(day(follows=False)).facts
    assert facts["preceded by"].startswith("unexplained")


def test_a_record_of_minutes_says_nothing_of_it():
    margins = [
        Margin(ts_event=START + n * SECOND, symbol="X", maintenance_margin_rate=0.01 * (1 + n))
        for n in range(3)
    ]
    assert "preceded by" not in cooling(evidence(margins, Book())).facts
