"""What is published of a change of margin parameters, and what it would liquidate."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from detectors.fairness.margin_drivers import Drivers
from detectors.market_data.events import Margin
from detectors.risk.what_if.scenario import Scenario
from detectors.risk_watch.holdings import Holdings
from detectors.risk_watch.records import RULE_VERSION, Interval
from detectors.risk_watch.what_if import ScenarioOutcome, Standing, answer


class ChangedValue(Struct, frozen=True, gc=False):
    """One number that differs; ``name`` is its field in a margin record, with the tier's number."""

    name: str
    before: float
    after: float


class ForcedElsewhere(Struct, frozen=True, gc=False):
    """What the run forces in another symbol, with the median impact, in the quote currency."""

    symbol: str
    notional: float


class ParameterChange(Struct, frozen=True, kw_only=True):
    """A change of a symbol's margin parameters, with what it would liquidate as things stand.

    It is published once, at the end of the second in which the change became known. Changes that
    take effect at the same moment are computed together. All amounts are beyond what the present
    parameters would liquidate, in the quote currency.

    Attributes
    ----------
    change_id
        Names the change among those of all symbols.
    announced_at, effective_at
        In nanoseconds. ``announced_at`` is null for a change that nobody announced.
    notice_seconds
        From the announcement, or else the record, to the effect; at least 0.
    is_silent
        Whether nobody announced it before its effect, or with less notice than the venue promises.
    values
        What differs.
    moves_liquidations
        Whether maintenance margins differ. Initial margins and the largest leverage only bind new
        orders, and a mark window changes later mark prices: they liquidate nobody at once.
    at_once_accounts
        Accounts below the new maintenance margin and not below the present one, an isolated
        position as an account of its own. Of all changes that take effect together.
    at_once_notional, at_once_ratio
        What the venue closes of this symbol in a first round, and as a share of its open interest.
    run
        What is closed of this symbol once the price impact has forced others as well.
    elsewhere
        The same in other symbols.
    loss
        Losses beyond collateral in the whole venue.
    turns
        Most changes of direction of one number within a day.
    churn
        The sum of a number's changes over its net change, within a day; 0 below three changes.
    drivers
        What preceded the change, and what is inferred of all changes of the symbol's margin rates;
        null for a change of something else.
    least_notice_seconds
        The least notice within which 90 % of the accounts that earlier changes of the venue would
        have liquidated have answered by more margin or a smaller position; null below 20 accounts,
        or if fewer ever answered.
    reason, rule_version
        As the venue publishes them.
    computation_version
        Another one means other formulas.
    assumptions
        See `WhatIfAnswer`; empty without liquidations.
    """

    symbol: str
    ts_event: int
    change_id: str
    announced_at: int | None
    effective_at: int
    notice_seconds: float
    is_silent: bool
    values: list[ChangedValue]
    moves_liquidations: bool
    at_once_accounts: int = 0
    at_once_notional: float = 0.0
    at_once_ratio: float = 0.0
    run: Interval = Interval(0.0, 0.0, 0.0)
    elsewhere: list[ForcedElsewhere] = []
    loss: Interval = Interval(0.0, 0.0, 0.0)
    turns: int = 0
    churn: float = 0.0
    drivers: Drivers | None = None
    least_notice_seconds: float | None = None
    reason: str | None = None
    rule_version: str | None = None
    assumptions: list[str] = []
    computation_version: str = RULE_VERSION


class Effect(NamedTuple):
    """What changes would liquidate; the fields are those of `ParameterChange`."""

    at_once_accounts: int
    at_once_notional: float
    at_once_ratio: float
    run: Interval
    elsewhere: list[ForcedElsewhere]
    loss: Interval
    assumptions: list[str]


def effects(changes: Sequence[Margin], venue: Standing) -> dict[str, Effect]:
    """Return what changes that take effect together would liquidate, by symbol.

    Parameters
    ----------
    changes
        The margin records.
    venue
        The venue before they take effect, see `standing`; it stays as it is.
    """
    changed = venue._replace(holdings=venue.holdings.copy())
    for margin in changes:
        _put_in_force(changed.holdings, margin)
    before, after = answer(venue, Scenario()), answer(changed, Scenario())
    accounts = max(after.after.below_at_once - before.after.below_at_once, 0)
    loss = _more(after.after.loss, before.after.loss)
    forced, usual = _forced(after.after), _forced(before.after)
    found = {}
    for symbol in {its.symbol: None for its in changes}:
        at_once = max(_first(after.after, symbol) - _first(before.after, symbol), 0.0)
        interest = _open_interest(venue.holdings, symbol)
        found[symbol] = Effect(
            accounts,
            at_once,
            at_once / interest if interest > 0.0 else 0.0,
            _more(_of(after.after, symbol), _of(before.after, symbol)),
            [
                ForcedElsewhere(other, more)
                for other, notional in sorted(forced.items())
                if other != symbol and (more := notional - usual.get(other, 0.0)) > 0.0
            ],
            loss,
            after.assumptions,
        )
    return found


def _put_in_force(holdings: Holdings, margin: Margin) -> None:
    """Let a change be in force, and those that are announced for before it."""
    terms = holdings.of(margin.symbol)
    pending, terms.pending = terms.pending, []
    effective = margin.effective_at or 0
    for its in (*(its for its in pending if (its.effective_at or 0) < effective), margin):
        holdings.put_margin(replace(its, effective_at=None))


def _first(outcome: ScenarioOutcome, symbol: str) -> float:
    its = [side.generations for side in outcome.sides if side.symbol == symbol]
    return sum((generations[0] for generations in its if generations), 0.0)


def _of(outcome: ScenarioOutcome, symbol: str) -> Interval:
    sides = [side.forced for side in outcome.sides if side.symbol == symbol]
    return Interval(*(
        sum(getattr(its, name) or 0.0 for its in sides) for name in ("p10", "p50", "p90")
    ))  # fmt: skip


def _forced(outcome: ScenarioOutcome) -> dict[str, float]:
    """Return what is forced of each symbol with the median impact."""
    found: dict[str, float] = {}
    for side in outcome.sides:
        found[side.symbol] = found.get(side.symbol, 0.0) + (side.forced.p50 or 0.0)
    return found


def _more(after: Interval, before: Interval) -> Interval:
    """Return by how much an interval is higher, quantile by quantile, at least 0."""
    return Interval(*(
        max((getattr(after, name) or 0.0) - (getattr(before, name) or 0.0), 0.0)
        for name in ("p10", "p50", "p90")
    ))  # fmt: skip


def _open_interest(holdings: Holdings, symbol: str) -> float:
    """Return the open interest in the quote currency; 0 if it is unknown."""
    terms = holdings.of(symbol)
    notional = terms.open_interest * (1.0 if terms.inverse else terms.mark)
    return max(0.0, notional)
