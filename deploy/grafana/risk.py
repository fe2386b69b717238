"""The panels about the risk of liquidations, for the market dashboard."""

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.panels import ANY_ALARMS, lines, number, row


def risk(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add how near runs of liquidations are; empty where the venue publishes no positions."""
    return (
        board.with_row(row("Risk of liquidations"))
        .with_panel(
            number(
                "Near cascades",
                "Symbols where a small move would set off a run of liquidations.",
                ("count(foreshock_risk_incident_start_timestamp_seconds) or vector(0)", ""),
                steps=ANY_ALARMS,
                runbook="foreshockcascadenear",
            )
        )
        .with_panel(
            number(
                "Least coverage",
                "Known positions over open interest, of the least known side of a symbol.",
                ("min(foreshock_risk_coverage_ratio)", ""),
                unit="percentunit",
                steps=((None, "red"), (0.9, "green")),
                runbook="foreshockriskuncovered",
            )
        )
        .with_panel(
            number(
                "Risk watched",
                "Instances that watch the risk of liquidations. One is enough.",
                ("sum(foreshock_risk_watched)", ""),
                steps=((None, "red"), (1.0, "green")),
                runbook="foreshockrisknotwatched",
            )
        )
        .with_panel(
            lines(
                "Distance to a cascade",
                "Least move of the mark price that sets off a run over 40 % of the open interest;"
                " the ten nearest.",
                ("bottomk(10, foreshock:risk_distance_ratio:min)", "{{symbol}}"),
                unit="percentunit",
                steps=((None, "red"), (0.0085, "transparent")),
                width=12,
            )
        )
        .with_panel(
            lines(
                "Liquidated by a move of 1 %",
                "Notional in the quote currency; a fall for longs, a rise for shorts; the ten"
                " largest.",
                (
                    "topk(10, max by (symbol, side) (foreshock_risk_forced_notional))",
                    "{{symbol}} {{side}}",
                ),
                runbook="cascade",
                width=12,
            )
        )
        .with_panel(
            lines(
                "Contagion",
                "Notional forced in the long run per unit liquidated, over all symbols: the median"
                " and its 10 and 90 % percentiles. From 1 on it does not end by itself. 0 where"
                " liquidations force nothing, or their impact is not known.",
                (
                    "max by (percentile) (foreshock_risk_contagion_radius) or on () vector(0)",
                    "p{{percentile}}",
                ),
                steps=((None, "transparent"), (1.0, "red")),
                runbook="foreshockcontagion",
                width=12,
            )
        )
        .with_panel(
            lines(
                "How often a minute liquidations would double",
                "Of a run that keeps itself going: 60 divided by it is the time to act, in seconds."
                " 0 where none does.",
                (
                    "60 / min(foreshock_risk_contagion_doubling_seconds) or vector(0)",
                    "doublings a minute",
                ),
                unit="short",
                runbook="contagion",
                width=12,
            )
        )
    )
