"""The market: which symbols, how stressed, since when."""

from grafana_foundation_sdk.builders import dashboard

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


def market(runbook: str) -> dashboard.Dashboard:
    """The overview that is opened first."""
    return (
        new_dashboard(
            "foreshock-market",
            "Foreshock: market",
            "Where stress is building, and since when.",
            runbook,
        )
        .with_panel(
            number(
                "Critical",
                "Incidents that persist, or on which detectors agree.",
                ('sum(foreshock_incidents_open{severity="critical"}) or vector(0)', ""),
                steps=ANY_ALARMS,
                runbook="the-market",
            )
        )
        .with_panel(
            number(
                "Warnings",
                "Incidents that opened and have not become critical.",
                ('sum(foreshock_incidents_open{severity="warning"}) or vector(0)', ""),
                steps=ANY_WARNS,
                runbook="the-market",
            )
        )
        .with_panel(
            number(
                "Highest stress",
                "Of the most stressed symbol's last bar: 0 is ordinary, 1 is an alarm.",
                ("max(foreshock_symbol_stress_ratio)", ""),
                unit="percentunit",
                steps=AMBER,
            )
        )
        .with_panel(
            number(
                "Symbols with an incident",
                "Of those that are judged.",
                ("foreshock:symbols_with_incident:ratio", ""),
                unit="percentunit",
                steps=((None, "green"), (0.1, "orange"), (0.25, "red")),
                runbook="market_wide",
                width=3,
            )
        )
        .with_panel(
            number(
                "Symbols in stress together",
                "Whose incidents began at once and are open; 0: no incident of the market.",
                ("max(foreshock_market_wide_symbols)", ""),
                steps=ANY_ALARMS,
                runbook="foreshockmarketwide",
                width=3,
            )
        )
        .with_panel(
            number(
                "Warming up",
                "Symbols none of whose detectors judges yet: nothing is said of them.",
                ("sum(foreshock_warming_up_symbols)", ""),
                steps=ANY_WARNS,
                width=3,
            )
        )
        .with_panel(
            number(
                "Feeds in doubt",
                "Symbols against whose feed something stands: what is said of them rests on it.",
                ("max(sum by (check) (foreshock_feed_suspect_symbols)) or vector(0)", ""),
                steps=ANY_WARNS,
                runbook="foreshockfeedsuspect",
                width=3,
            )
        )
        .with_panel(
            rows(
                "Open incidents",
                "The latest first. A row leads to its symbol and to what to do about it.",
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
                "The ten most stressed at each moment: 0 is ordinary, 1 is an alarm.",
                ("topk(10, max by (symbol) (foreshock_symbol_stress_ratio))", "{{symbol}}"),
                unit="percentunit",
                steps=((None, "transparent"), (1.0, "red")),
                width=12,
                height=9,
            )
        )
        .with_panel(
            bars(
                "Most stressed now",
                "The last bar of the ten most stressed symbols.",
                (
                    "sort_desc(topk(10, max by (symbol) (foreshock_symbol_stress_ratio)))",
                    "{{symbol}}",
                ),
                unit="percentunit",
                steps=AMBER,
            )
        )
        .with_row(row("What it is made of"))
        .with_panel(
            bars(
                "Thinnest books",
                "What rests near the mid price, against what usually does there.",
                (
                    (
                        "sort(bottomk(10, sum by (symbol) (foreshock_symbol_depth_notional)"
                        " / sum by (symbol) (foreshock_symbol_usual_depth_notional)))"
                    ),
                    "{{symbol}}",
                ),
                unit="percentunit",
                steps=((None, "red"), (0.3, "orange"), (0.7, "green")),
                most=1.5,
                runbook="thin_book",
                width=8,
            )
        )
        .with_panel(
            bars(
                "Most cancels for an order",
                "Cancels for each new order, over about 15 seconds.",
                (
                    (
                        "sort_desc(topk(10, max by (symbol)"
                        ' (foreshock_symbol_events_per_second{kind="cancels"}) / max by (symbol)'
                        ' (foreshock_symbol_events_per_second{kind="orders"} > 0)))'
                    ),
                    "{{symbol}}",
                ),
                steps=((None, "green"), (2.0, "orange"), (5.0, "red")),
                most=5.0,
                runbook="cancel_burst",
                width=8,
            )
        )
        .with_panel(
            bars(
                "Leverage above habit",
                "Of a minute's new orders, against the accounts' own habits.",
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
                "In the five minutes before, by the detector that named them.",
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
                "In the five minutes before, by an override or a maintenance window.",
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
