"""One trial of the venue's conduct: a simulated market under the settings that an operator has."""

from msgspec.structs import replace

from service.exchange.venue.contracts import contracts
from service.scorecard.conduct.cases import DECLARED
from service.scorecard.matrix import Trial
from service.scorecard.risk.forecast import venue_rule
from service.scorecard.risk.trial import RiskOutcome
from service.scorecard.risk.trial import run as run_with
from service.settings.types import RiskSettings, Settings


def run(trial: Trial) -> RiskOutcome:
    """Run a trial. Deterministic: the same trial gives the same outcome."""
    return run_with(trial, settings_of(trial))


def settings_of(trial: Trial) -> Settings:
    """The settings of a trial; the venue's rule is declared where `DECLARED` says so.

    >>> from service.scorecard.matrix import Trial
    >>> settings_of(Trial("over_liquidation", 1)).risk.whole_below
    40000.0
    """
    if trial.scenario not in DECLARED:
        return Settings()
    rules = [venue_rule(its.symbol) for its in contracts(trial.symbols)]
    # One limit holds for all symbols: the largest, so that no symbol's rule is broken by it.
    declared = RiskSettings(
        reduction="steps",
        step_ratio=rules[0].step_ratio,
        whole_below=max(its.whole_below for its in rules),
    )
    return replace(Settings(), risk=declared)
