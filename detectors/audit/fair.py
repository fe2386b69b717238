"""Checks 20 and 22 to 24: whether accounts are treated alike."""

import math
from collections.abc import Callable

import numpy as np

from detectors.audit.check import Check
from detectors.audit.claims import stated
from detectors.audit.health import TOLERANCE, price_at
from detectors.audit.outcome import Case, Finding, Tally, inferred, judged, not_tested
from detectors.audit.paths import no_liquidations
from detectors.audit.tape import Evidence
from detectors.fairness.episodes import Episode, trigger_price
from detectors.fairness.statistics import (
    Association,
    class_difference,
    clustered_mean,
    discoveries,
    rank_association,
)
from detectors.market_data.events import Kind
from detectors.table import Floats, Ints

SEED = 17
"""The seed of permutations and resamples: the same record gives the same finding."""

WAVE_NS = 5_000_000_000
"""Liquidations of a symbol that are further apart belong to two waves."""

LEAST_TESTED = 20
"""Liquidations below which no difference is tested."""


def price_received(evidence: Evidence) -> Finding:
    """Check 20: liquidations get the price that the visible book offers, as others do."""
    slices = [part for episode in evidence.episodes for part in episode.slices]
    known = [part for part in slices if math.isfinite(part.surcharge_bps)]
    if not known:
        return no_liquidations()
    values = np.array([part.surcharge_bps for part in known])
    mean = clustered_mean(values, [part.account for part in known], seed=SEED)
    ordinary = [
        value for s in evidence.symbols.values() for value in s.surcharges if math.isfinite(value)
    ]
    others = float(np.mean(ordinary)) if ordinary else math.nan
    concession = [part.concession_bps for part in known if math.isfinite(part.concession_bps)]
    facts: dict[str, float | str] = {
        "worse than the visible book, bps": mean.value,
        "95 % interval": f"{mean.low:.3f} to {mean.high:.3f}",
        "other market orders, bps": others,
        "worse than the mid price, median bps": float(np.median(concession)) if concession
        else math.nan,
    }  # fmt: skip
    claims = evidence.claims.default.liquidation
    sentence = (
        f"slices traded {mean.value:.2f} bps worse than the visible book ({mean.low:.2f} to "
        f"{mean.high:.2f}), other market orders {others:.2f}"
    )
    if claims.price_bps is None:
        return inferred(sentence, population=len(known), facts=facts)
    base = others if math.isfinite(others) else 0.0
    limit = max(0.0, base) + claims.price_bps
    is_worse = mean.low > limit
    tally = Tally()
    for part in known:
        excess = part.surcharge_bps - limit
        if not is_worse or excess <= 0.0:
            tally.held()
            continue
        money = excess / 1e4 * part.mid * part.filled
        story = f"closed at {part.price:g}; the book offered {part.book_price:g}"
        tally.breach(Case(part.ts_event, part.symbol, part.account, money, money, story))
    return judged(
        tally, what="slices", claim=stated("liquidation", claims, "price_bps"), facts=facts,
        tolerance="a clustered bootstrap of the mean over accounts",
    )  # fmt: skip


def service_order(evidence: Evidence) -> Finding:
    """Check 22: who is worse off and has waited longer is served first."""
    firsts = [episode.slices[0] for episode in evidence.episodes]
    if not firsts or not evidence.has(Kind.POSITION, Kind.REFERENCE):
        return no_liquidations()
    tally = Tally()
    for part in firsts:
        if not part.passed_over:
            tally.held()
            continue
        names = ", ".join(part.passed_over[:3])
        story = (
            f"served although {len(part.passed_over):,} accounts with less equity had waited a "
            f"second longer: {names}"
        )
        tally.breach(Case(part.ts_event, part.symbol, part.account, part.paid, part.paid, story))
    total = math.fsum(part.paid for part in firsts)
    share = tally.money / total if total else 0.0
    facts = {"share of notional out of turn": share}
    claims = evidence.claims.default.liquidation
    if claims.inversion_ratio is None:
        return inferred(
            f"{share:.2%} of the notional of first slices was taken out of turn",
            population=tally.population, facts=facts, cases=tally.worst(), money=tally.money,
            tolerance=TOLERANCE,
        )  # fmt: skip
    allowed = claims.inversion_ratio if share <= claims.inversion_ratio else 0.0
    if allowed:
        allowed = max(allowed, tally.breaches / tally.population)
    return judged(
        tally, what="first slices", claim=stated("liquidation", claims, "inversion_ratio"),
        tolerance=TOLERANCE, allowed_ratio=allowed, facts=facts,
    )  # fmt: skip


