"""The demo's captions: what the scenario injects, and the summary at the end."""

from collections import Counter
from collections.abc import Callable, Mapping

from msgspec import Struct

from detectors.incidents.alerts import Alert
from detectors.incidents.market_wide import MARKET
from detectors.risk_watch.records import Interval, RiskRecord, cascade_of
from service.demo.observations import IncidentView, Observations
from service.demo.plan import Plan
from service.exchange.measures import Truth

_INJECTIONS = {
    "surge": "all participants trade far more often, without stress",
    "cancel_burst": "makers pull nearly all quotes",
    "leverage_buildup": "accounts raise their leverage and buy",
    "leverage_jump": "one account moves to maximum leverage and buys",
    "leverage_creep": "one account raises its leverage step by step and buys",
    "leverage_rush": "many accounts raise their leverage at once and buy",
    "draining_book": "makers reduce their quote sizes",
    "pulled_book": "makers pull all bids and quote none",
    "spoofing": "one account repeatedly shows a large ask, and buys",
    "thin_clustering": "trades cluster in a thin book that is refilled slowly",
    "flash_crash": "a seller ignores the price, and makers leave",
    "market_wide": "makers leave several symbols at once",
    "big_trade": "one large sale within a minute",
    "opening_burst": "the session opens with far more activity",
    "first_minutes": "the session's first minutes, with far more activity",
    "long_lull": "almost no activity for an hour",
    "quiet_listing": "a contract with little flow",
    "feed_gap": "published events do not arrive",
    "activity_regime": "lasting, far higher activity",
    "sequence_gap": "some published events do not arrive",
    "frozen_cancels": "cancels do not arrive: the feed is frozen",
    "ghost_orders": "half of the cancels and trades are lost",
    "stale_references": "mark and index prices do not change",
    "auction": "the contract is in a call auction: orders cross, and nothing trades",
    "halt": "the venue has halted the contract",
    "reopening_auction": "the contract reopens with an auction",
    "expiry": "the contract expires",
    "cascade": "liquidations trigger liquidations: a cascade",
}


MOVES = {"long": "a fall", "short": "a rise"}
"""The move that hits a side."""


def injection(kind: str) -> str:
    """The injection of an episode of this kind, as a clause.

    >>> injection("quote_stuffing")
    'quote stuffing'
    """
    return _INJECTIONS.get(kind, label(kind))


def label(kind: str) -> str:
    """The name of a detector or an episode kind as words."""
    return kind.replace("_", " ")


def evidence(alert: Alert, most: int = 3) -> str:
    """The features that contributed most to an alert, with their observed and expected values."""
    return ", ".join(
        f"{item.feature} {item.value:.3g} ({item.expected:.3g} expected)"
        for item in alert.evidence[:most]
    )


def money(notional: float) -> str:
    """An amount of the quote currency, abbreviated.

    >>> money(7_865_014.43), money(12_300), money(0)
    ('7.9 M', '12.3 k', '0')
    """
    if notional >= 1e6:
        return f"{notional / 1e6:.1f} M"
    return f"{notional / 1e3:.1f} k" if notional >= 1e3 else f"{notional:.0f}"


class Totals(Struct, frozen=True):
    """Counts of the records that the exchange produced, and the elapsed seconds."""

    produced: int
    scored: int
    late: int
    rejected: int
    seconds: float

    @property
    def processed(self) -> int:
        """Records that the service has scored, dropped as late or rejected."""
        return self.scored + self.late + self.rejected

    @property
    def pending(self) -> int:
        """Records that the service has not processed yet."""
        return self.produced - self.processed


def summary(plan: Plan, observations: Observations, totals: Totals) -> list[tuple[str, str]]:
    """The final lines, as pairs of a heading and a text."""
    lines = [("events", _events(totals))]
    if observations.market_ns < plan.end_ns:
        reached, whole = plan.clock(observations.market_ns), plan.clock(plan.end_ns)
        lines.append(("market", f"stopped at {reached} of {whole}"))
    elif totals.seconds > 1.1 * plan.seconds + 1.0:
        took = f"took {totals.seconds:.0f} s instead of {plan.seconds:.0f} s"
        lines.append(("market", f"{took}: this machine is too slow or too busy for this speed"))
    lines.append(("incidents", _incidents(list(observations.incidents.values()))))
    if observations.drifts:
        lines.append(
            ("drift", f"{len(observations.drifts)} lasting changes; baselines learned again")
        )
    if observations.feeds:
        lines.append(("feeds", f"{len(observations.feeds)} feed incidents (unreliable input)"))
    lines += [("", text) for text in _unexplained(plan, observations)]
    if not observations.cascades:
        lines.append(("cascade", _no_cascade(plan, observations)))
    for cascade in observations.cascades:
        lines.append(("cascade", _cascade(plan, cascade)))
        lines.append(("warning", _lead(plan, observations.incidents, cascade)))
        lines.append(("positions", _lead(plan, observations.positions, cascade)))
        lines += _prediction(plan, observations, cascade)
    return lines


def _events(totals: Totals) -> str:
    text = (
        f"{totals.produced:,} produced: {totals.scored:,} scored, {totals.late:,} late, "
        f"{totals.rejected:,} rejected"
    )
    return f"{text}, {totals.pending:,} not yet read" if totals.pending else text


