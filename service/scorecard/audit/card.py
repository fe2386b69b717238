"""The figures on the audit: the kill matrix, the clean runs, and the smallest breach found."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

from msgspec import Struct

from service.exchange.breaches import BREACHES
from service.scorecard.audit.markets import MARKETS
from service.scorecard.audit.related import RELATED
from service.scorecard.audit.trial import AuditOutcome
from service.scorecard.statistics import Interval, share


class Killed(Struct, frozen=True):
    """What finds a breach of one size.

    Attributes
    ----------
    breach, amount, does, market
        The breach, its size, what the venue does, and the market.
    check
        The check that must fail.
    runs
        The number of seeds.
    killed
        The share of them in which it fails.
    cases, breaches
        Medians over the seeds of what the check judged, and of what broke the rule.
    others
        The other checks that fail, with the number of seeds in which they do.
    unrelated
        Those of them that `service.scorecard.audit.related` does not explain.
    """

    breach: str
    amount: float
    does: str
    market: str
    check: str
    runs: int
    killed: Interval | None
    cases: float
    breaches: float
    others: dict[str, int]
    unrelated: list[str]


class Clean(Struct, frozen=True):
    """Runs of the clean venue in one market, and the checks that fail there."""

    market: str
    does: str
    runs: int
    liquidations: int
    failed: Interval | None
    checks: dict[str, int]
    ran: int


class AuditCard(Struct, frozen=True):
    """All figures. ``killed`` has the usual sizes, ``sizes`` the others."""

    minutes: float
    clean: list[Clean]
    clean_runs: int
    clean_failed: Interval | None
    killed: list[Killed]
    sizes: list[Killed]
    never_run: list[str]


def card_of(outcomes: Sequence[AuditOutcome], seconds: float) -> AuditCard:
    """The figures of trials of this length."""
    clean = [its for its in outcomes if not its.trial.breach]
    by_form: dict[tuple[str, float | None], list[AuditOutcome]] = defaultdict(list)
    for its in outcomes:
        if its.trial.breach:
            by_form[its.trial.breach, its.trial.amount].append(its)
    return AuditCard(
        minutes=seconds / 60.0,
        clean=[row for name in MARKETS if (row := _clean(name, clean)) is not None],
        clean_runs=len(clean),
        clean_failed=share(sum(bool(its.failed) for its in clean), len(clean)),
        killed=[_killed(its) for (_, amount), its in by_form.items() if amount is None],
        sizes=[_killed(its) for (_, amount), its in by_form.items() if amount is not None],
        never_run=_never_run(outcomes),
    )


def _clean(market: str, outcomes: Iterable[AuditOutcome]) -> Clean | None:
    its = [outcome for outcome in outcomes if outcome.trial.market == market]
    if not its:
        return None
    return Clean(
        market=market,
        does=MARKETS[market][0],
        runs=len(its),
        liquidations=sum(outcome.liquidations for outcome in its),
        failed=share(sum(bool(outcome.failed) for outcome in its), len(its)),
        checks=_counted(its),
        ran=sum(found.outcome in ("pass", "pass_weak") for found in its[0].found.values()),
    )


def _killed(outcomes: Sequence[AuditOutcome]) -> Killed:
    trial = outcomes[0].trial
    breach = BREACHES[trial.breach]
    own = [its.found[breach.check] for its in outcomes]
    others = {name: n for name, n in _counted(outcomes).items() if name != breach.check}
    return Killed(
        breach=trial.breach,
        amount=breach.amount if trial.amount is None else trial.amount,
        does=breach.does,
        market=trial.market,
        check=breach.check,
        runs=len(outcomes),
        killed=share(sum(its.outcome == "fail" for its in own), len(own)),
        cases=median(its.cases for its in own),
        breaches=median(its.breaches for its in own),
        others=others,
        unrelated=[name for name in others if name not in RELATED.get(trial.breach, {})],
    )


def _counted(outcomes: Iterable[AuditOutcome]) -> dict[str, int]:
    counts = Counter(name for its in outcomes for name in its.failed)
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def _never_run(outcomes: Iterable[AuditOutcome]) -> list[str]:
    """The checks that judge nothing in any run: no breach here tests them."""
    ran: dict[str, bool] = {}
    for its in outcomes:
        for name, found in its.found.items():
            judged = found.outcome not in ("not_tested", "inferred")
            ran[name] = ran.get(name, False) or judged
    return [name for name, has_run in ran.items() if not has_run]
