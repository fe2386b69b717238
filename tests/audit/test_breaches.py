"""A venue that breaks one rule fails the check of that rule."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.audit.table import CHECKS
from detectors.fairness.queue import Candidate, Deleveraging, pro_rata, water_filling
from service.cli.main import main
from service.exchange.breaches import BREACHES, rules_with
from service.exchange.measures import Truth
from service.exchange.recording import read_truths
from service.exchange.rules import KEPT
from service.exchange.simulation import simulate
from service.exchange.venue.deleveraging import shared
from service.exchange.venue.ledger import Holding
from service.scorecard.audit.card import card_of
from service.scorecard.audit.markets import MARKETS, market
from service.scorecard.audit.plan import MARKET_OF, SIZES, Plan, trials
from service.scorecard.audit.related import RELATED
from service.scorecard.audit.report import tables
from service.scorecard.audit.run import scorecard
from service.scorecard.audit.trial import AuditOutcome, AuditTrial, Judged, run

SECONDS = 600.0
NAMES = {check.name for check in CHECKS}
SECTIONS = ("liquidation", "prices", "publication", "waterfall", "parameters", "access")

SOON = (
    "last_price", "fixed_index", "lagging_mark", "wrong_liquidation_price", "hidden_interest",
    "moved_positions", "takes_too_much", "early", "wrong_side", "double_fee", "keeps_remainder",
    "liquidates_in_halts", "silent_withdrawal", "unpaid_losses", "needless_adl", "excessive_adl",
    "reversed_adl", "oscillating_margins", "zeroed_funding", "throttled_prints", "lost_events",
    "repeated_trades", "rare_references", "off_the_book", "dominant_source", "leaves_debts",
    "takes_equity", "less_initial_margin", "large_rebate", "clients_throttled", "slow_answers",
    "constant_retries", "accepts_in_halts", "rearms_itself", "time_goes_back",
)  # fmt: skip
"""Breaches that show within ten minutes; the others need the half hour of the scorecard."""


@pytest.mark.parametrize("name", SOON)
def test_a_breach_fails_its_check(name: str):
    found = run(AuditTrial(MARKET_OF.get(name, "book"), name, None, 300_000, SECONDS))
    assert BREACHES[name].check in found.failed


@pytest.mark.parametrize("name", [name for name in MARKETS if name != "raises"])
def test_a_venue_that_keeps_its_rules_fails_no_check(name: str):
    found = run(AuditTrial(name, "", None, 300_000, SECONDS))
    assert found.failed == frozenset()
    assert found.liquidations > 20


def test_breaches_name_checks_that_exist_and_change_a_rule():
    assert {breach.check for breach in BREACHES.values()} <= NAMES
    for name in BREACHES:
        rules = rules_with(name)
        assert rules.breach == name
        assert any(
            getattr(rules, section) != getattr(KEPT, section)
            for section in (
                "liquidation",
                "prices",
                "publication",
                "waterfall",
                "parameters",
                "access",
            )
        )


def test_what_is_said_of_breaches_is_of_breaches_that_exist():
    assert set(MARKET_OF) | set(SIZES) | set(RELATED) <= set(BREACHES)
    assert {name for its in RELATED.values() for name in its} <= NAMES


def test_an_unknown_breach_is_refused():
    with pytest.raises(ValueError, match="unknown breach 'nothing'; breaches: last_price"):
        rules_with("nothing")


def test_the_ground_truth_names_the_breach():
    its = market("book", rules_with("takes_too_much", 0.02), 60.0)
    truths = [e for e in simulate(its, seed=1, symbols=1, duration_ns=60 * 10**9)
              if isinstance(e, Truth) and e.kind == "breach"]  # fmt: skip
    assert [(truth.breach, truth.strength) for truth in truths] == [("takes_too_much", 0.02)]


def test_no_two_clean_runs_share_a_market_and_breaches_meet_the_same_ones():
    planned = trials(Plan(3, 10, 60.0), "reporting")
    clean = [(its.market, its.seed) for its in planned if not its.breach]
    assert len(clean) == len(set(clean)) == 10
    assert Counter(its.market for its in planned if not its.breach).keys() == MARKETS.keys()
    seeds = {its.seed for its in planned if its.breach}
    assert len(seeds) == 3
    assert not seeds & {seed for _, seed in clean}


def _outcome(breach: str, **found: str) -> AuditOutcome:
    judged = {name: Judged(outcome, 10, 2) for name, outcome in found.items()}
    return AuditOutcome(AuditTrial("book", breach, None, 1, 60.0), 5, judged)


def test_the_matrix_counts_what_fails_and_says_what_is_unrelated():
    card = card_of(
        [
            _outcome("", strategy="pass", notice="fail", retail="not_tested"),
            _outcome("", strategy="pass", notice="pass", retail="not_tested"),
            _outcome("early", below_maintenance="fail", sufficiency="fail", notice="fail"),
            _outcome("early", below_maintenance="pass_weak", sufficiency="pass", notice="pass"),
        ],
        60.0,
    )
    (row,) = card.killed
    assert row.killed is not None
    assert row.killed.value == 0.5
    assert row.others == {"notice": 1, "sufficiency": 1}
    assert row.unrelated == ["notice"]
    assert card.clean[0].checks == {"notice": 1}
    assert card.clean_failed is not None
    assert card.clean_failed.value == 0.5
    assert card.never_run == ["retail"]
    for table in tables(card):
        assert all(len(cells) == len(table.head) for cells in table.rows)


def test_the_scorecard_writes_its_documents(tmp_path):
    plan = Plan(1, 1, 60.0, breaches=("wrong_liquidation_price",))
    scorecard(tmp_path, plan, purpose="tuning", jobs=1)
    text = (tmp_path / "scorecard.md").read_text()
    assert "foreshock scorecard --audit --seeds 1 --clean 1 --minutes 1 --tuning" in text
    assert "| wrong_liquidation_price |" in text
    assert "a budget of" not in text


class _Priced:
    mark, lot_size, schedule = 100.0, 1.0, None


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 5_000)), min_size=1, max_size=8),
    st.floats(0.05, 0.95),
)
def test_rules_of_deleveraging_share_what_the_audit_compares_them_with(rows, part: float):
    """In whole lots: nobody is more than a lot away from the audit's own arithmetic."""
    queue, equity = [], {}
    for number, (lots, backing) in enumerate(rows):
        holding = Holding(f"a{number}", 1.0, margined=True)
        holding.lots, holding.entry = -lots, 120.0
        queue.append(holding)
        equity[holding.account] = float(backing)
    lots = max(int(part * sum(abs(its.lots) for its in queue)), 1)
    candidates = [
        Candidate(its.account, float(its.lots), its.entry, equity[its.account]) for its in queue
    ]
    reference = Deleveraging(0, "X", "L", 100.0, 100.0, lots, {"a0": float(lots)}, candidates)
    for rule, expected in (("pro_rata", pro_rata), ("water_filling", water_filling)):
        closed = {
            its.account: n
            for its, n in shared(rule, queue, lots, _Priced(), lambda h: equity[h.account])
        }
        assert sum(closed.values()) == lots
        for its, due in zip(candidates, expected(reference), strict=True):
            assert math.isclose(closed.get(its.account, 0), due, abs_tol=1.0 + 1e-6)


