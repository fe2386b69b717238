"""The detector ``liquidation_fairness``: liquidations treat accounts of one size worse than others.

It judges all liquidations of the venue together, by e-values: they may be looked at after each one.
A fair venue raises an alarm in at most one of a thousand days.
"""

import math

from detectors.conduct.detector import Scene
from detectors.conduct.fairness_tests import (
    BEYOND_RULE,
    CLAIMS,
    CONCESSION,
    PASSED_OVER,
    WAIT,
    Bets,
    FairnessMemory,
    FairnessTests,
)
from detectors.conduct.followed import Followed
from detectors.conduct.incident import Verdict
from detectors.conduct.liquidations import Liquidations
from detectors.fairness.e_values import ALARM
from detectors.incidents.alerts import Evidence
from detectors.incidents.kind import LIQUIDATION_FAIRNESS
from detectors.incidents.market_wide import MARKET
from detectors.market_data.book_summary import BookSummary
from detectors.risk_watch.cascade import money
from detectors.risk_watch.monitor import RiskInput
from detectors.risk_watch.output import Statement

DAY_NS = 86_400_000_000_000
"""The bets begin anew with each day: what was fair for months must not hide what is not today."""

HOLDS_NS = 1_800_000_000_000
"""What was found holds for so long after the last liquidation."""

JUMPED_NS = 1_000_000_000
"""Who was triggered and served so much later than another account overtakes it if it is first."""

_WHAT = {
    BEYOND_RULE: "closed beyond the declared rule",
    PASSED_OVER: "passed over for accounts that were triggered later",
    WAIT: "left to wait longer than others",
    CONCESSION: "closed at worse prices than larger ones",
}


class LiquidationFairness:
    """Whether liquidations treat accounts of all sizes alike.

    Parameters
    ----------
    liquidations
        Where they are put together; it must be asked before this detector.
    """

    name, version = LIQUIDATION_FAIRNESS, 1
    quiet_ns = 60_000_000_000
    over = "no liquidations for half an hour; the evidence begins anew with the day"
    needs: tuple[str, ...] = ("liquidations", "positions", "margins", "references")
    remembered = FairnessMemory

    def __init__(self, liquidations: Liquidations) -> None:
        self.statements: list[Statement] = []
        self.tests = FairnessTests()
        self._liquidations = liquidations
        self._day = -1
        self._last_ns = 0
        self._known_ns = 0  # up to where another process has bet

    def take(self, event: RiskInput, scene: Scene) -> None:
        """Do nothing: what ended counts."""

    def summarise(self, symbol: str, ends_at: int, summary: BookSummary) -> None:
        """Do nothing with it."""

    def judge(self, ts_event: int, _scene: Scene) -> dict[str, Verdict]:
        """Bet on what ended, and return what was found in the day."""
        day = ts_event // DAY_NS
        if day != self._day:
            self._day, self.tests = day, FairnessTests()
        for its in self._liquidations.ended:
            if ts_event > self._known_ns:
                self.tests.add(its, passed_over=self._passed_over(its))
                self._last_ns = ts_event
        if self.tests.reached < math.log(ALARM) or ts_event - self._last_ns > HOLDS_NS:
            return {}
        return {MARKET: self._verdict()}

    def memory(self, symbol: str) -> FairnessMemory | None:
        """Return what a successor needs: a day's bets, about a hundred numbers."""
        if symbol != MARKET:
            return None
        return self.tests.memory(self._day, self._last_ns)

    def restore(self, _symbol: str, memory: FairnessMemory) -> None:
        """Go on from the bets of another process; what it has bet on does not count again."""
        self._day, self._last_ns, self._known_ns = memory.day, memory.until_ns, memory.until_ns
        self.tests = FairnessTests()
        self.tests.restore(memory)

    def _passed_over(self, its: Followed) -> bool | None:
        """Whether another account was triggered a second later and served a second earlier."""
        if not its.below_since_ns:
            return None
        return any(
            other.side == its.side
            and other.below_since_ns >= its.below_since_ns + JUMPED_NS
            and other.first_action_ns <= its.first_action_ns - JUMPED_NS
            for other in self._liquidations.served.get(its.symbol, ())
        )

    def _verdict(self) -> Verdict:
        bets = self.tests.bets
        (claim, size), worst = max(bets.items(), key=lambda entry: entry[1].capital.log)
        bound = math.exp(-min(self.tests.reached, 700.0))
        others = [its for key, its in bets.items() if key[0] == claim and key[1] != size]
        logs = math.fsum(max(0.0, its.capital.log) for its in bets.values())
        evidence = [
            Evidence(self.name, f"{name}_{which}", its.capital.mean,
                     CLAIMS[name].mean, its.capital.log / logs)
            for (name, which), its in sorted(bets.items(), key=lambda entry: -entry[1].capital.log)
            if its.capital.count and its.capital.log > 0.0
        ]  # fmt: skip
        return Verdict(
            "warning",
            max(1.0, worst.money),
            min(1.0, bound),
            evidence[:6],
            f"the {size} quarter of positions is {_WHAT[claim]}: {_effect(claim, worst, others)},"
            f" worth {money(worst.money)} of {money(worst.notional)} liquidated; a fair venue shows"
            f" as much in at most one of {_rounded(1.0 / max(bound, 1e-300))} days",
        )


def _effect(claim: str, its: Bets, others: list[Bets]) -> str:
    mean, count = its.capital.mean, its.capital.count
    if claim == WAIT:
        return f"{mean:.1f} s longer in {count} pairs"
    if claim == CONCESSION:
        return f"{mean:.1f} bps worse in {count} pairs"
    cases = sum(each.capital.count for each in others)
    rest = math.fsum(each.capital.total for each in others) / cases if cases else 0.0
    return f"{100 * mean:.0f} % in {count} cases, against {100 * rest:.0f} % in {cases} of others"


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value < 1e6 else f"10^{math.floor(math.log10(value))}"
