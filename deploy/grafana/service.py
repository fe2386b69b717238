"""Service dashboard: instances, lag, feed quality and delivery of alerts."""

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.budget import budget
from deploy.grafana.kill_switch import kill_switches
from deploy.grafana.panels import (
    ANY_ALARMS,
    ANY_WARNS,
    NONE_ALARMS,
    lines,
    new_dashboard,
    number,
    row,
)


def service(runbook: str) -> dashboard.Dashboard:
    """Foreshock's own health, summed over its instances or per instance."""
    board = new_dashboard(
        "foreshock-service", "Foreshock: service", "Health of Foreshock itself.", runbook
    )
    return budget(kill_switches(_output(_feed(_group(_pace(_now(board)))))))


def _now(board: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        board.with_panel(
            number(
                "Instances up",
                "Instances that Prometheus can scrape.",
                ('sum(up{job="foreshock"}) or vector(0)', ""),
                steps=NONE_ALARMS,
                runbook="foreshockdown",
            )
        )
        .with_panel(
            number(
                "In the group",
                "Instances that are members of the consumer group.",
                ("sum(foreshock_connected)", ""),
                steps=NONE_ALARMS,
                runbook="foreshocknotconnected",
            )
        )
        .with_panel(
            number(
                "Behind",
                "Delay behind the clock of the slowest partition with unread records.",
                ("max(foreshock_behind_seconds)", ""),
                unit="s",
                steps=((None, "green"), (5.0, "orange"), (30.0, "red")),
                runbook="foreshockbehind",
            )
        )
        .with_panel(
            number(
                "Restoring",
                "Assigned topic partitions whose state is not restored yet.",
                ("sum(foreshock_restoring_partitions)", ""),
                steps=ANY_WARNS,
                runbook="foreshockrestorestuck",
                width=3,
            )
        )
        .with_panel(
            number(
                "Market-wide detection",
                "Instances that detect incidents of several symbols at once. One is enough.",
                ("sum(foreshock_market_watched)", ""),
                steps=NONE_ALARMS,
                runbook="foreshockmarketnotwatched",
                width=3,
            )
        )
        .with_panel(
            number(
                "Alertmanagers down",
                "Pairs of an instance and an Alertmanager that does not answer.",
                ("sum(1 - foreshock_alertmanager_up) or vector(0)", ""),
                steps=ANY_ALARMS,
                runbook="foreshockalertmanagerunreachable",
                width=3,
            )
        )
        .with_panel(
            number(
                "Dead letters",
                "Unreadable records of the last hour.",
                ("sum(increase(foreshock_dead_letters_total[1h])) or vector(0)", ""),
                steps=ANY_WARNS,
                runbook="foreshockdeadletters",
                width=3,
            )
        )
    )