def test_the_scorecard_of_the_audit_has_its_own_markets(tmp_path, capsys):
    assert main(["scorecard", "--audit", "--risk", "--out", str(tmp_path)]) == 2
    assert "--audit has its own markets; leave out --risk" in capsys.readouterr().err


def test_an_audited_venue_writes_answers_fees_sources_and_switches(tmp_path):
    options = ["--breach", "large_rebate", "--duration", "5", "--symbols", "1"]
    assert main(["simulate", str(tmp_path / "day"), *options]) == 0
    lines = {
        name: (tmp_path / "day" / f"{name}.ndjson").read_text().splitlines()
        for name in ("orders", "cancels", "acks", "fees", "references", "switches")
    }
    assert len(lines["acks"]) >= len(lines["orders"]) + len(lines["cancels"])
    assert len(lines["fees"]) == 1
    assert '"maker_rate":-0.0004' in lines["fees"][0]
    assert all('"index_sources":[' in line for line in lines["references"])
    assert not lines["switches"]  # nothing is halted in a calm market


def test_simulate_writes_the_breach_beside_the_streams(tmp_path):
    options = ["--breach", "hidden_interest", "--duration", "5", "--symbols", "1"]
    assert main(["simulate", str(tmp_path / "day"), *options]) == 0
    (truth,) = read_truths(tmp_path / "day")
    assert (truth.kind, truth.breach, truth.strength) == ("breach", "hidden_interest", 0.2)
