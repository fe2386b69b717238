"""Detectors of the venue's conduct on simulated venues: what they say is what happens."""

from dataclasses import replace

import pytest

from detectors.conduct.liquidation_fairness import LiquidationFairness
from detectors.conduct.liquidations import Liquidations
from detectors.conduct.margin_change import MarginChange
from detectors.conduct.monitor import ConductMonitor
from detectors.conduct.venue_monitor import VenueMonitor
from detectors.market_data.events import Margin, Position, Reference
from detectors.market_data.risk_events import Liquidation
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.output import RiskOutput
from service.exchange.breaches import BREACHES
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import START_NS, simulate, simulate_with_risk
from service.scorecard.risk.forecast import venue_rule

SECOND = 1_000_000_000


def watched(name, seed, length, *, breach=None, **options):
    """Return the output of the watch over a market of one symbol, and the ground truth."""
    venue = VenueMonitor(RiskMonitor(with_records=False), ConductMonitor([MarginChange()]))
    output, truths = RiskOutput(), []
    market = scenario(name, start_seconds=60.0, length_seconds=length)
    if breach is not None:
        rules = BREACHES[breach].rules(breach)
        market = replace(market, structure=replace(market.structure, rules=rules))
    for event in simulate(
        market, seed=seed, symbols=1, duration_ns=round(length + 120.0) * SECOND, **options
    ):
        if isinstance(event, Truth):
            truths.append(event)
        elif isinstance(event, Margin | Position | Reference):
            output.join(venue.take(event))
    return output, [its for its in truths if its.kind == name]


def test_a_shock_is_told_before_it_forces_accounts_out():
    output, (truth,) = watched("parameter_shock", 2, 400.0)
    first = output.statements[0].record
    assert first.effective_at == truth.starts_at + 30 * SECOND
    assert first.values[1].after == pytest.approx(2.0 * first.values[1].before)
    (opened,) = [its for its in output.alerts if its.reason == "opened"]
    assert opened.ts_event < first.effective_at
    told = [its for its in output.alerts if its.ts_event <= first.effective_at + SECOND]
    evidence = {its.feature: its.value for its in told[-1].evidence}
    assert truth.accounts, "the shock must force accounts out"
    # Within the notice some add collateral and others buy.
    assert evidence["at_once_accounts"] == pytest.approx(len(truth.accounts), rel=0.5)


def test_margins_that_flap_alarm_and_a_step_that_nobody_is_near_does_not():
    output, _ = watched("parameter_flap", 1, 320.0, events_per_second=10.0)
    assert "changed direction" in output.alerts[0].summary
    assert output.alerts[0].ts_event < START_NS + 380 * SECOND
    output, _ = watched("margin_step", 1, 120.0, events_per_second=10.0)
    assert (len(output.statements), output.alerts) == (1, [])


def test_a_silent_shock_counts_the_accounts_that_it_forces_out():
    output, (truth,) = watched("parameter_shock", 6, 400.0, breach="no_notice")
    record = output.statements[0].record
    assert record.is_silent
    # The engine's mark price is up to a second newer than the last reference.
    assert record.at_once_accounts == pytest.approx(len(truth.accounts), abs=1)
    assert len(truth.accounts) == 10
    assert output.alerts[0].severity == "critical"


@pytest.mark.parametrize(
    ("name", "alerts"), [("over_liquidation", 1), ("stepped_liquidation", 0)]
)  # fmt: skip
def test_steps_beyond_the_declared_rule_alarm_and_the_same_market_by_the_rule_does_not(
    name, alerts
):
    liquidations = Liquidations()
    venue = VenueMonitor(
        RiskMonitor(rule=venue_rule("BTC-PERP"), with_records=False),
        ConductMonitor([liquidations, LiquidationFairness(liquidations)]),
    )
    output, liquidated = RiskOutput(), 0
    market = scenario(name, start_seconds=60.0, length_seconds=420.0)
    for event in simulate_with_risk(
        market, seed=2, symbols=1, duration_ns=600 * SECOND, events_per_second=10.0
    ):
        if isinstance(event, Margin | Position | Reference | Liquidation):
            output.join(venue.take(event))
            liquidated += isinstance(event, Liquidation) and event.phase == "start"
    output.join(venue.close_until(START_NS + 1_000 * SECOND))
    assert liquidated > 20
    opened = [its for its in output.alerts if its.reason == "opened"]
    assert len(opened) == alerts
    assert all("is closed beyond the declared rule" in its.summary for its in opened)
