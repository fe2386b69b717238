"""The detector ``fee_incentives``: the venue earns by liquidating more, or sooner, than it must.

It states facts of the last half hour: a fee that the maintenance margin cannot pay, collateral that
is left and not given back, and fees on what the declared rule would not have closed.
"""

import math
from collections import deque

from msgspec import Struct

from detectors.conduct.detector import Scene
from detectors.conduct.followed import Followed
from detectors.conduct.incident import Verdict
from detectors.conduct.liquidation_report import concession_bps, left_of
from detectors.conduct.liquidations import Liquidations
from detectors.incidents.alerts import Evidence
from detectors.incidents.kind import FEE_INCENTIVES
from detectors.market_data.book_summary import BookSummary
from detectors.risk_watch.cascade import money
from detectors.risk_watch.monitor import RiskInput
from detectors.risk_watch.output import Statement

RECENT_NS = 1_800_000_000_000
MOST_RECENT = 1_024
"""How long, and how many liquidations of a symbol, are remembered."""

LEAST_CASES = 3
"""Nothing is said of fewer liquidations: one may be an error of its record."""

LARGE_FEE_RATIO = 0.5
"""A fee above this share of the maintenance margin counts with the price that is received."""

ROUNDING = 1e-6
"""Of what is kept, to the closed notional."""

KEPT_RATIO = 0.01
BEYOND_RULE_RATIO = 0.05
"""Of what was left of accounts, and of the fees: less than this is rounding."""


class Case(Struct, frozen=True):
    """What a liquidation earned; money is in the settlement currency of the symbol.

    Attributes
    ----------
    ts_event
        When it ended.
    fee_ratio, concession_ratio
        Largest fee of a slice, and how much worse than the mark price it was closed, to notional.
    fee, beyond_rule_fee
        The fees, and those on what the declared rule would not have closed.
    fund
        What the fund gained with it, or lost.
    left, kept
        What was left of a position that was closed whole, and what of that was not given back.
    """

    ts_event: int
    fee_ratio: float
    concession_ratio: float
    fee: float
    beyond_rule_fee: float
    fund: float
    left: float
    kept: float


class FeeIncentives:
    """What the venue earns with liquidations of each symbol.

    Parameters
    ----------
    liquidations
        Where they are put together; it must be asked before this detector.
    """

    name, version = FEE_INCENTIVES, 1
    quiet_ns = 60_000_000_000
    over = "no liquidation of the last half hour shows it"
    needs: tuple[str, ...] = ("liquidations", "positions", "margins")

    def __init__(self, liquidations: Liquidations) -> None:
        self.statements: list[Statement] = []
        self._liquidations = liquidations
        self._cases: dict[str, deque[Case]] = {}

    def take(self, event: RiskInput, scene: Scene) -> None:
        """Do nothing: what ended counts."""

    def summarise(self, symbol: str, ends_at: int, summary: BookSummary) -> None:
        """Do nothing with it."""

    def judge(self, ts_event: int, scene: Scene) -> dict[str, Verdict]:
        """Return what the liquidations of the last half hour say."""
        for its in self._liquidations.ended:
            case = _case(its, ts_event)
            if case is not None:
                self._cases.setdefault(its.symbol, deque(maxlen=MOST_RECENT)).append(case)
        found = {}
        for symbol, cases in list(self._cases.items()):
            while cases and ts_event - cases[0].ts_event > RECENT_NS:
                cases.popleft()
            if not cases:
                del self._cases[symbol]
                continue
            tiers = scene.holdings.of(symbol).tiers
            verdict = _judged(cases, tiers.rates[0] if tiers is not None else math.nan)
            if verdict is not None:
                found[symbol] = verdict
        return found


