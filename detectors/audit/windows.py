"""What other mark windows would have made of the liquidations of a record, as a table.

The path of prices is held fixed. In a cascade it would have been another one, so the table has the
first liquidations of each wave apart.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from detectors.audit.definitions import clamp_of, mark_rule_of
from detectors.audit.fair import waves
from detectors.audit.symbol_tape import Symbol
from detectors.audit.tape import Evidence
from detectors.fairness.episodes import Episode, trigger_price
from detectors.fairness.mark_windows import (
    EARLIER_SECONDS,
    HORIZONS_SECONDS,
    OWN,
    WINDOWS,
    Outcome,
    Path,
    Victim,
    marks_under,
    outcome,
    rebound_seconds,
)
from detectors.table import Floats

FIRST_NS = 10_000_000_000
"""Liquidations so soon after the first of a wave are the first ones."""

MOST_OWN_SURVIVORS = 0.05
"""If more survive under the venue's own rule, the rule is not the one that is stated."""

QUARTERS = 4


class Sums(Struct, frozen=True):
    """What a window would have made of a set of liquidations.

    Attributes
    ----------
    liquidations
        Those of which the path says enough.
    survivors_60s, survivors_300s
        Of these, how many would not have been liquidated within so long.
    earlier
        How many would have been due more than a second earlier than under the venue's own rule.
    avoided
        Regret that the survivors of 300 s would have been spared, in the quote currency.
    gained, lost
        What the others would have got more, or less, at the mid price when the mark price of the
        window reaches their liquidation price, than when that of the venue's own rule does.
    bankruptcies, shortfall
        Positions that would have ended below zero at these mid prices, and what others would have
        to pay for them, each less than under the venue's own rule if negative.
    """

    liquidations: int
    survivors_60s: int
    survivors_300s: int
    earlier: int
    avoided: float
    gained: float
    lost: float
    bankruptcies: int
    shortfall: float


class WindowRow(Struct, frozen=True):
    """A window: all liquidations, the first of each wave, and each quarter of size (rising)."""

    window: str
    every: Sums
    first: Sums
    quarters: tuple[Sums, ...]


class Frontier(Struct, frozen=True):
    """The windows, the venue's own first.

    ``withheld`` says why there is no other window; empty otherwise. ``regret`` is what all
    liquidated positions would have had more 300 s later, in the quote currency.
    ``rebounds`` counts those after which the index was back within 30, 60 and 300 s.
    """

    rows: tuple[WindowRow, ...]
    withheld: str
    regret: float
    rebounds: tuple[int, int, int]
    unknown: int


class _Case(NamedTuple):
    """A liquidation, its place in the path, and whether it is one of the first of its wave."""

    episode: Episode
    victim: Victim
    rows: slice
    is_first: bool


def frontier(evidence: Evidence) -> Frontier:
    """Return the table of the windows over all liquidations of isolated positions."""
    cases = _cases(evidence)
    paths = {name: _path(symbol) for name, symbol in evidence.symbols.items() if len(
        symbol.references)}  # fmt: skip
    control = _outcomes(OWN, cases, evidence, paths)
    own = _row(OWN, cases, control, control, paths)
    share = own.every.survivors_300s / own.every.liquidations if own.every.liquidations else 0.0
    withheld = ""
    if not own.every.liquidations:
        withheld = (
            "no liquidation of an isolated position has references from a minute before to five "
            "minutes after it"
        )
    elif share > MOST_OWN_SURVIVORS:
        withheld = (
            f"under the venue's own rule {own.every.survivors_300s:,} of "
            f"{own.every.liquidations:,} would not have been liquidated: the mark price is not "
            "made as stated (check 3), or not the trigger (check 1)"
        )
    rows = [own]
    if not withheld:
        for window in WINDOWS:
            outcomes = _outcomes(window, cases, evidence, paths)
            rows.append(_row(window, cases, outcomes, control, paths))
    regrets, back = 0.0, [0, 0, 0]
    for case in cases:
        path = _part(paths[case.episode.symbol], case.rows)
        regrets += _regret(path, case.victim)
        seconds = rebound_seconds(path, case.victim)
        for place, limit in enumerate((30.0, 60.0, 300.0)):
            back[place] += seconds is not None and seconds <= limit
    unknown = len(evidence.episodes) - len(cases)
    return Frontier(tuple(rows), withheld, regrets, (back[0], back[1], back[2]), unknown)


