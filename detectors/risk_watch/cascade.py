"""The detector ``cascade``: a small move would set off a run of liquidations.

It judges no statistic and has no budget of false alarms: it states how far the positions of a
symbol are from a run over 40 % of its open interest, once that is near for a minute.
"""

import math
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from detectors.incidents.alerts import Alert, Evidence, Reason, Severity, ended, firing, resolved
from detectors.incidents.kind import CASCADE as NAME
from detectors.risk.drawn_runs import drawn_outcomes
from detectors.risk.ladder import Side
from detectors.risk.outcome import Outcome
from detectors.risk_watch.assessment import (
    NEAR_RATIO,
    Assessment,
    Learned,
    Whale,
)
from detectors.risk_watch.holdings import Holdings
from detectors.risk_watch.records import CASCADE_RATIO

VERSION = 1

ENTER = 0.8
LEAVE = 0.5
"""The probability of a near cascade from which an incident opens, and below which it resolves."""

HOLD_NS = 60_000_000_000
"""An incident opens when the probability has been high for so long."""

UPDATE_NS = 60_000_000_000
"""An incident is told again at most once in this time."""

MATERIAL_RATIO = 0.25
"""A distance or an amount that differs by more than this is a material change."""

WHALE_RATIO = 0.15
"""One account with so much of the open interest within 1 % is told as evidence."""

_MOVES: dict[Side, tuple[str, str]] = {"long": ("fall", "sale"), "short": ("rise", "purchase")}


class Facts(NamedTuple):
    """What an alert tells about the side that is nearest to a cascade.

    ``distance`` is the median, as a ratio. ``sale`` is the ordinary sale (or purchase) that makes
    this move. ``outcome`` is that of the run with the median impact; None if no shock sets it off.
    """

    its: Assessment
    probability: float
    distance: float
    sale: float
    outcome: Outcome | None
    whale: Whale | None
    fund: float | None
    severe: bool


class Told(Struct):
    """What a change is judged against: the facts that were told last.

    ``notional`` is what the run with the median impact forces; None if no shock sets it off.
    """

    side: Side
    distance: float | None
    notional: float | None

    @staticmethod
    def of(facts: Facts) -> "Told":
        """Return what facts tell; a distance of None is infinite."""
        outcome = facts.outcome
        return Told(
            facts.its.side,
            facts.distance if math.isfinite(facts.distance) else None,
            outcome.notional if outcome is not None else None,
        )


