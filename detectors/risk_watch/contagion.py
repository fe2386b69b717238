"""The detector ``contagion``: liquidations would keep each other going, across symbols.

It judges no statistic and has no budget of false alarms. It states how liquidations would spread
from the positions that are known, once that has held for a minute.
"""

import math
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from detectors.incidents.alerts import Alert, Evidence, Reason, firing, resolved
from detectors.incidents.kind import CONTAGION
from detectors.incidents.market_wide import MARKET
from detectors.risk.contagion.path import Step
from detectors.risk_watch.assessment import NEAR_RATIO
from detectors.risk_watch.holdings import Holdings
from detectors.risk_watch.spread import LEAST_STEP_RATIO, LIKELY, Spread

VERSION = 1

ENTER, LEAVE = LIKELY, 0.5
"""The probability of a radius of 1 from which an incident opens, and below which it resolves."""

ENTER_ELSEWHERE_RATIO, LEAVE_ELSEWHERE_RATIO = 0.1, 0.05
"""The same for the share of what is forced that is not in the first symbol: a run that stays in one
symbol is for the detector `cascade`."""

HOLD_NS = UPDATE_NS = 60_000_000_000

MATERIAL_RATIO = 0.25

LEAST_COVERAGE = 0.9

_TOLD_STEPS = 3


class ToldSpread(Struct):
    """What a change is judged against: the seed, what it reaches and the radius, as told last."""

    seed: str
    reached: list[str]
    radius: float

    @staticmethod
    def of(spread: Spread) -> "ToldSpread":
        """Return what a state tells."""
        reached = [spread.name(step.target) for step in spread.path]
        return ToldSpread(spread.name(spread.seed), reached, spread.radius.p50)


class Contagion:
    """The incident of the venue.

    Attributes
    ----------
    alert
        The last alert of the open incident; None without one.
    spread
        The last state; None if nothing keeps itself going, or is known of it.
    suppressed
        Why an incident that would be open is held back; None if none is.
    since
        Since when liquidations would spread.
    told
        What was told last of the open incident; None without one, or if it is not known.
    """

    __slots__ = ("alert", "since", "spread", "suppressed", "told")

    def __init__(self) -> None:
        self.alert: Alert | None = None
        self.spread: Spread | None = None
        self.suppressed: str | None = None
        self.told: ToldSpread | None = None
        self.since: int | None = None

    def step(self, ts_event: int, spread: Spread | None, holdings: Holdings) -> list[Alert]:
        """Return the alerts of a state that is found at ``ts_event``."""
        self.note(ts_event, spread, holdings)
        self.suppressed = None
        if self.alert is not None:
            covered = spread is not None and _covered(spread, holdings)
            return self._continue(self.alert, ts_event, spread if covered else None)
        if spread is None or not self._held(ts_event):
            return []
        return [self._tell(spread, ts_event, "opened")]

    def hold_back(
        self, ts_event: int, spread: Spread | None, holdings: Holdings, reason: str
    ) -> list[Alert]:
        """Let no incident be open at ``ts_event``; return the alert that ends one which is."""
        self.note(ts_event, spread, holdings)
        self.suppressed = reason if self._held(ts_event) else None
        if self.alert is None:
            return []
        over = resolved(self.alert, ts_event, f"Held back, {reason}")
        self.alert = self.told = None
        return [over]

    def _held(self, ts_event: int) -> bool:
        return self.since is not None and ts_event - self.since >= HOLD_NS

    def note(self, ts_event: int, spread: Spread | None, holdings: Holdings) -> None:
        """Note since when liquidations would spread."""
        self.spread = spread
        spreads = (
            spread is not None
            and spread.probability >= ENTER
            and spread.elsewhere_ratio >= ENTER_ELSEWHERE_RATIO
            and bool(spread.path)
            and _covered(spread, holdings)
        )
        if not spreads:
            self.since = None
        elif self.since is None:
            self.since = ts_event

    def resume(self, alert: Alert) -> None:
        """Continue the incident from its last published alert."""
        self.alert = alert

    def _continue(self, alert: Alert, ts_event: int, spread: Spread | None) -> list[Alert]:
        if (
            spread is None
            or spread.probability < LEAVE
            or spread.elsewhere_ratio < LEAVE_ELSEWHERE_RATIO
            or not spread.path
        ):
            self.alert = self.told = None
            return [resolved(alert, ts_event, _over(spread))]
        if ts_event - alert.ts_event < UPDATE_NS:
            return []
        self.told = self.told or ToldSpread.of(spread)  # what was told is not known
        change = _change(self.told, ToldSpread.of(spread))
        return [self._tell(spread, ts_event, change)] if change is not None else []

    def _tell(self, spread: Spread, ts_event: int, reason: Reason) -> Alert:
        before = self.alert
        alert = firing(
            MARKET,
            CONTAGION,
            VERSION,
            "warning",
            before.starts_at if before is not None else ts_event,
            ts_event,
            score=spread.probability,
            p_value=1.0 - spread.probability,
            evidence=_evidence(spread),
            summary=sentence(spread),
            inputs=[],
            reason=reason,
        )
        self.alert = replace(
            alert,
            update=before.update + 1 if before is not None else 0,
            opening=before.opening if before is not None else alert.summary,
        )
        self.told = ToldSpread.of(spread)
        return self.alert


