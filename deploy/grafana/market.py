"""Market dashboard: stressed symbols, incidents, and their start times."""

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.conduct import conduct
from deploy.grafana.panels import (
    AMBER,
    ANY_ALARMS,
    ANY_WARNS,
    bars,
    lines,
    new_dashboard,
    number,
    row,
    rows,
)
from deploy.grafana.risk import risk


def market(runbook: str) -> dashboard.Dashboard:
    """The overview dashboard."""
    board = (
        new_dashboard(
            "foreshock-market",
            "Foreshock: market",
            "Stressed symbols, open incidents and their start times.",
            runbook,
        )
        .with_panel(
            number(
                "Critical",
                "Open incidents that persist, or on which several detectors agree.",
                ('sum(foreshock_incidents_open{severity="critical"}) or vector(0)', ""),
                steps=ANY_ALARMS,
                runbook="the-market",
            )
        )
        .with_panel(
            number(
                "Warnings",
                "Open incidents that have not become critical.",
                ('sum(foreshock_incidents_open{severity="warning"}) or vector(0)', ""),
                steps=ANY_WARNS,
                runbook="the-market",
            )
        )
        .with_panel(
            number(
                "Highest stress",
                "Last bar of the highest symbol: 0 is ordinary, 1 an alarm if none came before.",
                ("max(foreshock_symbol_stress_ratio)", ""),
                unit="percentunit",
                steps=AMBER,
            )
        )
        .with_panel(
            number(
                "Symbols with an incident",
                "Share of the symbols that the detectors judge.",
                ("foreshock:symbols_with_incident:ratio", ""),
                unit="percentunit",
                steps=((None, "green"), (0.1, "orange"), (0.25, "red")),
                runbook="market_wide",
                width=3,
            )
        )
        .with_panel(
            number(
                "Symbols in a market-wide incident",
                "Symbols with open incidents that began together; 0: no market-wide incident.",
                ("max(foreshock_market_wide_symbols)", ""),
                steps=ANY_ALARMS,
                runbook="foreshockmarketwide",
                width=3,
            )
        )
        .with_panel(
            number(
                "Warming up",
                "Symbols that no detector judges yet. Foreshock raises no alarm for them.",
                ("sum(foreshock_warming_up_symbols)", ""),
                steps=ANY_WARNS,
                width=3,
            )
        )
        .with_panel(
            number(
                "Suspect feeds",
                "Symbols whose feed has an open finding. Alerts of these symbols may be wrong.",
                ("max(sum by (check) (foreshock_feed_suspect_symbols)) or vector(0)", ""),
                steps=ANY_WARNS,
                runbook="foreshockfeedsuspect",
                width=3,
            )
        )
        .with_panel(
            rows(
                "Open incidents",
                "Latest first. A row links to its symbol and to the runbook.",
                (
                    (
                        "sort_desc(max by (symbol, detector, severity)"
                        " (foreshock_incident_start_timestamp_seconds)) * 1000"
                    ),
                    "",
                ),
                value="since",
                unit="dateTimeFromNow",
                links=[
                    ("Symbol", "/d/foreshock-symbol?var-symbol=${__data.fields.symbol}"),
                    ("What to do", "$runbook#${__data.fields.detector}"),
                ],
            )
        )
        .with_panel(
            lines(
                "Stress by symbol",
                "The ten most stressed symbols at each time: 0 is ordinary, 1 an alarm if none"
                " came before.",
                ("topk(10, max by (symbol) (foreshock_symbol_stress_ratio))", "{{symbol}}"),
                unit="percentunit",
                steps=((None, "transparent"), (1.0, "red")),
                width=12,
                height=9,
            )
        )
        .with_panel(
            bars(
                "Most stressed symbols",
                "Last bar of the ten most stressed symbols.",
                (
                    "sort_desc(topk(10, max by (symbol) (foreshock_symbol_stress_ratio)))",
                    "{{symbol}}",
                ),
                unit="percentunit",
                steps=AMBER,
            )
        )
        .with_row(row("Book, cancels, leverage, incidents"))
        .with_panel(
            bars(
                "Thinnest books",
                "Depth near the mid price, relative to its baseline.",
                (
                    (
                        "sort(bottomk(10, sum by (symbol) (foreshock_symbol_depth_notional)"
                        " / sum by (symbol) (foreshock_symbol_usual_depth_notional)))"
                    ),
                    "{{symbol}}",
                ),
                unit="percentunit",
                steps=((None, "red"), (0.3, "orange"), (0.7, "green")),
                maximum=1.5,
                runbook="thin_book",
                width=8,
            )
        )
        .with_panel(
            bars(
                "Most cancels per order",
                "Cancels per new order, over about 15 seconds.",
                (
                    (
                        "sort_desc(topk(10, max by (symbol)"
                        ' (foreshock_symbol_events_per_second{kind="cancels"}) / max by (symbol)'
                        ' (foreshock_symbol_events_per_second{kind="orders"} > 0)))'
                    ),
                    "{{symbol}}",
                ),
                steps=((None, "green"), (2.0, "orange"), (5.0, "red")),
                maximum=5.0,
                runbook="cancel_burst",
                width=8,
            )
        )
        .with_panel(
            bars(
                "Leverage above baseline",
                "New orders of the last minute, relative to the accounts' own baselines.",
                (
                    "sort_desc(topk(10, max by (symbol) (foreshock_symbol_leverage_excess_ratio)))",
                    "{{symbol}}",
                ),
                unit="percentunit",
                steps=((None, "green"), (0.1, "orange"), (0.5, "red")),
                runbook="leverage_jump",
                width=8,
            )
        )
        .with_panel(
            lines(
                "Incidents opened and escalated",
                "Per five minutes, by detector and severity.",
                (
                    "sum by (detector, severity) (increase(foreshock_incidents_total[5m]))",
                    "{{detector}} {{severity}}",
                ),
                width=12,
            )
        )
        .with_panel(
            lines(
                "Alarms suppressed",
                "Per five minutes, by an override or a maintenance window.",
                (
                    (
                        "sum by (detector, reason_kind)"
                        " (increase(foreshock_suppressed_alarms_total[5m]))"
                    ),
                    "{{detector}} {{reason_kind}}",
                ),
                runbook="planned-work",
                width=12,
            )
        )
    )
    return conduct(risk(board))
