"""The panels about how the venue treats its positions, for the market dashboard."""

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.panels import ANY_ALARMS, lines, number, row

_INCIDENTS = "foreshock_conduct_incident_start_timestamp_seconds"


def conduct(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add the incidents about the venue's conduct, and what its detectors lack."""
    return (
        board.with_row(row("How the venue treats positions"))
        .with_panel(
            number(
                "Open incidents",
                "Incidents about marks, margins and liquidations.",
                (f"count({_INCIDENTS}) or vector(0)", ""),
                steps=ANY_ALARMS,
                runbook="foreshockvenueconduct",
            )
        )
        .with_panel(
            number(
                "Detectors without input",
                "Detectors that need a stream which no topic has; the metric names it.",
                ("count(max by (detector) (foreshock_conduct_no_input)) or vector(0)", ""),
                runbook="foreshockvenueconduct",
            )
        )
        .with_panel(
            lines(
                "Open incidents by detector",
                "How many symbols each detector finds something in.",
                (
                    f"count by (detector) ({_INCIDENTS}) or vector(0)",
                    "{{detector}}",
                ),
                unit="short",
                runbook="foreshockvenueconduct",
                width=8,
            )
        )
        .with_panel(
            lines(
                "Records of liquidations and of margin changes",
                "Published in five minutes.",
                (
                    "sum by (output) (increase(foreshock_conduct_records_published_total[5m]))",
                    "{{output}}",
                ),
                unit="short",
                width=8,
            )
        )
    )
