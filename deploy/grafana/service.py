"""The service itself: whether it is there, keeps up, can read its feeds, and is heard."""

from grafana_foundation_sdk.builders import dashboard

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
    """Foreshock's own health, summed over its instances or for each."""
    its = new_dashboard(
        "foreshock-service", "Foreshock: service", "Whether Foreshock itself is well.", runbook
    )
    return _output(_feed(_group(_pace(_now(its)))))


def _now(its: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        its.with_panel(
            number(
                "Instances up",
                "That Prometheus reaches.",
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
                "How far the furthest partition with records waiting is behind the clock.",
                ("max(foreshock_behind_seconds)", ""),
                unit="s",
                steps=((None, "green"), (5.0, "orange"), (30.0, "red")),
                runbook="foreshockbehind",
            )
        )
        .with_panel(
            number(
                "Restoring",
                "Topic partitions assigned whose state is not restored yet.",
                ("sum(foreshock_restoring_partitions)", ""),
                steps=ANY_WARNS,
                runbook="foreshockrestorestuck",
                width=3,
            )
        )
        .with_panel(
            number(
                "Market watched",
                "Instances that look for incidents of several symbols at once: one is enough.",
                ("sum(foreshock_market_watched)", ""),
                steps=NONE_ALARMS,
                runbook="foreshockmarketnotwatched",
                width=3,
            )
        )
        .with_panel(
            number(
                "Alertmanagers down",
                "Pairs of an instance and an Alertmanager that does not answer it.",
                ("sum(1 - foreshock_alertmanager_up) or vector(0)", ""),
                steps=ANY_ALARMS,
                runbook="foreshockalertmanagerunreachable",
                width=3,
            )
        )
        .with_panel(
            number(
                "Dead letters",
                "Records of the last hour that could not be read.",
                ("sum(increase(foreshock_dead_letters_total[1h])) or vector(0)", ""),
                steps=ANY_WARNS,
                runbook="foreshockdeadletters",
                width=3,
            )
        )
    )


def _pace(its: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        its.with_row(row("Whether it keeps up"))
        .with_panel(
            lines(
                "Behind the clock",
                "By partition, where records wait; the five furthest.",
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
                "Records waiting",
                "By topic.",
                ("sum by (topic) (foreshock_consumer_lag_records)", "{{topic}}"),
                runbook="foreshockbehind",
            )
        )
        .with_panel(
            lines(
                "Watermark delay",
                "Grows in a quiet market as well; the five furthest partitions.",
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
                "A second, by topic.",
                ("sum by (topic) (rate(foreshock_records_total[$__rate_interval]))", "{{topic}}"),
                unit="rps",
                runbook="foreshockfeedsilent",
            )
        )
        .with_panel(
            lines(
                "Bars closed",
                "A second, summed over symbols.",
                ("sum(rate(foreshock_bars_total[$__rate_interval]))", "bars"),
                runbook="foreshocknotscoring",
            )
        )
        .with_panel(
            lines(
                "Held back",
                "Events that wait for their turn in time, and topic partitions paused for that.",
                ("sum(foreshock_buffered_events)", "events"),
                ("sum(foreshock_paused_partitions)", "paused partitions"),
            )
        )
    )


def _group(its: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        its.with_row(row("The group and its state"))
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
                "The longest that restoring one of the owned partitions took.",
                ("max by (instance) (foreshock_restore_seconds)", "{{instance}}"),
                unit="s",
                runbook="foreshockrestorestuck",
            )
        )
        .with_panel(
            lines(
                "Rebalances, commits, snapshots",
                "In the five minutes before.",
                ("sum(increase(foreshock_rebalances_total[5m]))", "rebalances"),
                ("sum(increase(foreshock_commits_total[5m]))", "commits"),
                ("sum(increase(foreshock_snapshots_written_total[5m]))", "snapshots"),
            )
        )
        .with_panel(
            lines(
                "Cores used",
                "By instance: one is all that a process can use.",
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
                "Kept in memory",
                "What there is, and what was forgotten in five minutes because of a bound.",
                ("sum(foreshock_tracked_symbols)", "symbols"),
                ("sum(foreshock_resting_orders)", "resting orders"),
                ("sum(foreshock_tracked_accounts)", "accounts"),
                ("sum by (what) (increase(foreshock_evictions_total[5m]))", "forgotten {{what}}"),
            )
        )
    )


def _feed(its: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        its.with_row(row("What the feed is worth"))
        .with_panel(
            lines(
                "Events by what became of them",
                "A second.",
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
                "In the five minutes before, by topic and reason.",
                (
                    "sum by (topic, reason) (increase(foreshock_dead_letters_total[5m]))",
                    "{{topic}} {{reason}}",
                ),
                runbook="foreshockdeadletters",
            )
        )
        .with_panel(
            lines(
                "Found against feeds",
                "Bars of symbols in five minutes, by check.",
                ("sum by (check) (increase(foreshock_feed_findings_total[5m]))", "{{check}}"),
                runbook="feed_integrity",
            )
        )
        .with_panel(
            lines(
                "Unknown orders",
                "Events a second about orders that were never seen.",
                ("sum(rate(foreshock_unknown_orders_total[$__rate_interval]))", "unknown orders"),
                unit="eps",
                runbook="foreshockfeedincomplete",
            )
        )
        .with_panel(
            lines(
                "Out of order",
                "Events a second whose sequence was lower than the one before.",
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
                "From event to log, by stream.",
                ("max by (stream) (foreshock_feed_transport_delay_seconds)", "{{stream}}"),
                unit="s",
                runbook="feed_integrity",
            )
        )
    )


def _output(its: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        its.with_row(row("Whether it is heard"))
        .with_panel(
            lines(
                "Published",
                "Alerts in five minutes, and sends that Kafka did not take.",
                ("sum by (status) (increase(foreshock_alerts_published_total[5m]))", "{{status}}"),
                ("sum(increase(foreshock_publish_errors_total[5m]))", "errors"),
                runbook="foreshockpublishfailing",
            )
        )
        .with_panel(
            lines(
                "Pushed to Alertmanager",
                "Alerts in five minutes by what became of them, and requests that failed.",
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
                "From a bar's close to Alertmanager's answer, of half and of 99 % of the alerts.",
                (
                    (
                        "histogram_quantile(0.5, sum by (le)"
                        " (rate(foreshock_notification_delay_seconds_bucket[1h])))"
                    ),
                    "half",
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
                "A symbol and day, over the last day.",
                ("foreshock:incidents_per_symbol_day:increase1d", "opened"),
                ("max(foreshock_false_alarm_budget_per_day)", "budget of false alarms"),
                runbook="foreshockoverbudget",
                width=12,
            )
        )
        .with_panel(
            number(
                "Versions running",
                "More than one: a rollout is under way, or stuck.",
                ("count(count by (version) (foreshock_build_info))", ""),
                steps=((None, "green"), (2.0, "orange")),
            )
        )
        .with_panel(
            number(
                "Configuration refused",
                "Instances that go on with the settings they had, for the file has a mistake.",
                ("sum(1 - foreshock_config_last_reload_successful)", ""),
                steps=ANY_WARNS,
                runbook="foreshockconfigreloadfailed",
            )
        )
        .with_panel(
            number(
                "Settings that wait",
                "Changed in the file, and in force at the next start only.",
                ("max(foreshock_config_restart_required_settings)", ""),
                steps=ANY_WARNS,
            )
        )
    )
