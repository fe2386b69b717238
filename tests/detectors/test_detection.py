"""On the simulated exchange: a warning before a cascade, and no alarm in a calm market."""

import math

import pytest
from msgspec.structs import replace

from detectors.market_data.events import Margin, Order
from service.exchange.simulation import START_NS
from tests.simulated import run_scenario

SECOND = 1_000_000_000
INJECTED_NS = START_NS + 840 * SECOND  # no episode is injected earlier


def watch(name, seed, change=lambda event: event):
    """Return the firing alerts over half an hour of one changed symbol, and the ground truth."""
    output, truths = run_scenario(name, seed=seed, seconds=1_800, change=change)
    firing = [alert for alert in output.alerts if alert.status == "firing"]
    # The ground truth also lists makers that leave spontaneously; these are excluded here.
    left = [t for t in truths if t.kind == "makers_left" and t.starts_at < INJECTED_NS]
    others = [
        alert
        for alert in firing
        if not any(t.starts_at <= alert.ts_event <= t.ends_at + 60 * SECOND for t in left)
    ]
    return others, [truth for truth in truths if truth.kind != "makers_left"]


@pytest.mark.parametrize("seed", [1, 4])
def test_a_cascade_is_warned_of_before_it_begins(seed):
    alerts, truths = watch("cascade", seed)
    (onset,) = [truth.starts_at for truth in truths if truth.kind == "cascade"]
    built_up = min(truth.starts_at for truth in truths)
    warnings = [alert for alert in alerts if alert.ts_event >= built_up]
    assert warnings, "the build-up must not go unnoticed"
    assert warnings[0].ts_event < onset - 30 * SECOND
    assert not [alert for alert in alerts if alert.ts_event < built_up]


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_makers_that_leave_are_noticed_within_seconds(seed):
    alerts, truths = watch("cancel_burst", seed)
    begun = truths[0].starts_at
    assert begun <= alerts[0].ts_event <= begun + 5 * SECOND


@pytest.mark.parametrize("seed", [1, 3])
def test_new_accounts_near_the_maximum_are_noticed_though_they_have_no_habit(seed):
    most = None

    def change(event):
        nonlocal most
        if isinstance(event, Margin):
            most = event.max_leverage
        elif isinstance(event, Order) and event.leverage and event.ts_event >= INJECTED_NS:
            return replace(event, account=f"new-{event.order_id}", leverage=most)
        return event

    alerts, _ = watch("calm", seed, change)
    assert alerts[0].detector == "leverage_jump"
    assert alerts[0].evidence[0].feature == "near_maximum_45s"
    assert INJECTED_NS <= alerts[0].ts_event <= INJECTED_NS + 60 * SECOND


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["calm", "surge"])
def test_a_new_market_that_is_calm_or_only_busy_is_no_alarm(name, seed):
    """The end of a surge may be one: makers withdraw what they no longer need."""
    alerts, truths = watch(name, seed)
    ends_ns = min((truth.ends_at for truth in truths), default=math.inf)
    assert [alert for alert in alerts if alert.ts_event < ends_ns] == []
