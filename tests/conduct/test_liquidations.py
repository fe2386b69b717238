"""A liquidation is put together from its steps, and stated once with what it needed and took."""

import pytest
from msgspec.json import encode

from detectors.conduct import liquidations
from detectors.conduct.liquidations import Liquidations
from detectors.market_data.events import Position
from detectors.market_data.risk_events import Account
from detectors.risk.reduction import Reduction
from tests.conduct.liquidated import BEGIN, SECOND, Desk, needed


def desk(**options):
    its = Desk(Liquidations(), **options)
    its.run(400)
    return its


def record_of(its):
    (statement,) = its.statements
    assert statement.stream == "liquidation_records"
    assert (statement.symbol, statement.ts_event) == ("X", statement.record.ts_event)
    encode(statement.record)
    return statement.record


def test_a_record_says_what_was_needed_and_what_was_taken():
    """A long of 10 from 100 with the trigger 99.5, marked .101 lower: 1 short of 9.94."""
    its = desk()
    margin = 0.01 * 10.0 * 99.5 + 10.0 * 0.5
    mark = 99.5 - 1.0 / 9.9
    its.mid = 99.4
    its.run(1)
    its.liquidate("a", 10.0, take=5.0, price=99.2, slack=-1.0, fee=0.496)
    its.run(301)
    record = record_of(its)
    assert record.trigger_price == pytest.approx(99.5)
    assert record.mark_price == pytest.approx(mark)
    # With the fee f = .496 / (5 x 99.2) = .1 %: 1 / ((.01 - .001) P) = 1.118.
    assert record.needed == pytest.approx(1.0 / (0.009 * mark))
    assert record.needed < needed(10.0, mark, margin) * 10.0 / 8.9
    assert record.taken == 5.0
    assert record.taken_ratio == pytest.approx(5.0 * 0.009 * mark)
    assert record.excess_ratio == pytest.approx((5.0 - record.needed) / 10.0)
    assert record.beyond_rule_ratio == 0.0  # the settings declare that whole positions are closed
    assert record.concession_mid_bps == pytest.approx((99.4 - 99.2) / 99.4 * 1e4)
    assert record.concession_mark_bps == pytest.approx((mark - 99.2) / mark * 1e4)
    assert (record.side, record.size, record.slices, record.methods) == ("long", 10.0, 1, ["book"])
    assert record.notional == pytest.approx(10.0 * mark)
    assert record.fee == 0.496
    assert record.loss == 0.0
    assert record.size_class == "smallest"  # it is the only one: at most each of the quartiles
    assert record.assumptions == ["mark_rule_unknown", "path_held_fixed"]


def test_it_is_stated_once_all_is_known_and_only_once():
    its = desk()
    name = its.liquidate("a", 10.0, take=5.0, price=99.2)
    its.run(300)
    assert not its.statements
    its.run(60)
    assert record_of(its).liquidation_id == name
    assert its.statements[0].key == name


@pytest.mark.parametrize("wait", [0, 7])
def test_the_wait_begins_when_the_mark_passes_the_trigger(wait):
    its = desk()
    its.liquidate("a", 10.0, take=5.0, price=99.2, wait=wait)
    its.run(301)
    # The first mark beyond is a second after the last one before; the slice .2 s after the last.
    assert record_of(its).wait_seconds == pytest.approx(max(0.1, wait - 1 + 0.2))


def test_nobody_has_waited_longer_than_since_the_last_change_of_the_position():
    """An account that buys above a mark price that lags is below maintenance at once."""
    its = desk()
    its.mark = 99.0
    its.run(20)
    its.liquidate("a", 10.0, take=5.0, price=99.2)
    its.run(301)
    assert record_of(its).wait_seconds == pytest.approx(0.2)


def test_beyond_the_declared_rule_counts_only_what_the_rule_does_not_give():
    steps = Reduction("steps", step_ratio=0.2, whole_below=500.0)
    found = {}
    for name, quantity, take in (("small", 4.0, 4.0), ("large", 10.0, 5.0), ("exact", 10.0, 2.0)):
        its = desk(rule=steps)
        its.liquidate(name, quantity, take=take, price=99.2)
        its.run(301)
        found[name] = record_of(its).beyond_rule_ratio
    # Below 500 positions are closed whole; above, a fifth at once.
    assert found == {"small": 0.0, "large": pytest.approx(0.3), "exact": 0.0}


def test_nothing_is_due_once_the_position_is_restored():
    its = desk(rule=Reduction("steps", step_ratio=0.2))
    its.liquidate("a", 10.0, take=2.0, price=99.2, slack=0.5)
    its.run(301)
    assert record_of(its).beyond_rule_ratio == pytest.approx(0.2)


def test_what_other_marks_would_have_made_of_it_is_stated():
    its = desk(mark_window_ns=30 * SECOND, mark_method="ema_premium", mark_clamp=0.05)
    its.mid = 98.0  # a dislocation of the book: the index stays
    its.run(9)
    its.liquidate("a", 10.0, take=5.0, price=98.0)
    its.run(6)
    its.mid = 100.0
    its.run(296)
    record = record_of(its)
    windows = {each.window: each for each in record.windows}
    assert windows["mid"].survives_60s is False
    # After 15 s the mean premium of 150 s is -.19 %: it never reaches -.5 %.
    assert windows["ema_150s"].survives_300s is True
    assert windows["ema_150s"].regret == pytest.approx(5.0 * (100.0 - 98.0))
    assert windows["own"].survives_60s is False
    assert windows["own"].regret == 0.0
    assert record.rebound_30s is True  # the index never was there
    assert record.rebound_seconds == 0.0
    assert record.regret == windows["ema_60s"].regret