def _pace(board: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        board.with_row(row("Lag and throughput"))
        .with_panel(
            number(
                "Stuck partitions",
                "Partition numbers that have work and have not advanced for a minute.",
                ("sum(foreshock_stuck_partitions)", ""),
                steps=ANY_ALARMS,
                runbook="foreshockpartitionstuck",
                width=6,
            )
        )
        .with_panel(
            number(
                "Partitions not read",
                "Partitions that were added to a topic and are not read yet.",
                ("max(foreshock_unread_partitions)", ""),
                steps=ANY_ALARMS,
                runbook="foreshockpartitionsnotread",
                width=6,
            )
        )
        .with_panel(
            number(
                "Misplaced symbols",
                "Symbols whose events are in several partition numbers.",
                ("max(foreshock_misplaced_symbols)", ""),
                steps=ANY_WARNS,
                runbook="foreshocksymbolsmisplaced",
                width=6,
            )
        )
        .with_panel(
            number(
                "Records lost",
                "Records of the last hour that Kafka deleted before they were read.",
                ("sum(increase(foreshock_records_lost_total[1h])) or vector(0)", ""),
                steps=ANY_ALARMS,
                runbook="foreshockrecordslost",
                width=6,
            )
        )
        .with_panel(
            lines(
                "Behind the clock",
                "Delay of partitions with unread records; the five slowest.",
                (
                    "topk(5, max by (partition) (foreshock_behind_seconds))",
                    "partition {{partition}}",
                ),
                unit="s",
                steps=((None, "transparent"), (30.0, "red")),
                runbook="foreshockbehind",
            )
        )
        .with_panel(
            lines(
                "Unread records",
                "By topic.",
                ("sum by (topic) (foreshock_consumer_lag_records)", "{{topic}}"),
                runbook="foreshockbehind",
            )
        )
        .with_panel(
            lines(
                "Watermark delay",
                "The five slowest partitions. It also grows in a quiet market.",
                (
                    "topk(5, max by (partition) (foreshock_watermark_delay_seconds))",
                    "partition {{partition}}",
                ),
                unit="s",
            )
        )
        .with_panel(
            lines(
                "Records read",
                "Per second, by topic.",
                ("sum by (topic) (rate(foreshock_records_total[$__rate_interval]))", "{{topic}}"),
                unit="rps",
                runbook="foreshockfeedsilent",
            )
        )
        .with_panel(
            lines(
                "Bars closed",
                "Per second, summed over symbols.",
                ("sum(rate(foreshock_bars_total[$__rate_interval]))", "bars"),
                runbook="foreshocknotscoring",
            )
        )
        .with_panel(
            lines(
                "Buffered events",
                "Events that wait for alignment by time, and topic partitions paused for it.",
                ("sum(foreshock_buffered_events)", "events"),
                ("sum(foreshock_paused_partitions)", "paused partitions"),
            )
        )
    )


def _group(board: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        board.with_row(row("Consumer group and state"))
        .with_panel(
            lines(
                "Partitions owned",
                "By instance.",
                ("sum by (instance) (foreshock_assigned_partitions)", "{{instance}}"),
            )
        )
        .with_panel(
            lines(
                "Restore",
                "Longest restore of an owned partition.",
                ("max by (instance) (foreshock_restore_seconds)", "{{instance}}"),
                unit="s",
                runbook="foreshockrestorestuck",
            )
        )
        .with_panel(
            lines(
                "Rebalances, commits, snapshots",
                "Per five minutes.",
                ("sum(increase(foreshock_rebalances_total[5m]))", "rebalances"),
                ("sum(increase(foreshock_commits_total[5m]))", "commits"),
                ("sum(increase(foreshock_snapshots_written_total[5m]))", "snapshots"),
            )
        )
        .with_panel(
            lines(
                "Cores used",
                "By instance. A process can use at most one core.",
                (
                    'rate(process_cpu_seconds_total{job="foreshock"}[$__rate_interval])',
                    "{{instance}}",
                ),
                steps=((None, "transparent"), (0.9, "red")),
            )
        )
        .with_panel(
            lines(
                "Memory",
                "Resident, by instance.",
                ('process_resident_memory_bytes{job="foreshock"}', "{{instance}}"),
                unit="bytes",
            )
        )
        .with_panel(
            lines(
                "State in memory",
                "Current items, and items evicted per five minutes because of a limit.",
                ("sum(foreshock_tracked_symbols)", "symbols"),
                ("sum(foreshock_resting_orders)", "resting orders"),
                ("sum(foreshock_tracked_accounts)", "accounts"),
                ("sum by (what) (increase(foreshock_evictions_total[5m]))", "evicted {{what}}"),
            )
        )
    )


