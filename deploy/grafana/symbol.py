"""One symbol in depth: what its market does, and what the detectors make of it."""

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

ITS = '{symbol="$symbol"}'

ANNOTATIONS: list[dict[str, Any]] = [
    {
        "name": "Incidents",
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "enable": True,
        "iconColor": "red",
        "expr": "max by (symbol, detector, severity)"
        f" (foreshock_incident_start_timestamp_seconds{ITS})",
        "step": "5s",
        "titleFormat": "{{severity}}: {{detector}}",
        "textFormat": "{{symbol}}",
        "tagKeys": "detector,severity",
    }
]
"""From when to when incidents were open. The library has no words for how they are titled."""


def symbol(runbook: str) -> dashboard.Dashboard:
    """The dashboard of the symbol that is chosen above."""
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
                "Of the last bar: 0 is ordinary, 1 is an alarm.",
                (f"max(foreshock_symbol_stress_ratio{ITS})", ""),
                unit="percentunit",
                steps=AMBER,
                no_value="warming up",
            )
        )
        .with_panel(
            number(
                "Incidents open",
                "A drift of severity info is one, too.",
                (f"count(foreshock_incident_start_timestamp_seconds{ITS}) or vector(0)", ""),
                steps=((None, "green"), (1.0, "red")),
                runbook="the-market",
            )
        )
        .with_panel(
            number(
                "Since",
                "When the incident began that has been open for longest.",
                (f"min(foreshock_incident_start_timestamp_seconds{ITS}) * 1000", ""),
                unit="dateTimeFromNow",
            )
        )
        .with_panel(
            number(
                "Price",
                "The mid price.",
                (f"max(foreshock_symbol_mid_price{ITS})", ""),
            )
        )
        .with_panel(
            number(
                "Depth against usual",
                "What rests within 25 bps of the mid price, against what usually does.",
                (
                    (
                        f"sum(foreshock_symbol_depth_notional{ITS})"
                        f" / sum(foreshock_symbol_usual_depth_notional{ITS})"
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
                "Leverage above habit",
                "Of the last minute's new orders, against the accounts' own habits.",
                (f"max(foreshock_symbol_leverage_excess_ratio{ITS})", ""),
                unit="percentunit",
                steps=((None, "green"), (0.1, "orange"), (0.5, "red")),
                runbook="leverage_jump",
                no_value="not told",
            )
        )
        .with_row(row("What its market does"))
        .with_panel(
            lines(
                "Price",
                "The mid price, in the quote currency.",
                (f"max(foreshock_symbol_mid_price{ITS})", "mid"),
                width=12,
            )
        )
        .with_panel(
            lines(
                "Depth",
                "What rests within 25 bps of the mid price, in the quote currency. A side's usual"
                " is half of both sides'.",
                (f"sum by (side) (foreshock_symbol_depth_notional{ITS})", "{{side}}"),
                (f"sum(foreshock_symbol_usual_depth_notional{ITS}) / 2", "a side's usual"),
                runbook="thin_book",
                width=12,
            )
        )
        .with_panel(
            lines(
                "Orders, cancels, trades",
                "A second, of about 15 seconds.",
                (f"max by (kind) (foreshock_symbol_events_per_second{ITS})", "{{kind}}"),
                runbook="cancel_burst",
                width=12,
            )
        )
        .with_panel(
            lines(
                "Leverage",
                "Of a minute's new orders: how far above the accounts' own habits, and which share"
                " near the venue's maximum.",
                (f"max(foreshock_symbol_leverage_excess_ratio{ITS})", "above habit"),
                (f"max(foreshock_symbol_near_maximum_leverage_ratio{ITS})", "near the maximum"),
                unit="percentunit",
                runbook="leverage_jump",
                width=12,
            )
        )
        .with_row(row("What the detectors make of it"))
        .with_panel(
            lines(
                "Stress",
                "0 is ordinary, 1 is an alarm.",
                (f"max(foreshock_symbol_stress_ratio{ITS})", "stress"),
                unit="percentunit",
                steps=((None, "transparent"), (1.0, "red")),
                width=12,
            )
        )
        .with_panel(
            lines(
                "Scores",
                "Of each detector, in standard deviations. Each has a threshold of its own, which"
                " follows from the budget.",
                (f"max by (detector) (foreshock_detector_score{ITS})", "{{detector}}"),
                width=12,
            )
        )
    )