def test_a_cross_position_restores_its_account():
    its = desk()
    its.take(Account(ts_event=its.now, account="a", collateral_value=5.0))
    its.take(
        Position(
            ts_event=its.now, symbol="X", account="a", quantity=10.0, entry_price=100.0,
            margin_mode="cross",
        )
    )  # fmt: skip
    # The account needs 30 in all, of which 10 for this position, and has 29.
    for phase, fields in (("start", {}), ("slice", {"quantity_filled": 3.0, "price": 99.9})):
        its.record("L", "a", phase, 0.1, equity_before=29.0, maintenance_before=30.0, **fields)
    its.run(320)
    record = record_of(its)
    assert record.needed == pytest.approx(1.0)  # frees .01 x 100 of maintenance for each unit
    assert record.wait_seconds is None
    assert "cross_account_elsewhere_unmoved" in record.assumptions
    assert record.trigger_price == pytest.approx(100.0 + 1.0 / 9.9)


def test_steps_of_one_id_belong_together_however_long_they_find_no_counterparty():
    its = desk()
    its.position("a", 10.0, 5.0)
    its.record("L", "a", "start", 0.1)
    its.run(40)
    its.record("L", "a", "slice", 0.1, quantity_filled=2.0, price=99.0)
    its.run(40)
    its.record("L", "a", "takeover", 0.1, method="backstop", quantity_filled=8.0, price=98.0)
    its.record("L", "a", "end", 0.2)
    its.run(301)
    record = record_of(its)
    assert (record.slices, record.taken, record.methods) == (2, 10.0, ["backstop"])


def test_at_the_limit_the_oldest_is_stated_with_what_is_known(monkeypatch):
    monkeypatch.setattr(liquidations, "MOST_FOLLOWED", 1)
    its = desk()
    for account in ("a", "b"):
        its.position(account, 10.0, 5.0)
        its.record(account, account, "start", 0.1)
        its.record(account, account, "slice", 0.2, quantity_filled=2.0, price=99.0)
        its.run(1)
    record = record_of(its)
    assert (record.account, record.taken) == ("a", 2.0)


@pytest.mark.parametrize("position_first", [True, False])
def test_an_account_may_add_to_its_position_while_it_is_liquidated(position_first):
    its = desk(rule=Reduction("steps", step_ratio=0.2))
    its.position("a", 10.0, 5.0)
    its.record("L", "a", "start", 0.1, equity_before=5.0, maintenance_before=9.0)
    for bought, held in ((0.0, 10.0), (3.0, 11.0)):
        if bought:  # a resting order of the account trades
            its.position("a", held, 5.0)
            its.run(1)
        if position_first:
            its.position("a", held - 2.0, 5.0)
        its.record("L", "a", "slice", quantity_filled=2.0, price=99.0,
                   equity_before=1.0, maintenance_before=9.0)  # fmt: skip
        if not position_first:
            its.position("a", held - 2.0, 5.0)
        its.run(1)
    (followed,) = its.detectors[0]._open.values()
    assert [part.its.quantity for part in followed.parts] == [10.0, 11.0]
    its.record("L", "a", "end")
    its.run(301)
    record = record_of(its)
    assert (record.size, record.taken) == (10.0, 4.0)
    assert "position_grew_meanwhile" in record.assumptions


def test_records_without_a_start_and_of_unknown_positions_are_stated_with_what_is_known():
    its = desk()
    its.record("L", "b", "slice", 0.1, side="buy", quantity_filled=2.0, price=101.0)
    its.record("L", "c", "slice", 0.1, side="sell", quantity_filled=2.0, price=101.0,
               reason="counterparty")  # fmt: skip
    its.run(311)
    record = record_of(its)
    assert (record.side, record.account, record.taken) == ("short", "b", 2.0)
    assert record.needed is None
    assert record.windows == []
    assert record.assumptions == [
        "position_unknown", "size_at_the_first_slice", "path_incomplete", "mark_rule_unknown",
    ]  # fmt: skip


def test_a_liquidation_that_took_nothing_is_none():
    its = desk()
    its.position("a", 10.0, 5.0)
    its.record("L", "a", "start", 0.1)
    its.record("L", "a", "end", 0.2)
    its.run(320)
    assert its.statements == []


def test_the_loss_is_what_the_slices_lost_beyond_the_margin():
    its = desk()
    its.position("a", 10.0, 5.0)
    its.record("L", "a", "start", 0.1)
    its.record("L", "a", "slice", 0.2, quantity_filled=10.0, price=99.0, fee=1.0)
    its.record("L", "a", "end", 0.3, collateral_returned=0.0)
    its.run(301)
    assert record_of(its).loss == pytest.approx(10.0 + 1.0 - 5.0)
    assert record_of(its).returned == 0.0
    assert record_of(its).started_at == BEGIN + 400 * SECOND + SECOND // 10
