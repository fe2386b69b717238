"""What happens in a demonstration, in words: what is done to the market, and how it ended."""

from collections import Counter

from msgspec import Struct

from detectors.incidents.alerts import Alert
from detectors.incidents.market_wide import MARKET
from service.demo.observations import IncidentView, Observations
from service.demo.plan import Plan
from service.exchange.measures import Truth

_PROVOCATIONS = {
    "surge": "everybody trades far more often, without stress",
    "cancel_burst": "makers pull nearly all of their quotes",
    "leverage_buildup": "accounts raise their leverage, and buy",
    "leverage_jump": "one account goes to the maximum leverage, and buys",
    "leverage_creep": "one account raises its leverage step by step, and buys",
    "leverage_rush": "many accounts raise their leverage at once, and buy",
    "draining_book": "makers quote smaller and smaller sizes",
    "pulled_book": "makers pull their bids, and stay away from that side",
    "spoofing": "one account shows a large ask for moments, and buys",
    "thin_clustering": "trades cluster in a thin book that nobody refills",
    "flash_crash": "somebody sells without looking, and makers leave",
    "market_wide": "makers leave several symbols at once",
    "big_trade": "somebody sells a lot within a minute",
    "opening_burst": "the session opens, and everybody acts far more often",
    "first_minutes": "the session's first minutes: everybody acts far more often",
    "long_lull": "hardly anybody acts for an hour",
    "quiet_listing": "hardly anybody trades this contract",
    "feed_gap": "what the venue publishes does not arrive",
    "activity_regime": "everybody acts far more often, and it lasts",
    "sequence_gap": "some of what the venue publishes does not arrive",
    "frozen_cancels": "cancels do not arrive: the feed is frozen",
    "ghost_orders": "half of the cancels and trades get lost",
    "stale_references": "mark and index prices stand still",
    "cascade": "liquidations set off liquidations: a cascade",
}


def provocation(kind: str) -> str:
    """What is done to the market in an episode of this kind, as a clause.

    >>> provocation("quote_stuffing")
    'quote stuffing'
    """
    return _PROVOCATIONS.get(kind, label(kind))


def label(kind: str) -> str:
    """The name of a detector or of an episode as two or three words."""
    return kind.replace("_", " ")


def evidence(alert: Alert, most: int = 3) -> str:
    """The features that contributed most to an alert, with their value and what was expected."""
    return ", ".join(
        f"{item.feature} {item.value:.3g} ({item.expected:.3g} expected)"
        for item in alert.evidence[:most]
    )


def money(notional: float) -> str:
    """An amount of the quote currency for a person.

    >>> money(7_865_014.43), money(12_300), money(0)
    ('7.9 M', '12.3 k', '0')
    """
    if notional >= 1e6:
        return f"{notional / 1e6:.1f} M"
    return f"{notional / 1e3:.1f} k" if notional >= 1e3 else f"{notional:.0f}"


class Totals(Struct, frozen=True):
    """What the service made of the records that the exchange produced, and in how many seconds."""

    produced: int
    scored: int
    late: int
    rejected: int
    seconds: float

    @property
    def dealt_with(self) -> int:
        """Records of which something has become."""
        return self.scored + self.late + self.rejected

    @property
    def waiting(self) -> int:
        """Records that nothing has become of yet."""
        return self.produced - self.dealt_with


