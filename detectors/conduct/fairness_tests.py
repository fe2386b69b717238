"""What is bet on about the fairness of liquidations, and what the bets have come to.

Each claim is that the venue is fair up to an effect that matters. So an alarm says that the effect
is beyond it, not only that there is one.
"""

import math

from msgspec import Struct

from detectors.conduct.followed import Followed
from detectors.conduct.liquidation_record import SIZE_CLASSES
from detectors.conduct.liquidation_report import concession_bps
from detectors.fairness.e_values import Capital, Claim, bet, log_mean
from detectors.fairness.pairs import Pairs

BEYOND_RULE = "closed_beyond_rule_ratio"
PASSED_OVER = "passed_over_ratio"
WAIT = "wait_difference_seconds"
CONCESSION = "concession_difference_bps"

CLAIMS = {
    BEYOND_RULE: Claim(0.05, 0.0, 1.0),
    PASSED_OVER: Claim(0.05, 0.0, 1.0),
    WAIT: Claim(2.0, -10.0, 10.0),
    CONCESSION: Claim(2.0, -20.0, 20.0),
}
"""For each size class: at most 5 % of a position is closed beyond the declared rule on average; at
most 5 % are passed over; they wait at most 2 s longer than others; and they get a price at most
2 bps worse than larger ones. Larger orders pay more by themselves, so the largest class has no
claim of this kind."""

MOST_BOOKS = 512
"""Symbols and sides whose observations wait for their pair; above it the oldest is forgotten."""


class Bets(Struct):
    """The bets on one claim about one size class.

    ``money`` is what the effect was worth, in the quote currency, and ``notional`` that of the
    liquidations it is about.
    """

    capital: Capital
    money: float = 0.0
    notional: float = 0.0


class FairnessMemory(Struct):
    """What a successor needs of the bets of a day: those of `FairnessTests`, by their names.

    ``until_ns`` is the time of the last liquidation that was bet on.
    """

    day: int
    until_ns: int
    bets: dict[str, Bets]


class FairnessTests:
    """The bets of one day.

    Attributes
    ----------
    bets
        By claim and size class.
    log
        Natural logarithm of the mean of all e-values.
    reached
        The largest so far.
    """

    __slots__ = ("_pairs", "bets", "reached")

    def __init__(self) -> None:
        self.bets: dict[tuple[str, str], Bets] = {
            (claim, size): Bets(Capital())
            for claim in CLAIMS
            for size in SIZE_CLASSES
            if claim != CONCESSION or size != SIZE_CLASSES[-1]
        }
        self.reached = 0.0
        self._pairs: dict[tuple[str, str], dict[tuple[str, str], Pairs]] = {}

    @property
    def log(self) -> float:
        """Natural logarithm of the mean of all e-values."""
        return log_mean(bets.capital.log for bets in self.bets.values())

    def add(self, its: Followed, *, passed_over: bool | None) -> None:
        """Bet on a liquidation that is over; ``passed_over`` is None if that is unknown."""
        size = its.size_class
        if size is None:
            return
        notional = its.notional if math.isfinite(its.notional) else its.closed_notional
        beyond = its.beyond_rule
        if math.isfinite(beyond):
            self._bet(BEYOND_RULE, size, beyond, beyond * notional, notional)
        if passed_over is not None:
            money = notional if passed_over else 0.0
            self._bet(PASSED_OVER, size, float(passed_over), money, notional)
        if its.below_since_ns:
            waited = (its.first_action_ns - its.below_since_ns) / 1e9
            self._compare(WAIT, its, waited, notional)
        self._compare(CONCESSION, its, concession_bps(its, "mid"), its.closed_notional)
        self.reached = max(self.reached, self.log)

    def _compare(self, claim: str, its: Followed, value: float, notional: float) -> None:
        """Bet on the differences that a liquidation makes with others of its symbol and side."""
        if not math.isfinite(value) or its.size_class is None:
            return
        own = SIZE_CLASSES.index(its.size_class)
        book = self._pairs.setdefault((its.symbol, its.side), {})
        if len(self._pairs) > MOST_BOOKS:
            del self._pairs[next(iter(self._pairs))]
        for place, size in enumerate(SIZE_CLASSES):
            is_rival = place != own if claim == WAIT else own > place
            if (claim, size) not in self.bets or not (place == own or is_rival):
                continue
            pairs = book.setdefault((claim, size), Pairs())
            difference = pairs.add(its.first_action_ns, value, is_member=place == own)
            if difference is not None:
                money = difference / 1e4 if claim == CONCESSION else float(difference > 0.0)
                self._bet(claim, size, difference, max(0.0, money) * notional, notional)

    def _bet(self, claim: str, size: str, value: float, money: float, notional: float) -> None:
        bets = self.bets[claim, size]
        bet(bets.capital, CLAIMS[claim], value)
        bets.money += money
        bets.notional += notional

    def memory(self, day: int, until_ns: int) -> FairnessMemory:
        """Return what a successor needs; pairs that wait are not part of it."""
        return FairnessMemory(
            day, until_ns, {f"{claim}|{size}": bets for (claim, size), bets in self.bets.items()}
        )

    def restore(self, memory: FairnessMemory) -> None:
        """Go on from the bets of another process; names that are unknown do not count."""
        for key in self.bets:
            known = memory.bets.get("|".join(key))
            if known is not None:
                self.bets[key] = known
        self.reached = max(self.reached, self.log)