class Cascade:
    """The incident of one symbol.

    Attributes
    ----------
    alert
        The last alert of the open incident; None without one.
    suppressed
        Why an incident that would be open is held back; None if none is.
    told
        What was told last of the open incident; None without one, or if it is not known.
    near_since
        Since when each side is near a cascade.
    """

    __slots__ = ("alert", "near_since", "suppressed", "symbol", "told")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.alert: Alert | None = None
        self.suppressed: str | None = None
        self.told: Told | None = None
        self.near_since: dict[Side, int] = {}

    @property
    def watched(self) -> bool:
        """Whether time alone may change something."""
        return self.alert is not None or bool(self.near_since)

    def step(
        self,
        ts_event: int,
        sides: dict[Side, Assessment],
        learned: Learned | None,
        holdings: Holdings,
    ) -> list[Alert]:
        """Return the alerts of a second that ends at ``ts_event``."""
        self.note(ts_event, sides)
        self.suppressed = None
        if self.alert is not None:
            return self._continue(ts_event, sides, learned, holdings)
        held = self._held(ts_event)
        if not held:
            return []
        facts = _facts(max((sides[side] for side in held), key=_probability), learned, holdings)
        return [self._tell(facts, ts_event, "critical" if facts.severe else "warning", "opened")]

    def hold_back(self, ts_event: int, sides: dict[Side, Assessment], reason: str) -> list[Alert]:
        """Let no incident be open in a second; return the alert that ends one which is.

        The sides are near a cascade since they were: once nothing holds it back, an incident opens
        without another minute.
        """
        self.note(ts_event, sides)
        self.suppressed = reason if self._held(ts_event) else None
        if self.alert is None:
            return []
        over = ended(self.alert, ts_event, f"held back, {reason}")
        self.alert = self.told = None
        return [over]

    def _held(self, ts_event: int) -> list[Side]:
        """Return the sides that have been near a cascade for long enough."""
        return [side for side, since in self.near_since.items() if ts_event - since >= HOLD_NS]

    def note(self, ts_event: int, sides: dict[Side, Assessment]) -> None:
        """Note since when each side is near a cascade."""
        for side in _MOVES:
            its = sides.get(side)
            if its is None or its.probability < ENTER:
                self.near_since.pop(side, None)
            else:
                self.near_since.setdefault(side, ts_event)

    def resume(self, alert: Alert) -> None:
        """Continue an incident from its last published alert, with what is known to be told."""
        self.alert = alert

    def note_told(
        self, sides: dict[Side, Assessment], learned: Learned | None, holdings: Holdings
    ) -> None:
        """Note that another monitor has told of these sides."""
        nearest = max(sides.values(), key=_probability, default=None)
        if nearest is not None and len(nearest.slopes):
            self.told = Told.of(_facts(nearest, learned, holdings))

    def _continue(
        self,
        ts_event: int,
        sides: dict[Side, Assessment],
        learned: Learned | None,
        holdings: Holdings,
    ) -> list[Alert]:
        alert, told = self.alert, self.told
        assert alert is not None
        nearest = max(sides.values(), key=_probability, default=None)
        if nearest is None or nearest.probability < LEAVE:
            self.alert = self.told = None
            return [resolved(alert, ts_event, _over(self.symbol, nearest))]
        due = ts_event - alert.ts_event >= UPDATE_NS
        if not due and alert.severity == "critical":
            return []
        facts = _facts(nearest, learned, holdings)
        self.told = told = told or Told.of(facts)  # what was told is not known
        if facts.severe and alert.severity != "critical":
            return [self._tell(facts, ts_event, "critical", "severity")]
        if due and (change := _change(told, Told.of(facts))) is not None:
            return [self._tell(facts, ts_event, alert.severity, change)]
        return []

    def _tell(self, facts: Facts, ts_event: int, severity: Severity, reason: Reason) -> Alert:
        before = self.alert
        alert = firing(
            self.symbol,
            NAME,
            VERSION,
            severity,
            before.starts_at if before is not None else ts_event,
            ts_event,
            score=facts.probability,
            p_value=1.0 - facts.probability,
            evidence=_evidence(facts),
            summary=sentence(facts),
            inputs=[],
            reason=reason,
        )
        updates = reason in ("better", "worse")
        self.alert = replace(
            alert,
            update=before.update + 1 if before is not None and updates else 0,
            opening=before.opening if before is not None else alert.summary,
        )
        self.told = Told.of(facts)
        return self.alert


