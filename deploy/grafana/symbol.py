"""Symbol dashboard: the market of one symbol, and its detectors' results."""

from typing import Any

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.panels import (
    AMBER,
    lines,
    new_dashboard,
    number,
    row,
    symbol_variable,
)

SELECTED = '{symbol="$symbol"}'

ANNOTATIONS: list[dict[str, Any]] = [
    {
        "name": "Incidents",
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "enable": True,
        "iconColor": "red",
        "expr": "max by (symbol, detector, severity)"
        f" (foreshock_incident_start_timestamp_seconds{SELECTED})",
        "step": "5s",
        "titleFormat": "{{severity}}: {{detector}}",
        "textFormat": "{{symbol}}",
        "tagKeys": "detector,severity",
    }
]
"""Annotations for open incidents. The library does not support their titles."""


def symbol(runbook: str) -> dashboard.Dashboard:
    """The dashboard of the selected symbol."""
    return (
        new_dashboard(
            "foreshock-symbol",
            "Foreshock: symbol",
            "One symbol's market, scores and incidents.",
            runbook,
        )
        .with_variable(symbol_variable())
        .with_panel(
            number(
                "Stress",
                "Last bar: 0 is ordinary, 1 an alarm if none came before.",
                (f"max(foreshock_symbol_stress_ratio{SELECTED})", ""),
                unit="percentunit",
                steps=AMBER,
                no_value="warming up",
            )
        )
        .with_panel(
            number(
                "Incidents open",
                "Includes drifts of severity info.",
                (f"count(foreshock_incident_start_timestamp_seconds{SELECTED}) or vector(0)", ""),
                steps=((None, "green"), (1.0, "red")),
                runbook="the-market",
            )
        )
        .with_panel(
            number(
                "Since",
                "Start of the oldest open incident.",
                (f"min(foreshock_incident_start_timestamp_seconds{SELECTED}) * 1000", ""),
                unit="dateTimeFromNow",
            )
        )
        .with_panel(
            number(
                "Price",
                "The mid price.",
                (f"max(foreshock_symbol_mid_price{SELECTED})", ""),
            )
        )
        .with_panel(
            number(
                "Depth relative to baseline",
                "Depth within five typical spreads of the mid price, relative to its baseline.",
                (
                    (
                        f"sum(foreshock_symbol_depth_notional{SELECTED})"
                        f" / sum(foreshock_symbol_usual_depth_notional{SELECTED})"
                    ),
                    "",
                ),
                unit="percentunit",
                steps=((None, "red"), (0.3, "orange"), (0.7, "green")),
                runbook="thin_book",
            )
        )
        .with_panel(
            number(
                "Leverage above baseline",
                "New orders of the last minute, relative to the accounts' own baselines.",
                (f"max(foreshock_symbol_leverage_excess_ratio{SELECTED})", ""),
                unit="percentunit",
                steps=((None, "green"), (0.1, "orange"), (0.5, "red")),
                runbook="leverage_jump",
                no_value="unknown",
            )
        )
        .with_row(row("Market"))
        .with_panel(
            lines(
                "Price",
                "The mid price, in the quote currency.",
                (f"max(foreshock_symbol_mid_price{SELECTED})", "mid"),
                width=12,
            )
        )
        .with_panel(
            lines(
                "Depth",
                "Depth within five typical spreads of the mid price, in the quote currency. The"
                " baseline per side is half of the baseline of both sides.",
                (f"sum by (side) (foreshock_symbol_depth_notional{SELECTED})", "{{side}}"),
                (f"sum(foreshock_symbol_usual_depth_notional{SELECTED}) / 2", "baseline per side"),
                runbook="thin_book",
                width=12,
            )
        )
        .with_panel(
            lines(
                "Orders, cancels, trades",
                "Per second, averaged over about 15 seconds.",
                (f"max by (kind) (foreshock_symbol_events_per_second{SELECTED})", "{{kind}}"),
                runbook="cancel_burst",
                width=12,
            )
        )
        .with_panel(
            lines(
                "Leverage",
                "New orders of the last minute: leverage above the accounts' own baselines, and the"
                " share near the venue's maximum.",
                (f"max(foreshock_symbol_leverage_excess_ratio{SELECTED})", "above baseline"),
                (
                    f"max(foreshock_symbol_near_maximum_leverage_ratio{SELECTED})",
                    "near the maximum",
                ),
                unit="percentunit",
                runbook="leverage_jump",
                width=12,
            )
        )
        .with_row(row("Detectors"))
        .with_panel(
            lines(
                "Stress",
                "0 is ordinary, 1 an alarm if none came before.",
                (f"max(foreshock_symbol_stress_ratio{SELECTED})", "stress"),
                unit="percentunit",
                steps=((None, "transparent"), (1.0, "red")),
                width=12,
            )
        )
        .with_panel(
            lines(
                "Scores",
                "Score of each detector: minus the decimal logarithm of its p-value. Activity"
                " raises no alarms; it is in standard deviations.",
                (f"max by (detector) (foreshock_detector_score{SELECTED})", "{{detector}}"),
                width=12,
            )
        )
    )
