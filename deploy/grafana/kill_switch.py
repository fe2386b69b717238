"""Row of the service dashboard: the kill switches, and whether gateways can rely on them."""

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.panels import lines, row

_DELAYS = "sum by (le) (rate(foreshock_killswitch_delay_seconds_bucket[1h]))"


def kill_switches(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add the states, what waits for an operator, the records, and how fast they are told."""
    return (
        board.with_row(row("Kill switches"))
        .with_panel(
            lines(
                "Not armed",
                "Symbols by the state of their kill switch, without those that are armed.",
                ('sum by (state) (foreshock_killswitch_symbols{state!="armed"})', "{{state}}"),
                runbook="foreshockkillswitchtripped",
            )
        )
        .with_panel(
            lines(
                "Waiting for an operator",
                "Kill switches that flapped three times in a day, and commands per five minutes.",
                ("sum(foreshock_killswitch_manual_only)", "waiting"),
                (
                    "sum by (action) (increase(foreshock_killswitch_commands_total[5m]))",
                    "{{action}}",
                ),
                runbook="foreshockkillswitchmanualonly",
            )
        )
        .with_panel(
            lines(
                "Records",
                "Records per five minutes by cause. Without heartbeats, gateways fail closed.",
                ("sum by (cause) (increase(foreshock_killswitch_records_total[5m]))", "{{cause}}"),
                runbook="foreshockkillswitchsilent",
            )
        )
        .with_panel(
            lines(
                "From transition to topic",
                "From the moment of a transition to the broker's acknowledgement: median and 99th "
                "percentile.",
                (f"histogram_quantile(0.5, {_DELAYS})", "median"),
                (f"histogram_quantile(0.99, {_DELAYS})", "99 %"),
                unit="s",
                steps=((None, "green"), (5.0, "orange")),
                runbook="foreshockkillswitchslow",
            )
        )
    )