def _covered(spread: Spread, holdings: Holdings) -> bool:
    """Return whether enough is known of the symbols on the way to state a reproduction number."""
    nodes = {spread.seed, *(step.target for step in spread.path)}
    for symbol in sorted({spread.symbols[node // 2] for node in nodes}):
        interest = holdings.of(symbol).open_interest
        rows = holdings.positions.rows_of(symbol)
        quantity = holdings.positions.quantity[rows]
        longs = float(quantity[quantity > 0.0].sum())
        if not (math.isfinite(interest) and longs >= LEAST_COVERAGE * interest):
            return False
    return True


def _change(told: ToldSpread, now: ToldSpread) -> Literal["better", "worse"] | None:
    """Return how the state has changed materially since it was told; None if it has not."""
    before, reached = set(told.reached), set(now.reached)
    ratio = now.radius / told.radius
    if now.seed != told.seed or reached - before:
        return "worse"
    if ratio > 1.0 + MATERIAL_RATIO:
        return "worse"
    if ratio < 1.0 / (1.0 + MATERIAL_RATIO) or before - reached:
        return "better"
    return None


def _evidence(spread: Spread) -> list[Evidence]:
    found = [
        Evidence(CONTAGION, "probability", spread.probability, ENTER, 1.0),
        Evidence(CONTAGION, "radius", spread.radius.p50, 1.0, 0.0),
        Evidence(CONTAGION, "elsewhere_ratio", spread.elsewhere_ratio, ENTER_ELSEWHERE_RATIO, 0.0),
        Evidence(CONTAGION, "seed_stability", spread.stability, 1.0, 0.0),
    ]
    if math.isfinite(spread.doubling_seconds):
        found.append(Evidence(CONTAGION, "doubling_seconds", spread.doubling_seconds, 0.0, 0.0))
    return found


def sentence(spread: Spread) -> str:
    """Return what an alert says: from where, whereto, by what, how much, and how fast."""
    move = "fall" if spread.seed % 2 == 0 else "rise"
    ways = [_way(spread, step) for step in spread.path[:_TOLD_STEPS]]
    told = ", then ".join(ways)
    low, middle, high = (f"{value:.2g}" for value in spread.radius)
    first, far = spread.name(spread.seed), f"{100 * spread.reach:.2g} %"
    parts = [
        f"A {move} of {spread.symbols[spread.seed // 2]} by {100 * NEAR_RATIO:.2g} % would set off",
        f" liquidations of {first} that move it by {far} or more and spread to {told}",
        f". Each unit that is liquidated forces {middle} more ({low} to {high})",
    ]
    back = _back(spread)
    if back:
        parts.insert(2, back)
    if math.isfinite(spread.doubling_seconds):
        parts.append(f", doubling in {max(spread.doubling_seconds, 1.0):.0f} s")
    across = [edge for edge in spread.edges if edge.source // 2 != edge.target // 2]
    if across:
        edge = across[0]
        parts.append(
            f". The link that keeps it going across symbols is {spread.name(edge.source)} to"
            f" {spread.name(edge.target)}"
        )
    if spread.assumed_isolated:
        parts.append(". Cross positions of unknown collateral count as isolated")
    return "".join(parts)


def _back(spread: Spread) -> str:
    """Return that the first symbol on the way would set off the same in the other direction."""
    first, second = spread.seed, spread.path[0].target
    gain = float(spread.matrix[second, first])
    if first // 2 == second // 2 or gain < LEAST_STEP_RATIO:
        return ""
    # Half as important as the first: the symbol in which the sale happens decides which is first.
    if spread.infects[second] < 0.5 * spread.infects[first]:
        return ""
    move = "fall" if second % 2 == 0 else "rise"
    return (
        f". A {move} of {spread.symbols[second // 2]} would spread to {spread.name(first)}"
        f" likewise ({gain:.2g})"
    )


def _way(spread: Spread, step: Step) -> str:
    return (
        f"{spread.name(step.target)} ({step.ratio:.2g} for each unit, by"
        f" {spread.channel(step.source, step.target)}, after {step.seconds:.0f} s)"
    )


def _over(spread: Spread | None) -> str:
    if spread is None:
        return "Liquidations would not keep each other going, as far as is known"
    return (
        f"Each unit that is liquidated forces {spread.radius.p50:.2g} more;"
        f" {100 * spread.elsewhere_ratio:.0f} % of it in other symbols than"
        f" {spread.symbols[spread.seed // 2]}"
    )
