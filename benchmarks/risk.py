"""Measure the risk stage: memory and time of a second, by positions, symbols and accounts.

    python benchmarks/risk.py [--positions N] [--symbols N] [--accounts N] [--seconds N]

Every second each symbol has a new mark price, a book summary and one changed position, so that each
is computed anew. Of the accounts a tenth have cross margin. ``make bench`` runs the default size.
"""

import argparse
import math
import random
import sys
import time

from memory import peak_memory_bytes

from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Margin, Position, Reference
from detectors.market_data.risk_events import Account
from detectors.risk_watch.assessment import Learned
from detectors.risk_watch.monitor import RiskMonitor

SECOND = 1_000_000_000
BEGIN = 1_767_225_600 * SECOND
WARM_SECONDS = 240
"""The impact is known after three minutes; records come every ten seconds."""


def _position(draws: random.Random, number: int, symbols: int, accounts: int, at: int) -> Position:
    account = number % accounts
    return Position(
        ts_event=at,
        symbol=f"S{(number // accounts * 7 + account) % symbols:03d}",
        account=f"account-{account:06d}",
        quantity=draws.choice((-1.0, 1.0)) * draws.lognormvariate(0.0, 1.0),
        entry_price=100.0 * draws.uniform(0.98, 1.02),
        leverage=float(draws.randint(3, 50)),
        margin=None if account % 10 == 0 else draws.uniform(2.0, 30.0),
        margin_mode="cross" if account % 10 == 0 else "isolated",
    )


def _venue(names: list[str], accounts: int, positions: int) -> RiskMonitor:
    """Return a monitor that knows the terms and the cross accounts, and no position."""
    monitor = RiskMonitor(max_positions=max(1_000, positions))
    for name in names:
        margin = Margin(
            ts_event=BEGIN, symbol=name, maintenance_margin_rate=0.005, initial_margin_rate=0.01
        )
        monitor.take(margin)
        # Half of the log-normal quantities are long.
        interest = 0.5 * positions / len(names) * math.exp(0.5)
        monitor.take(
            Reference(ts_event=BEGIN, symbol=name, mark_price=100.0, open_interest=interest)
        )
    for account in range(0, accounts, 10):
        monitor.take(
            Account(ts_event=BEGIN, account=f"account-{account:06d}", collateral_value=200.0)
        )
    return monitor


def _summary(draws: random.Random) -> BookSummary:
    net = draws.gauss(0.0, 10.0)
    depth = (9.0,) * 4
    return BookSummary(100.0 + 0.001 * net, 1.0, depth, depth, max(net, 0.0), max(-net, 0.0))


def _seconds(
    monitor: RiskMonitor, names: list[str], draws: random.Random, seconds: int
) -> list[float]:
    """Let the flow teach its impact, then time seconds in which every symbol changes."""
    for second in range(WARM_SECONDS):
        for name in names:
            flow = monitor.learned.setdefault(name, Learned()).flow
            flow.add(_summary(draws))
            if second % 10 == 9:
                flow.close_span()
    took = []
    for second in range(1, seconds + 1):
        now = BEGIN + (WARM_SECONDS + second) * SECOND
        monitor.closed_ns = max(monitor.closed_ns, now - SECOND)
        began = time.process_time()
        for name in names:
            mark = 100.0 * draws.uniform(0.999, 1.001)
            monitor.take(Reference(ts_event=now - 2, symbol=name, mark_price=mark))
            monitor.summarise(name, now, _summary(draws))
        monitor.close_until(now)
        took.append(time.process_time() - began)
    return took


def measure_risk(positions: int, symbols: int, accounts: int, seconds: int) -> dict[str, float]:
    """Fill a monitor and let seconds pass; return what they cost in processor time and memory."""
    draws = random.Random(1)  # noqa: S311 - not for security
    before = peak_memory_bytes()
    names = [f"S{number:03d}" for number in range(symbols)]
    monitor = _venue(names, accounts, positions)
    began = time.process_time()
    for number in range(positions):
        monitor.take(_position(draws, number, symbols, accounts, BEGIN))
    filled = time.process_time() - began
    took = sorted(_seconds(monitor, names, draws, seconds))
    return {
        "positions": len(monitor.holdings.positions),
        "symbols": symbols,
        "accounts": accounts,
        "us_per_position": 1e6 * filled / positions,
        "memory_mb": (peak_memory_bytes() - before) / 1e6,
        "median_ms_per_second": 1e3 * took[len(took) // 2],
        "most_ms_per_second": 1e3 * took[-1],
        "mean_ms_per_second": 1e3 * sum(took) / len(took),
    }


def main() -> None:
    """Print what some seconds cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--positions", type=int, default=20_000)
    parser.add_argument("--symbols", type=int, default=64)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=20)
    its = parser.parse_args()
    cost = measure_risk(its.positions, its.symbols, its.accounts, its.seconds)
    sys.stdout.write(
        f"{cost['positions']:,} positions, {its.symbols} symbols, {its.accounts:,} accounts\n"
        f"fill: {cost['us_per_position']:.1f} us a position\n"
        f"memory: {cost['memory_mb']:.0f} MB more\n"
        f"a second: {cost['median_ms_per_second']:.0f} ms in the middle,"
        f" {cost['most_ms_per_second']:.0f} ms with the records of all symbols,"
        f" {cost['mean_ms_per_second']:.0f} ms in the mean\n"
    )


if __name__ == "__main__":
    main()