def _case(its: Followed, ts_event: int) -> Case | None:
    """Return what a liquidation earned; None if its fees are not known."""
    is_inverse = its.contract is not None and its.contract.inverse
    fees = [part for part in its.parts if not math.isnan(part.its.fee)]
    if not fees:
        return None
    total = math.fsum(part.its.fee for part in fees)
    ratios = [
        part.its.fee / (part.its.filled / part.its.price if is_inverse else part.its.paid)
        for part in fees
    ]
    beyond = its.beyond_rule * its.size / its.taken if its.taken else math.nan
    concession = concession_bps(its, "mark_price") / 1e4
    left = kept = 0.0
    if its.taken >= its.size * (1.0 - 1e-9) and not math.isnan(its.returned):
        left = max(0.0, left_of(its))
        kept = max(0.0, left - its.returned)
        if math.isnan(left) or kept <= ROUNDING * its.closed_notional:
            kept = 0.0
        left = 0.0 if math.isnan(left) else left
    return Case(
        ts_event,
        max(ratios),
        concession if math.isfinite(concession) else 0.0,
        total,
        total * min(1.0, beyond) if math.isfinite(beyond) else 0.0,
        0.0 if math.isnan(its.insurance_delta) else its.insurance_delta,
        left,
        kept,
    )


def _judged(cases: deque[Case], rate: float) -> Verdict | None:
    """Return what liquidations say; ``rate`` is the lowest maintenance rate, NaN if unknown."""
    if len(cases) < LEAST_CASES:
        return None
    ratio = sorted(case.fee_ratio for case in cases)[-LEAST_CASES]
    concession = sorted(case.concession_ratio for case in cases)[len(cases) // 2]
    fees, fund = _sum(cases, "fee"), _sum(cases, "fund")
    left, kept, beyond = _sum(cases, "left"), _sum(cases, "kept"), _sum(cases, "beyond_rule_fee")
    parts: list[tuple[Evidence, str]] = []

    def say(feature: str, value: float, expected: float, sentence: str) -> None:
        parts.append((Evidence(FEE_INCENTIVES, feature, value, expected, 0.0), sentence))

    is_bankrupting = ratio >= rate
    if is_bankrupting or (ratio >= LARGE_FEE_RATIO * rate and ratio + max(0.0, concession) >= rate):
        price = "" if is_bankrupting else f" and a price {1e4 * concession:.0f} bps below the mark"
        say(
            "fee_ratio", ratio, rate,
            f"liquidations cost a fee of {100 * ratio:.2f} %{price}, of a maintenance margin of"
            f" {100 * rate:.2f} %: whoever is liquidated in time ends bankrupt",
        )  # fmt: skip
    count = sum(case.kept > 0.0 for case in cases)
    if count >= LEAST_CASES and kept > KEPT_RATIO * left:
        say(
            "kept_collateral", kept, 0.0,
            f"{money(kept)} of {money(left)} that was left of {count} accounts was not given back",
        )  # fmt: skip
    count = sum(case.beyond_rule_fee > 0.0 for case in cases)
    if count >= LEAST_CASES and beyond > BEYOND_RULE_RATIO * fees:
        say(
            "fees_beyond_rule", beyond, 0.0,
            f"{money(beyond)} of {money(fees)} in fees is for what the declared rule would not have"
            f" closed, in {count} liquidations",
        )  # fmt: skip
    if not parts:
        return None
    share = 1.0 / len(parts)
    evidence = [
        Evidence(its.detector, its.feature, its.value, its.expected, share) for its, _ in parts
    ]
    evidence.append(Evidence(FEE_INCENTIVES, "fund_gain", fund, 0.0, 0.0))
    text = "; ".join(sentence for _, sentence in parts)
    gained = "gained" if fund >= 0.0 else "lost"
    return Verdict(
        "critical" if is_bankrupting else "warning",
        max(1.0, kept + beyond + (fees if ratio >= LARGE_FEE_RATIO * rate else 0.0)),
        None,
        evidence,
        f"{text}; the fund {gained} {money(abs(fund))} with {len(cases)} liquidations",
    )


def _sum(cases: deque[Case], name: str) -> float:
    return math.fsum(getattr(case, name) for case in cases)