def _cases(evidence: Evidence) -> list[_Case]:
    numbers = waves(evidence.episodes)
    begun: dict[int, int] = {}
    found = []
    for episode, wave in zip(evidence.episodes, numbers.tolist(), strict=True):
        first_ns = begun.setdefault(wave, episode.ts_event)
        its = evidence.symbols[episode.symbol].references
        part = episode.slices[0]
        trigger = trigger_price(part)
        if not math.isfinite(trigger) or trigger <= 0.0 or not len(its):
            continue
        at = episode.ts_event / 1e9
        times = its.times() / 1e9
        rows = slice(
            int(np.searchsorted(times, at - EARLIER_SECONDS - 1.0)),
            int(np.searchsorted(times, at + HORIZONS_SECONDS[1], side="right")) + 1,
        )
        if times[rows][-1:].size == 0 or times[rows][-1] < at + HORIZONS_SECONDS[1] - 1.0:
            continue
        slices = [one for one in episode.slices if one.filled]
        victim = Victim(
            at, trigger, 1.0 if part.quantity > 0.0 else -1.0,
            np.array([one.filled for one in slices]), np.array([one.price for one in slices]),
        )  # fmt: skip
        found.append(_Case(episode, victim, rows, episode.ts_event - first_ns <= FIRST_NS))
    return found


def _path(symbol: Symbol) -> Path:
    its = symbol.references
    return Path(
        its.times() / 1e9, its.column("mid"), its.column("last"), its.column("index"),
        its.column("mark"),
    )  # fmt: skip


def _part(path: Path, rows: slice) -> Path:
    return Path(
        path.times[rows], path.mid[rows], path.last[rows], path.index[rows], path.mark[rows]
    )


def _outcomes(
    window: str, cases: Sequence[_Case], evidence: Evidence, paths: dict[str, Path]
) -> list[Outcome]:
    marks: dict[str, Floats] = {}
    found = []
    for case in cases:
        name = case.episode.symbol
        if name not in marks:
            symbol = evidence.symbols[name]
            rule = mark_rule_of(symbol)
            marks[name] = marks_under(paths[name], window, clamp_of(symbol), rule)
        path = _part(paths[name], case.rows)
        found.append(outcome(window, marks[name][case.rows], path, case.victim))
    return found


def _row(
    window: str,
    cases: Sequence[_Case],
    outcomes: Sequence[Outcome],
    control: Sequence[Outcome],
    paths: dict[str, Path],
) -> WindowRow:
    sizes = [case.episode.first_quantity * case.episode.slices[0].price for case in cases]
    order = np.argsort(np.argsort(sizes, kind="stable"), kind="stable")
    quarter = order * QUARTERS // max(1, len(cases))

    def sums(chosen: Sequence[bool]) -> Sums:
        every = zip(cases, outcomes, control, chosen, strict=True)
        return _sums([
            (case, its, own)
            for case, its, own, is_in in every
            if is_in and its.survives_300s is not None and own.survives_300s is not None
        ], paths)  # fmt: skip

    return WindowRow(
        window, sums([True] * len(cases)), sums([case.is_first for case in cases]),
        tuple(sums((quarter == number).tolist()) for number in range(QUARTERS)),
    )  # fmt: skip


def _sums(chosen: list[tuple[_Case, Outcome, Outcome]], paths: dict[str, Path]) -> Sums:
    bankrupt, short, gained, lost = 0, 0.0, 0.0, 0.0
    for case, its, own in chosen:
        path = paths[case.episode.symbol]
        then, now = _left(case, its, path), _left(case, own, path)
        bankrupt += (then is not None and then < 0.0) - (now is not None and now < 0.0)
        short += max(0.0, -(then or 0.0)) - max(0.0, -(now or 0.0))
        if then is not None and now is not None:
            gained += max(0.0, then - now)
            lost += max(0.0, now - then)
    return Sums(
        len(chosen),
        sum(bool(its.survives_60s) for _, its, _ in chosen),
        sum(bool(its.survives_300s) for _, its, _ in chosen),
        sum(_is_earlier(its, own) for _, its, own in chosen),
        math.fsum(its.regret for _, its, _ in chosen),
        gained,
        lost,
        bankrupt,
        short,
    )  # fmt: skip


def _is_earlier(its: Outcome, own: Outcome) -> bool:
    if its.delay_seconds is None:
        return False
    return own.delay_seconds is None or its.delay_seconds < own.delay_seconds - 1.0


def _left(case: _Case, its: Outcome, path: Path) -> float | None:
    """Return what would be left of the margin at the mid price of the delay; None if it lives."""
    if its.survives_300s or its.delay_seconds is None:
        return None
    part, victim = case.episode.slices[0], case.victim
    place = int(np.searchsorted(path.times, victim.at_seconds + its.delay_seconds, side="right"))
    mid = float(path.mid[max(0, place - 1)])
    if not math.isfinite(mid):
        return None
    quantity = float(victim.quantities.sum())
    return part.margin + victim.sign * quantity * (mid - part.entry_price)


def _regret(path: Path, victim: Victim) -> float:
    """Return what the position would have had more 300 s after its first slice; at least 0."""
    place = int(np.searchsorted(path.times, victim.at_seconds + HORIZONS_SECONDS[1], side="right"))
    mid = float(path.mid[max(0, place - 1)])
    paid = float(victim.quantities @ victim.prices)
    more = victim.sign * (float(victim.quantities.sum()) * mid - paid)
    return max(0.0, more) if math.isfinite(more) else 0.0
