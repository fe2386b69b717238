"""What a check finds: an outcome, the number of breaches with an interval, and the worst cases."""

import heapq
from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from detectors.fairness.statistics import Estimate, wilson

Outcome = Literal["pass", "pass_weak", "fail", "inferred", "not_tested"]
"""``pass_weak``: no breach beyond what the claim allows, but too few cases to exclude one.
``inferred``: there is no claim, and the finding says what the venue does. ``not_tested``: an input
is missing."""

EPSILON = 0.005
"""A check passes if the rate of breaches is below this with 97.5 % confidence. Without a breach,
that takes 765 cases."""

WORST = 20
"""The largest number of cases that a finding shows."""


class Case(Struct, frozen=True):
    """A breach, or a borderline case.

    ``size`` orders the cases of a check, the largest is the worst. ``money`` is what is at stake
    in the quote currency. ``story`` says what happened, in the order of events.
    """

    ts_event: int
    symbol: str
    account: str
    size: float
    money: float
    story: str


class Finding(Struct, frozen=True):
    """What a check found.

    Attributes
    ----------
    outcome
        See `Outcome`.
    sentence
        The result in one sentence.
    population, breaches, borderline
        Number of cases tested; of those that break the rule for every price within the tolerance;
        and of those that break it for some.
    breach_ratio
        Breaches over population, with Wilson's 95 % interval.
    money
        At stake in the breaches, in the quote currency.
    claim
        The claim that was tested, as it stands in the file; empty without one.
    tolerance
        The tolerance that was used, in words.
    facts
        What was measured beside it, by name with units.
    cases
        The worst breaches, at most `WORST`.
    missing, plan
        For a check that is not tested: the missing input, and the small experiment that shows it.
    """

    outcome: Outcome
    sentence: str
    population: int = 0
    breaches: int = 0
    borderline: int = 0
    breach_ratio: Estimate = Estimate(0.0, 0.0, 1.0)
    money: float = 0.0
    claim: str = ""
    tolerance: str = ""
    facts: Mapping[str, float | str] = {}
    cases: tuple[Case, ...] = ()
    missing: str = ""
    plan: str = ""


class Tally:
    """Counts cases, and keeps the worst breaches.

    >>> tally = Tally()
    >>> tally.held(3)
    >>> tally.breach(Case(5, "BTC-PERP", "a", 2.0, 10.0, "took 2 too much"))
    >>> tally.population, tally.breaches, tally.money, tally.worst()[0].account
    (4, 1, 10.0, 'a')
    """

    __slots__ = ("_heap", "_kept", "borderline", "breaches", "money", "population")

    def __init__(self) -> None:
        self.population = 0
        self.breaches = 0
        self.borderline = 0
        self.money = 0.0
        self._kept = 0
        self._heap: list[tuple[float, int, int, Case]] = []

    def held(self, cases: int = 1) -> None:
        """Count cases in which the rule holds."""
        self.population += cases

    def edge(self, cases: int = 1) -> None:
        """Count cases in which the rule holds for some prices within the tolerance only."""
        self.population += cases
        self.borderline += cases

    def breach(self, case: Case) -> None:
        """Count a breach."""
        self.population += 1
        self.breaches += 1
        self.money += case.money
        self._keep(case)

    def _keep(self, case: Case) -> None:
        # The number breaks ties in favour of the earlier case, and no two entries compare further.
        self._kept += 1
        heapq.heappush(self._heap, (case.size, -case.ts_event, -self._kept, case))
        if len(self._heap) > WORST:
            heapq.heappop(self._heap)

    def add(self, other: "Tally") -> None:
        """Add the cases of another tally."""
        self.population += other.population
        self.borderline += other.borderline
        self.breaches += other.breaches
        self.money += other.money
        for case in other.worst():
            self._keep(case)

    def worst(self) -> tuple[Case, ...]:
        """Return the worst breaches, the worst first."""
        return tuple(entry[3] for entry in sorted(self._heap, key=lambda e: e[:3], reverse=True))


def merged(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies, in their order."""
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def judged(
    tally: Tally,
    *,
    what: str,
    claim: str = "",
    tolerance: str = "",
    allowed_ratio: float = 0.0,
    facts: Mapping[str, float | str] | None = None,
) -> Finding:
    """Return the finding of a check that counts breaches.

    A hard rule (``allowed_ratio`` 0) fails with its first breach. Another fails if the rate of
    breaches is above what is allowed with 97.5 % confidence.

    Parameters
    ----------
    tally
        The cases.
    what
        What a case is, in the plural, such as "first slices".
    claim, tolerance, facts
        As for `Finding`.
    allowed_ratio
        The share of breaches that the rule allows.

    Examples
    --------
    >>> tally = Tally()
    >>> tally.held(100)
    >>> finding = judged(tally, what="trades")
    >>> finding.outcome, finding.sentence
    ('pass_weak', '0 of 100 trades break the rule; too few to exclude a rate of 0.5 %')
    """
    ratio = wilson(tally.breaches, tally.population)
    limit = max(allowed_ratio, EPSILON)
    sentence = f"{tally.breaches:,} of {tally.population:,} {what} break the rule"
    outcome: Outcome
    if not tally.population:
        return Finding(
            "not_tested", f"the record has no {what}", claim=claim, missing=what,
            plan=f"record a time that has {what}", facts=facts or {},
        )  # fmt: skip
    if tally.breaches and (ratio.low > allowed_ratio if allowed_ratio else True):
        outcome = "fail"
    elif ratio.high < limit:
        outcome = "pass"
    else:
        outcome = "pass_weak"
        sentence += f"; too few to exclude a rate of {limit * 100:g} %"
    if tally.borderline:
        sentence += f"; {tally.borderline:,} are borderline"
    return Finding(
        outcome,
        sentence,
        tally.population,
        tally.breaches,
        tally.borderline,
        ratio,
        tally.money,
        claim,
        tolerance,
        facts or {},
        tally.worst(),
    )


def inferred(
    sentence: str,
    *,
    population: int = 0,
    facts: Mapping[str, float | str] | None = None,
    cases: tuple[Case, ...] = (),
    money: float = 0.0,
    tolerance: str = "",
) -> Finding:
    """Return the finding of a check without a claim: what the venue does."""
    return Finding(
        "inferred", sentence, population, facts=facts or {}, cases=cases, money=money,
        tolerance=tolerance,
    )  # fmt: skip


def not_tested(missing: str, plan: str, *, claim: str = "") -> Finding:
    """Return the finding of a check that lacks an input."""
    return Finding(
        "not_tested", f"missing: {missing}", missing=missing, plan=plan,
        claim=claim,
    )  # fmt: skip