def _facts(its: Assessment, learned: Learned | None, holdings: Holdings) -> Facts:
    distances = its.distances
    distance = distances.p50 if distances is not None else math.inf
    middle = its.slopes[len(its.slopes) // 2 : len(its.slopes) // 2 + 1]
    fund = holdings.fund(its.symbol)
    wanted = CASCADE_RATIO * its.open_interest
    outcomes = drawn_outcomes(its.ladder, its.rule, its.forced, middle, wanted, fund or 0.0)
    slope = learned.flow.slope if learned is not None else math.nan
    withdrawn = learned is not None and learned.withdrawals.going_on
    usual = learned.flow.p99_minute_move if learned is not None else math.nan
    whale = its.whale(holdings)
    return Facts(
        its,
        its.probability,
        distance,
        distance / slope if slope > 0.0 else math.inf,
        outcomes[0] if outcomes else None,
        whale if whale is not None and whale.ratio >= WHALE_RATIO else None,
        fund,
        withdrawn or distance < usual,
    )


def _change(told: Told, now: Told) -> Literal["better", "worse"] | None:
    """Return how an incident has changed materially since it was told; None if it has not."""
    if now.side != told.side:
        return "worse"
    # A distance of next to nothing does not halve for ever.
    floor = 0.1 * NEAR_RATIO
    nearer = 1.0
    if told.distance is not None:
        nearer = (
            (told.distance + floor) / (now.distance + floor) if now.distance is not None else 0.0
        )
    more = now.notional / told.notional if now.notional and told.notional else 1.0
    for ratio in (nearer, more):
        if ratio > 1.0 + MATERIAL_RATIO:
            return "worse"
    for ratio in (nearer, more):
        if ratio < 1.0 / (1.0 + MATERIAL_RATIO):
            return "better"
    return None


def _evidence(facts: Facts) -> list[Evidence]:
    outcome, its = facts.outcome, facts.its
    found = [
        Evidence(NAME, "probability", facts.probability, ENTER, 1.0),
        Evidence(NAME, "distance_ratio", min(facts.distance, 1.0), NEAR_RATIO, 0.0),
    ]
    if outcome is not None:
        share = outcome.notional / its.open_interest
        found.append(Evidence(NAME, "forced_ratio", share, CASCADE_RATIO, 0.0))
        found.append(Evidence(NAME, "forced_accounts", float(outcome.accounts), 0.0, 0.0))
        found.append(Evidence(NAME, "loss_beyond_fund", outcome.beyond_fund, 0.0, 0.0))
    if facts.whale is not None:
        found.append(Evidence(NAME, "whale", facts.whale.ratio, WHALE_RATIO, 0.0))
    return found


def sentence(facts: Facts) -> str:
    """Return what an alert says: how far, how much money, how many accounts, what would do it."""
    its = facts.its
    move, sale = _MOVES[its.side]
    far = f"{move} of {100 * facts.distance:.1f} %" if facts.distance >= 5e-4 else f"any {move}"
    parts = [f"{its.symbol}: a {far}" if far[0] != "a" else f"{its.symbol}: {far}"]
    outcome = facts.outcome
    if outcome is None:
        parts.append(f" may force out {its.side}s")
    else:
        share = outcome.notional / its.open_interest
        parts.append(
            f" would force out {money(outcome.notional)} of {its.side}s"
            f" ({100 * share:.0f} % of open interest, {outcome.accounts} accounts)"
        )
        if outcome.loss > 0.0:
            parts.append(f", {money(outcome.loss)} beyond their collateral")
        if facts.fund is not None:
            parts.append(f"; the fund holds {money(facts.fund)}")
    if math.isfinite(facts.sale) and facts.distance >= 5e-4:
        parts.append(f". A {sale} of {money(facts.sale)} would do it")
    if facts.whale is not None:
        parts.append(
            f". Account {facts.whale.account} alone holds {100 * facts.whale.ratio:.0f} % of open"
            " interest within 1 %"
        )
    return "".join(parts)


def _over(symbol: str, nearest: Assessment | None) -> str:
    if nearest is None:
        return f"{symbol}: the positions near liquidation are not known any more"
    distances = nearest.distances
    far = distances.p50 if distances is not None else math.inf
    if math.isinf(far):
        return f"{symbol}: no move would force out {100 * CASCADE_RATIO:.0f} % of open interest"
    move, _ = _MOVES[nearest.side]
    return (
        f"{symbol}: a {move} of {100 * far:.1f} % is needed now to force out"
        f" {100 * CASCADE_RATIO:.0f} % of open interest"
    )


def money(amount: float) -> str:
    """Return an amount with two digits and its unit of size.

    >>> money(42.4e6), money(3.14e6), money(812_000), money(5.2e9), money(45.0)
    ('42 M', '3.1 M', '810 k', '5.2 B', '45')
    """
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k"), (1.0, "")):
        if amount >= 0.9995 * size:
            value = float(f"{amount / size:.2g}")
            return f"{value:.0f}{unit}" if value >= 10.0 else f"{value:.1f}{unit}"
    return "0"


def _probability(its: Assessment) -> float:
    return its.probability
