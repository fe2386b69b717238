"""Row of the service dashboard: the false-alarm budget, and what operators judged."""

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.panels import lines, row

_REALISED = "max by (detector) (foreshock_false_alarm_detector_rate_per_day)"
_PROMISED = "max by (detector) (foreshock_false_alarm_detector_budget_per_day)"
_JUDGED = "max by (detector, verdict) (foreshock_feedback_judged_alerts)"


def budget(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add what is promised, what was realised, and how it was judged, by detector."""
    return (
        board.with_row(row("False alarms by detector"))
        .with_panel(
            lines(
                "Realised against promised",
                "Incidents that nobody judged true, per symbol and day since the start, over the "
                "detector's share of the budget. Above 1: more than promised.",
                (f"{_REALISED} / {_PROMISED}", "{{detector}}"),
                steps=((None, "green"), (3.0, "orange")),
                runbook="foreshockoverbudget",
            )
        )
        .with_panel(
            lines(
                "Judged alerts",
                "Alerts that operators judged. Precision is the share of true.",
                (f"{_JUDGED} > 0 or vector(0)", "{{detector}} {{verdict}}"),
            )
        )
        .with_panel(
            lines(
                "Evidence for the next alarm",
                "Rarity beyond the budget that the next alarm must have, in powers of ten, maximum "
                "over symbols. Above 2, a statistic alarms often.",
                ("max by (detector) (foreshock_false_alarm_detector_bar)", "{{detector}}"),
                steps=((None, "green"), (2.0, "orange")),
                runbook="foreshockoverbudget",
            )
        )
    )
