"""The tables on the venue's conduct."""

from service.scorecard import cells
from service.scorecard.conduct.found import ConductCard
from service.scorecard.tables import Table


def tables(card: ConductCard) -> list[Table]:
    """The tables; those without rows are left out."""
    found = Table(
        "Conduct of the venue: found",
        (
            "Markets in which a detector must alarm, the share of them in which it does, and the"
            " time from the beginning of the injection to the first incident."
        ),
        ["detector", "scenario", "markets", "found", "delay, median"],
        [
            [
                row.detector,
                row.scenario,
                str(row.markets),
                cells.percent(row.found),
                cells.seconds(row.delay_median_seconds),
            ]
            for row in card.found
        ],
    )
    false = Table(
        "Conduct of the venue: false alarms",
        "Markets in which a detector must not alarm.",
        ["detector", "scenario", "symbol-hours", "incidents", "per symbol-day"],
        [
            [
                row.detector,
                row.scenario,
                f"{row.symbol_hours:.1f}",
                str(row.incidents),
                cells.rate(row.per_symbol_day),
            ]
            for row in card.false
        ],
    )
    return [table for table in (found, false) if table.rows]