def _feed(board: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        board.with_row(row("Feed quality"))
        .with_panel(
            lines(
                "Events by outcome",
                "Per second.",
                (
                    "sum by (outcome) (rate(foreshock_events_total[$__rate_interval]))",
                    "{{outcome}}",
                ),
                unit="eps",
                runbook="foreshocklateevents",
            )
        )
        .with_panel(
            lines(
                "Dead letters",
                "Per five minutes, by topic and reason.",
                (
                    "sum by (topic, reason) (increase(foreshock_dead_letters_total[5m]))",
                    "{{topic}} {{reason}}",
                ),
                runbook="foreshockdeadletters",
            )
        )
        .with_panel(
            lines(
                "Symbols set aside",
                "Symbols that are not watched because their detection failed.",
                ("sum by (instance) (foreshock_symbols_set_aside)", "{{instance}}"),
                runbook="foreshocksymbolsetaside",
            )
        )
        .with_panel(
            lines(
                "Feed findings",
                "Affected bars per five minutes, by check.",
                ("sum by (check) (increase(foreshock_feed_findings_total[5m]))", "{{check}}"),
                runbook="feed_integrity",
            )
        )
        .with_panel(
            lines(
                "Unknown orders",
                "Events per second that name an unknown order.",
                ("sum(rate(foreshock_unknown_orders_total[$__rate_interval]))", "unknown orders"),
                unit="eps",
                runbook="foreshockfeedincomplete",
            )
        )
        .with_panel(
            lines(
                "Out of order",
                "Events per second with a lower sequence number than the previous event.",
                (
                    "sum(rate(foreshock_sequence_regressions_total[$__rate_interval]))",
                    "regressions",
                ),
                unit="eps",
                runbook="foreshockfeedoutoforder",
            )
        )
        .with_panel(
            lines(
                "Transport delay",
                "From event time to the broker's log, by stream.",
                ("max by (stream) (foreshock_feed_transport_delay_seconds)", "{{stream}}"),
                unit="s",
                runbook="feed_integrity",
            )
        )
    )


def _output(board: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        board.with_row(row("Delivery of alerts"))
        .with_panel(
            lines(
                "Published",
                "Alerts per five minutes, and failed sends to Kafka.",
                ("sum by (status) (increase(foreshock_alerts_published_total[5m]))", "{{status}}"),
                ("sum(increase(foreshock_publish_errors_total[5m]))", "errors"),
                runbook="foreshockpublishfailing",
            )
        )
        .with_panel(
            lines(
                "Pushed to Alertmanager",
                "Alerts per five minutes by outcome, and failed requests.",
                (
                    "sum by (outcome) (increase(foreshock_notifications_total[5m]))",
                    "{{outcome}}",
                ),
                ("sum(increase(foreshock_notification_failures_total[5m]))", "failed requests"),
                runbook="foreshocknotificationslost",
            )
        )
        .with_panel(
            lines(
                "From bar to Alertmanager",
                "From a bar's close to Alertmanager's answer: median and 99th percentile.",
                (
                    (
                        "histogram_quantile(0.5, sum by (le)"
                        " (rate(foreshock_notification_delay_seconds_bucket[1h])))"
                    ),
                    "median",
                ),
                (
                    (
                        "histogram_quantile(0.99, sum by (le)"
                        " (rate(foreshock_notification_delay_seconds_bucket[1h])))"
                    ),
                    "99 %",
                ),
                unit="s",
            )
        )
        .with_panel(
            lines(
                "Incidents against the budget",
                "Per symbol and day, over the last day.",
                ("foreshock:incidents_per_symbol_day:increase1d", "opened"),
                ("max(foreshock_false_alarm_budget_per_day)", "false-alarm budget"),
                runbook="foreshockoverbudget",
                width=12,
            )
        )
        .with_panel(
            number(
                "Versions running",
                "More than one: a rollout is in progress or stuck.",
                ("count(count by (version) (foreshock_build_info))", ""),
                steps=((None, "green"), (2.0, "orange")),
            )
        )
        .with_panel(
            number(
                "Configuration rejected",
                "Instances that keep their previous settings because the file has an error.",
                ("sum(1 - foreshock_config_last_reload_successful)", ""),
                steps=ANY_WARNS,
                runbook="foreshockconfigreloadfailed",
            )
        )
        .with_panel(
            number(
                "Settings that need a restart",
                "Changed in the file, but effective only after a restart.",
                ("max(foreshock_config_restart_required_settings)", ""),
                steps=ANY_WARNS,
            )
        )
    )
