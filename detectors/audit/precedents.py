"""What preceded the recorded changes of margin rates: the facts beside the check of their cooling.

The arithmetic is that of the live watch, see `detectors.fairness.margin_drivers`.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from detectors.audit.references import References
from detectors.audit.tape import Evidence
from detectors.fairness.margin_drivers import MINUTE_NS, Drivers, Past, drivers_of
from detectors.fairness.margin_history import Change

Forced = Sequence[tuple[int, float]]
"""Times and notional of forced trades, in their order."""


def precedents(evidence: Evidence, changes: Sequence[Change]) -> dict[str, float | str]:
    """Return what the changes of margin rates follow, of the symbol with the most of them.

    Nothing if no mid prices are known of the half hour before a change.
    """
    by_symbol: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_symbol[change.symbol].append(change)
    forced: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for episode in evidence.episodes:
        forced[episode.symbol] += [(part.ts_event, part.paid) for part in episode.slices]
    found = {
        symbol: its
        for symbol, of_symbol in by_symbol.items()
        if (its := _drivers(evidence.symbols[symbol].references, of_symbol, forced[symbol]))
    }
    known = {symbol: its for symbol, its in found.items() if its.trigger is not None}
    if not known:
        return {}
    symbol = max(known, key=lambda name: (known[name].changes, name))
    its = known[symbol]
    facts: Mapping[str, float | str | None] = {
        "preceded by": f"{its.trigger} ({symbol}, {its.changes} changes)",
        "correlation with the return of the hour": its.return_correlation,
        "correlation with the volatility of the hour": its.volatility_correlation,
        "loop gain": its.loop_gain,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _drivers(
    references: References, changes: Sequence[Change], forced: list[tuple[int, float]]
) -> Drivers | None:
    """Return what is inferred with the last change of a symbol; None without one of a rate."""
    records: dict[int, list[Change]] = defaultdict(list)
    for change in changes:
        records[change.announced_ns].append(change)
    past, found = Past(), None
    steps, flow = _by_minute(references), sorted(forced)
    place = flown = 0
    for at_ns, of_record in sorted(records.items()):
        while place < len(steps) and references.ts_event[steps[place]] <= at_ns:
            row = steps[place]
            until = references.ts_event[row]
            notional = 0.0
            while flown < len(flow) and flow[flown][0] <= until:
                notional += flow[flown][1]
                flown += 1
            past.open_interest = references.open_interest[row]
            past.add(until, references.mid[row], forced=notional)
            place += 1
        its = past.observe(at_ns, of_record)
        found = drivers_of(its, past.observations, None) if its is not None else found
    return found


def _by_minute(references: References) -> list[int]:
    """Return the rows of the last reference of each minute with a mid price."""
    last: dict[int, int] = {}
    for row, (ts_event, mid) in enumerate(zip(references.ts_event, references.mid, strict=True)):
        if not math.isnan(mid):
            last[ts_event // MINUTE_NS] = row
    return list(last.values())
