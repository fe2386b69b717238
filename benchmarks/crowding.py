"""Whether crowding warns of liquidations: each of its features alone against the joint score.

``python benchmarks/crowding.py --seeds 8`` simulates markets of an hour and a half, in one process
without Kafka. A minute counts as positive if at least 2 % of the open interest is liquidated within
the ten minutes after it. It prints the area under the ROC curve of each feature, with the 5 and
95 % quantiles over draws of whole markets: of all minutes, and of those before anything is
liquidated.
"""

import argparse
import bisect
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from detectors.conduct.crowding import FEATURES, MINUTE_NS, Crowding, Reading
from detectors.conduct.detector import Scene
from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Reference, Trade
from detectors.risk.reduction import Reduction
from detectors.risk_watch.holdings import Holdings
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import simulate

SCENARIOS = ("cascade", "leverage_buildup", "volatility_regime", "big_trade", "surge", "calm")
SECONDS = 5_400.0
START_SECONDS = 3_000.0
AHEAD = 10
"""Minutes."""

LIQUIDATED_RATIO = 0.02
QUIET_RATIO = 0.001
DRAWS = 200


class Minute(NamedTuple):
    """A minute of a market: its features, and what was liquidated before and after it."""

    market: tuple[str, int]
    features: dict[str, float]
    before_ratio: float
    after_ratio: float

    @property
    def is_positive(self) -> bool:
        """Whether liquidations follow."""
        return self.after_ratio >= LIQUIDATED_RATIO


def minutes(name: str, seed: int) -> Iterator[Minute]:
    """Yield the minutes of a market of one symbol."""
    start = {} if name == "calm" else {"start_seconds": START_SECONDS}
    crowding, scene = Crowding(), Scene(Holdings(1_000, Reduction()), {}, {})
    rows: list[tuple[Reading | None, float, float]] = []
    closed, liquidated, interest = 0, 0.0, 0.0
    for event in simulate(
        scenario(name, **start), seed=seed, symbols=1, duration_ns=int(SECONDS * 1e9)
    ):
        if not isinstance(event, Reference | Trade):
            continue
        minute = event.ts_event // MINUTE_NS * MINUTE_NS
        if closed and minute > closed:
            crowding.judge(minute, scene)
            rows.append((crowding.readings.get(event.symbol), liquidated, interest))
            liquidated = 0.0
        closed = minute
        if isinstance(event, Reference):
            crowding.take(event, scene)
            interest = (event.open_interest or 0.0) * (event.mark_price or 0.0)
        else:
            notional = event.price * event.quantity
            nothing = (0.0,) * 4
            summary = BookSummary(event.price, 1.0, nothing, nothing, bought=notional)
            crowding.summarise(event.symbol, event.ts_event, summary)
            liquidated += notional if event.liquidation else 0.0
    for place, (reading, _, open_interest) in enumerate(rows[:-AHEAD]):
        if reading is None:
            continue
        signed = (reading.direction, reading.direction, 1, 1)
        values = [sign * its for sign, its in zip(signed, reading.deviations, strict=True)]
        before = rows[max(place - AHEAD + 1, 0) : place + 1]
        after = rows[place + 1 : place + 1 + AHEAD]
        yield Minute(
            (name, seed),
            dict(zip(FEATURES, values, strict=True)) | {"joint": reading.score},
            sum(its[1] for its in before) / open_interest,
            sum(its[1] for its in after) / open_interest,
        )


def area(data: Sequence[Minute], feature: str) -> float | None:
    """Return the area under the ROC curve; None without positives or negatives."""
    negative = sorted(its.features[feature] for its in data if not its.is_positive)
    positive = [its.features[feature] for its in data if its.is_positive]
    if not negative or not positive:
        return None
    below = sum(
        bisect.bisect_left(negative, value) + bisect.bisect_right(negative, value)
        for value in positive
    )
    return below / 2.0 / len(positive) / len(negative)


def drawn(data: Sequence[Minute], measure: Callable[[Sequence[Minute]], float | None]) -> str:
    """Return a figure with the 5 and 95 % quantiles over draws of whole markets."""
    generator = np.random.default_rng(1)
    markets: dict[tuple[str, int], list[Minute]] = {}
    for its in data:
        markets.setdefault(its.market, []).append(its)
    names = list(markets)
    found = []
    for _ in range(DRAWS):
        chosen = generator.integers(0, len(names), len(names)).tolist()
        value = measure([its for place in chosen for its in markets[names[place]]])
        if value is not None:
            found.append(value)
    found.sort()
    middle = measure(data)
    if middle is None or not found:
        return "undefined"
    low, high = found[int(0.05 * len(found))], found[int(0.95 * len(found))]
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def report(title: str, data: Sequence[Minute]) -> None:
    """Print the area of each feature, and what the joint score adds to each."""
    print(f"\n{title}: {sum(its.is_positive for its in data)} of {len(data)} minutes\n")
    print("| feature | area under the ROC curve | joint score less this |")
    print("|---|---|---|")
    for feature in (*FEATURES, "joint"):
        alone = drawn(data, lambda its, name=feature: area(its, name))  # type: ignore[misc]
        more = drawn(data, lambda its, name=feature: _more(its, name))  # type: ignore[misc]
        print(f"| {feature} | {alone} | {more if feature != 'joint' else ''} |")


def _more(data: Sequence[Minute], feature: str) -> float | None:
    joint, alone = area(data, "joint"), area(data, feature)
    return None if joint is None or alone is None else joint - alone


def main() -> None:
    """Simulate the markets, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    seeds = parser.parse_args().seeds
    data = [
        its for name in SCENARIOS for seed in range(700, 700 + seeds) for its in minutes(name, seed)
    ]
    report("All minutes", data)
    report(
        "Minutes before anything was liquidated",
        [its for its in data if its.before_ratio < QUIET_RATIO],
    )


if __name__ == "__main__":
    main()