def summary(plan: Plan, observations: Observations, totals: Totals) -> list[tuple[str, str]]:
    """The last lines: a heading and a text each."""
    lines = [("events", _events(totals))]
    if observations.market_ns < plan.end_ns:
        reached, whole = plan.clock(observations.market_ns), plan.clock(plan.end_ns)
        lines.append(("market", f"ended at {reached} of {whole}"))
    elif totals.seconds > 1.1 * plan.seconds + 1.0:
        took = f"took {totals.seconds:.0f} s instead of {plan.seconds:.0f}"
        lines.append(("market", f"{took}: the machine is too slow, or too busy, for this speed"))
    lines.append(("incidents", _incidents(list(observations.incidents.values()))))
    if observations.drifts:
        lines.append(("drift", f"{len(observations.drifts)} lasting changes, learned anew"))
    if observations.feeds:
        lines.append(("feeds", f"{len(observations.feeds)} incidents of inputs not to be trusted"))
    lines += [("", text) for text in _unprovoked(plan, observations)]
    if not observations.cascades:
        lines.append(("cascade", _no_cascade(plan, observations)))
    for cascade in observations.cascades:
        lines.append(("cascade", _cascade(plan, cascade)))
        lines.append(("warning", _lead(plan, observations, cascade)))
    return lines


def _events(totals: Totals) -> str:
    text = (
        f"{totals.produced:,} produced: {totals.scored:,} scored, {totals.late:,} late, "
        f"{totals.rejected:,} rejected"
    )
    return f"{text}, {totals.waiting:,} not yet read" if totals.waiting else text


def _incidents(incidents: list[IncidentView]) -> str:
    if not incidents:
        return "none"
    counts = Counter((view.opened.detector, view.severity) for view in incidents)
    parts = [
        f"{count} {severity} ({detector})" for (detector, severity), count in sorted(counts.items())
    ]
    return f"{len(incidents)}: {', '.join(parts)}"


def _unprovoked(plan: Plan, observations: Observations) -> list[str]:
    """How many incidents nothing in the ground truth accounts for."""
    if not observations.incidents:
        return []
    before = elsewhere = 0
    for view in observations.incidents.values():
        if view.opened.symbol == MARKET:
            continue  # what it is made of is counted
        since = plan.provoked_since(view.opened.symbol)
        if since is None:
            elsewhere += 1
        elif view.opened.ts_event < since:
            before += 1
    texts = []
    if plan.scenario.episodes:
        texts.append(f"{before} of them before anything was done to the symbol")
    if elsewhere or not plan.scenario.episodes:
        texts.append(f"{elsewhere} of them in symbols that nothing is done to")
    return texts


def _no_cascade(plan: Plan, observations: Observations) -> str:
    if plan.scenario.name != "cascade":
        return f"none: the scenario {plan.scenario.name} has none"
    if observations.market_ns < plan.end_ns:
        return "none yet: the demonstration ended before it"
    if plan.scenario.episodes[-1].end_seconds > plan.market_seconds:
        return "none yet: give the demonstration more --seconds or --speed"
    return (
        "none: with this seed the market bore it (cascades come out of the mechanism, they are "
        "not scripted); try another --seed"
    )


def _cascade(plan: Plan, cascade: Truth) -> str:
    seconds = (cascade.ends_at - cascade.starts_at) / 1e9
    return (
        f"{cascade.symbol} from {plan.clock(cascade.starts_at)} on: the mark price moved "
        f"{cascade.peak_drawdown_ratio or 0.0:.1%}, {money(cascade.liquidated_notional or 0.0)} "
        f"liquidated in {cascade.liquidation_steps} steps over {seconds:.0f} s (ground truth)"
    )


def _lead(plan: Plan, observations: Observations, cascade: Truth) -> str:
    """The first warning that what led up to the cascade gave, and how long before it."""
    since = plan.provoked_since(cascade.symbol) or plan.start_ns
    for view in observations.incidents.values():
        alert = view.opened
        if alert.symbol == cascade.symbol and since <= alert.ts_event <= cascade.starts_at:
            lead = (cascade.starts_at - alert.ts_event) / 1e9
            after = (alert.ts_event - since) / 1e9
            return (
                f"{alert.detector} at {plan.clock(alert.ts_event)}: {lead:.0f} s before the "
                f"cascade began (market time), {after:.0f} s after its build-up did"
            )
    return "none before the cascade began: it was missed"