def equal_treatment(evidence: Evidence) -> Finding:
    """Check 23: wait, price and excess do not depend on size, segment or owner."""
    episodes = [e for e in evidence.episodes if math.isfinite(e.first_quantity)]
    if len(episodes) < LEAST_TESTED:
        return not_tested(
            f"{LEAST_TESTED} liquidations of accounts with positions",
            "record a time with more liquidations, or liquidate accounts of several sizes in "
            "staging with the same move of the index",
        )
    stratum = waves(episodes)
    size = np.log([max(e.first_quantity * e.slices[0].price, 1e-9) for e in episodes])
    tests: list[tuple[str, Association]] = []
    for name, measure in _MEASURES.items():
        values = np.array([measure(episode) for episode in episodes])
        known = np.isfinite(values)
        if known.sum() < LEAST_TESTED:
            continue
        found = rank_association(size[known], values[known], stratum[known], seed=SEED)
        tests.append((f"{name} by size", found))
        tests += _by_segment(evidence, episodes, name, values, stratum)
    claims = evidence.claims.default.fairness
    rejected = discoveries([found.p_value for _, found in tests], claims.discovery_rate)
    facts: dict[str, float | str] = {}
    tally = Tally()
    for (name, found), is_real in zip(tests, rejected, strict=True):
        facts[name] = (
            f"rank correlation {found.coefficient:+.2f}, p {found.p_value:.4f}, n {found.cases}"
        )
        if name.startswith(_EFFECTS) or not is_real or abs(found.coefficient) < claims.correlation:
            tally.held()
            continue
        story = (
            f"{name}: rank correlation {found.coefficient:+.2f} within waves, p "
            f"{found.p_value:.4f}, beyond the floor of {claims.correlation:g}"
        )
        tally.breach(Case(evidence.last_ns, "*", "", abs(found.coefficient), 0.0, story))
    if not claims.equal_treatment:
        return inferred(
            "differences between sizes and segments are among the facts",
            population=len(episodes), facts=facts,
        )  # fmt: skip
    return judged(
        tally, what="comparisons", claim=stated("fairness", claims, "equal_treatment",
        "correlation", "discovery_rate"), facts=facts,
        tolerance="ranks permuted within waves of a symbol; false discovery rate over all "
        "comparisons; what the claimed strategy itself gives is an effect, no breach",
    )  # fmt: skip


def rebound(evidence: Evidence) -> Finding:
    """Check 24: how much is liquidated after the index has recovered."""
    tally = Tally()
    total = late = 0.0
    for episode in evidence.episodes:
        part = episode.slices[0]
        index, trigger = price_at(evidence, part, "index"), trigger_price(part)
        if index is None or math.isnan(trigger):
            continue
        total += part.paid
        recovered = (
            index.low > trigger * (1 + _MARGIN)
            if part.quantity > 0.0
            else index.high < trigger * (1 - _MARGIN)
        )
        if not recovered:
            tally.held()
            continue
        late += part.paid
        story = (
            f"liquidation price {trigger:.8g}; the index alone, {index.near_low:.8g} to "
            f"{index.near_high:.8g}, would not have reached it"
        )
        tally.breach(Case(part.ts_event, part.symbol, part.account, part.paid, part.paid, story))
    if not tally.population:
        return no_liquidations()
    share = late / total if total else 0.0
    claims = evidence.claims.default.liquidation
    facts = {"share of notional": share, "notional": late}
    if claims.rebound_ratio is None:
        return inferred(
            f"{tally.breaches:,} of {tally.population:,} liquidations ({share:.1%} of the "
            "notional) began while the index alone would not have caused them",
            population=tally.population, facts=facts, cases=tally.worst(), money=late,
            tolerance=TOLERANCE,
        )  # fmt: skip
    return judged(
        tally, what="liquidations", claim=stated("liquidation", claims, "rebound_ratio"),
        tolerance=TOLERANCE, allowed_ratio=claims.rebound_ratio, facts=facts,
    )  # fmt: skip