def _incidents(incidents: list[IncidentView]) -> str:
    if not incidents:
        return "none"
    counts = Counter((view.opened.detector, view.severity) for view in incidents)
    parts = [
        f"{count} {severity} ({detector})" for (detector, severity), count in sorted(counts.items())
    ]
    return f"{len(incidents)}: {', '.join(parts)}"


def _unexplained(plan: Plan, observations: Observations) -> list[str]:
    """How many incidents the ground truth does not explain."""
    if not observations.incidents:
        return []
    before = elsewhere = 0
    for view in observations.incidents.values():
        if view.opened.symbol == MARKET:
            continue  # the incidents of its symbols are counted
        since = plan.injected_since(view.opened.symbol)
        if since is None:
            elsewhere += 1
        elif view.opened.ts_event < since:
            before += 1
    texts = []
    if plan.scenario.episodes:
        texts.append(f"{before} of them before the injection in their symbol")
    if elsewhere or not plan.scenario.episodes:
        texts.append(f"{elsewhere} of them in symbols without an injection")
    return texts


def _no_cascade(plan: Plan, observations: Observations) -> str:
    if plan.scenario.name != "cascade":
        return f"none: scenario {plan.scenario.name} has no cascade"
    if observations.market_ns < plan.end_ns:
        return "none yet: the demo stopped earlier"
    if plan.scenario.episodes[-1].end_seconds > plan.market_seconds:
        return "none yet: increase --seconds or --speed"
    return (
        "none with this seed: cascades are not scripted, they emerge from the simulation; "
        "try another --seed"
    )


def _cascade(plan: Plan, cascade: Truth) -> str:
    seconds = (cascade.ends_at - cascade.starts_at) / 1e9
    return (
        f"{cascade.symbol} from {plan.clock(cascade.starts_at)}: the mark price moved "
        f"{cascade.peak_drawdown_ratio or 0.0:.1%}, {money(cascade.liquidated_notional or 0.0)} "
        f"liquidated in {cascade.liquidation_steps} steps over {seconds:.0f} s (ground truth)"
    )


def _prediction(plan: Plan, observations: Observations, cascade: Truth) -> list[tuple[str, str]]:
    """What the last record of risk before a cascade said of it, and what happened."""
    record = observations.nearest(cascade.symbol, cascade.starts_at)
    run = cascade_of(record) if record is not None else None
    if record is None or run is None or run.notional is None:
        return [("predicted", "no run of liquidations over 40 % of the open interest")]
    move = MOVES[record.side]
    seconds = (cascade.starts_at - record.ts_event) / 1e9
    end = end_bps(record)
    predicted = (
        f"at {plan.clock(record.ts_event)}, {seconds:.0f} s before it began: {move} of "
        f"{_interval(run.distance_bps, lambda bps: f'{bps / 100:.2f}%')} sets it off; "
        f"{_interval(run.notional, money)} forced out"
        + (f", {move} of {end / 100:.1f}% in all" if end is not None else "")
    )
    happened = (
        f"{money(cascade.liquidated_notional or 0.0)} forced out, {move} of "
        f"{cascade.peak_drawdown_ratio or 0.0:.1%} in all"
    )
    return [("predicted", predicted), ("happened", happened)]


def end_bps(record: RiskRecord) -> float | None:
    """How far the price goes in the run of a cascade; None if that is unknown.

    Its distance, and the impact of what it forces out, with the medians.
    """
    run, impact = cascade_of(record), record.impact
    if run is None or run.notional is None or impact is None or not impact.notional:
        return None
    distance, forced, flow_bps = run.distance_bps.p50, run.notional.p50, impact.flow_bps.p50
    if distance is None or forced is None or flow_bps is None:
        return None
    return distance + flow_bps * forced / impact.notional


def _interval(its: Interval, form: Callable[[float], str]) -> str:
    low, middle, high = ("?" if v is None else form(v) for v in (its.p10, its.p50, its.p90))
    return middle if low == high else f"{middle} ({low} to {high})"


def distance(record: RiskRecord) -> str:
    """How far a cascade is, and what it would force out, as a clause."""
    run = cascade_of(record)
    assert run is not None
    assert run.distance_bps.p50 is not None
    forced = f", and would force out {_interval(run.notional, money)}" if run.notional else ""
    return (
        f"{MOVES[record.side]} of {run.distance_bps.p50 / 100:.2f}% would set off a cascade of "
        f"{record.side}s{forced}"
    )


def _lead(plan: Plan, incidents: Mapping[str, IncidentView], cascade: Truth) -> str:
    """The first warning after the build-up began, and its lead before the cascade."""
    since = plan.injected_since(cascade.symbol) or plan.start_ns
    for view in incidents.values():
        alert = view.opened
        if alert.symbol == cascade.symbol and since <= alert.ts_event <= cascade.starts_at:
            lead = (cascade.starts_at - alert.ts_event) / 1e9
            after = (alert.ts_event - since) / 1e9
            return (
                f"{alert.detector} at {plan.clock(alert.ts_event)}: {lead:.0f} s before the "
                f"cascade began, {after:.0f} s after its build-up began (market time)"
            )
    return "none before the cascade began: missed"