def waves(episodes: list[Episode]) -> Ints:
    """Return the number of the wave of each episode: one symbol, without a longer pause.

    >>> from detectors.fairness.episodes import Slice
    >>> second = 1_000_000_000
    >>> def episode(symbol, at):
    ...     part = Slice(at * second, symbol, "a", "", selling=True, filled=1.0)
    ...     return Episode(symbol, "a", [part])
    >>> waves([episode("X", 0), episode("Y", 1), episode("X", 4), episode("X", 20)]).tolist()
    [0, 1, 0, 2]
    """
    latest: dict[str, tuple[int, int]] = {}
    numbers, count = [], 0
    for episode in episodes:
        number, last = latest.get(episode.symbol, (-1, 0))
        if number < 0 or episode.ts_event - last > WAVE_NS:
            number, count = count, count + 1
        latest[episode.symbol] = (number, episode.ts_event)
        numbers.append(number)
    return np.array(numbers, np.int64)


_MARGIN = 0.0005
"""The index has recovered if it is 5 bps on the safe side of the liquidation price."""

_MEASURES: dict[str, Callable[[Episode], float]] = {
    "wait": lambda episode: episode.slices[0].waited_seconds,
    # Rounded to a hundredth of a bp: smaller differences are those of sums of floats.
    "price worse than the book": lambda episode: round(episode.slices[0].surcharge_bps, 2) + 0.0,
    "share closed": lambda episode: min(episode.taken_ratio, 1.0),
}

_EFFECTS = ("share closed",)
"""Comparisons that show what the strategy does, such as closing small positions whole: checks 11
and 16 judge the strategy. Segments differ in it because their sizes do."""


def _by_segment(
    evidence: Evidence, episodes: list[Episode], name: str, values: Floats, stratum: Ints
) -> list[tuple[str, Association]]:
    """Compare each segment of accounts with all others."""
    accounts = evidence.accounts
    segments = [
        (accounts[e.account].segment or "") if e.account in accounts else "" for e in episodes
    ]
    found = []
    for segment in sorted(set(segments) - {""}):
        known = np.isfinite(values) & np.array([its != "" for its in segments])
        group = np.array([its == segment for its in segments])
        if group[known].sum() >= LEAST_TESTED // 4 and (~group[known]).any():
            difference = class_difference(values[known], group[known], stratum[known], seed=SEED)
            found.append((f"{name} of segment {segment}", difference))
    return found


CHECKS = (
    Check("20", "price_received", "Liquidations get the price that the visible book offers.",
          ("trades", "orders"), "this guide", price_received),
    Check("22", "service_order", "Who is worse off and has waited longer is served first.",
          ("trades", "positions", "references", "margins"), "this guide", service_order),
    Check("23", "equal_treatment", "Wait, price and excess do not depend on size or segment.",
          ("trades", "positions", "accounts"), "this guide", equal_treatment),
    Check("24", "rebound", "Little is liquidated after the index has recovered.",
          ("trades", "positions", "references", "margins"), "this guide", rebound),
)  # fmt: skip
"""The checks of this group, in their order."""
