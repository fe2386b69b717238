"""Contracts that settle in their base currency, from the streams to the records."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from detectors.market_data.book_summary import BookSummary
from detectors.market_data.events import Margin, Order, Position, Reference, Tier, Trade
from detectors.market_data.risk_events import Account, Insurance
from detectors.risk.tiers import maintenance, tiers_of
from detectors.risk_watch.monitor import RiskMonitor
from detectors.risk_watch.output import RiskOutput
from service.replay.files import EventWriter
from tests.kafka.broker.rig import foreshock
from tests.risk.books import books
from tests.risk_watch.venue import BEGIN, MARK, SECOND, Venue, crowd, margin, reference


def terms(symbol, tiers=None, currency="BTC", **changes):
    fields = {"maintenance_margin_rate": 0.01, "initial_margin_rate": 0.02, **changes}
    return Margin(
        ts_event=BEGIN, symbol=symbol, contract="inverse", settlement_currency=currency,
        tiers=tiers, **fields,
    )  # fmt: skip


def records_of(*events):
    monitor, output = RiskMonitor(), RiskOutput()
    for event in events:
        output.records += monitor.take(event).records
    output.records += monitor.close_until(BEGIN + 10 * SECOND).records
    return {(its.symbol, its.side): its for its in output.records}


@settings(max_examples=60, deadline=None)
@given(books(inverse=True))
def test_the_ladder_is_that_of_every_position_tried_at_every_price(book):
    bounds = [*(book.contract.tiers.floors[1:]), None]
    tiers = tuple(
        Tier(up_to_notional=bound, maintenance_rate=rate)
        for bound, rate in zip(bounds, book.contract.tiers.rates, strict=True)
    )
    found = records_of(
        terms("X", tiers),
        Reference(ts_event=BEGIN, symbol="X", mark_price=book.mark, open_interest=2e4),
        *(
            Position(ts_event=BEGIN, symbol="X", account=str(number), quantity=quantity,
                     entry_price=entry, margin=backing)
            for number, (quantity, entry, backing) in enumerate(
                zip(book.quantity, book.entry, book.margin, strict=True)
            )
        ),
    )  # fmt: skip
    record = found["X", book.side]
    assert (record.contract, record.settlement_currency) == ("inverse", "BTC")
    assert "linear_contract" not in record.assumptions
    assert record.open_interest == 2e4  # a face value is a notional
    for rung in record.rungs:
        price = book.moved(rung.move_bps / 1e4)
        # A liquidation price on the rung itself may fall on either side of it.
        assume((book.below(price * (1 - 1e-9)) == book.below(price * (1 + 1e-9))).all())
        below = book.below(price)
        assert rung.accounts == np.count_nonzero(below)
        assert rung.notional == pytest.approx(float(book.notional()[below].sum()))


FACES = st.integers(1, 50).flatmap(lambda size: st.sampled_from([1_000.0 * size, -1_000.0 * size]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(FACES, FACES), min_size=1, max_size=6),
    st.floats(0.5, 3.0),
)
def test_collateral_in_the_base_currency_stands_behind_all_contracts_that_settle_in_it(held, spare):
    """X and Y settle in BTC and their accounts are cross; equity is counted out by hand."""
    marks, entries = {"X": 100.0, "Y": 40.0}, {"X": 101.0, "Y": 39.0}
    events = [terms("X"), terms("Y"), terms("Z", currency="ETH")]
    events += [
        Reference(ts_event=BEGIN, symbol=symbol, mark_price=mark, open_interest=1e6)
        for symbol, mark in (*marks.items(), ("Z", 3.0))
    ]
    accounts = []
    for number, quantities in enumerate(held):
        faces = dict(zip("XY", quantities, strict=True))
        needed = sum(0.01 * abs(q) / marks[s] for s, q in faces.items())
        lost = sum(q * (1 / marks[s] - 1 / entries[s]) for s, q in faces.items())
        collateral = lost + spare * needed
        accounts.append((faces, collateral))
        # What it holds in ETH, and a linear position of the same name, are other accounts.
        events += [
            Account(ts_event=BEGIN, account=f"{number}", collateral_value=collateral,
                    settlement_currency="BTC"),
            Account(ts_event=BEGIN, account=f"{number}", collateral_value=1e9),
            Position(ts_event=BEGIN, symbol="Z", account=f"{number}", quantity=9.0, entry_price=3.0,
                     margin_mode="cross"),
            *(
                Position(ts_event=BEGIN, symbol=symbol, account=f"{number}", quantity=quantity,
                         entry_price=entries[symbol], margin_mode="cross")
                for symbol, quantity in faces.items()
            ),
        ]  # fmt: skip
    found = records_of(*events)
    sides = {"long": 1.0, "short": -1.0}
    for (symbol, side), rung in (
        (key, rung) for key, record in found.items() if key[0] != "Z" for rung in record.rungs
    ):
        prices = {**marks, symbol: marks[symbol] * (1 - sides[side] * rung.move_bps / 1e4)}

        def slack(faces, collateral, prices=prices):
            gained = sum(q * (1 / entries[s] - 1 / prices[s]) for s, q in faces.items())
            return collateral + gained - sum(0.01 * abs(q) / prices[s] for s, q in faces.items())

        its_side = [its for its in accounts if its[0][symbol] * sides[side] > 0.0]
        assume(all(abs(slack(*its)) > 1e-9 for its in its_side))
        assert rung.accounts == sum(slack(*its) < 0.0 for its in its_side)


def test_an_inverse_contract_is_not_backed_by_money_of_another_currency():
    events = [
        terms("X", currency=None),
        Reference(ts_event=BEGIN, symbol="X", mark_price=100.0, open_interest=100.0),
        Account(ts_event=BEGIN, account="a", collateral_value=1e9),
        Position(ts_event=BEGIN, symbol="X", account="a", quantity=90.0, entry_price=100.0,
                 margin_mode="cross"),
    ]  # fmt: skip
    for order in (events, events[::-1]):  # also positions that come before the venue's terms
        (record,) = [its for its in records_of(*order).values() if its.side == "long"]
        assert record.assumed_ratio == 1.0
        assert record.rungs[-1].accounts == 1


def test_its_fund_is_counted_in_the_quote_currency():
    events = [terms("X"), reference(), Insurance(ts_event=BEGIN, symbol="X", balance=2.0)]
    events.append(Position(ts_event=BEGIN, symbol="X", account="a", quantity=9.0, entry_price=MARK))
    assert records_of(*events)["X", "long"].insurance_fund == 2.0 * MARK


def test_the_impact_of_its_flow_is_that_of_the_same_money_in_a_linear_contract():
    linear = Venue(slope=2e-6, flow=100.0)
    linear.take(margin(), reference(), *crowd(900.0, 0.02))
    inverse = Venue(slope=2e-6, flow=100.0)
    inverse.take(terms("X"), reference(open_interest=1e5))
    inverse.take(Position(ts_event=BEGIN, symbol="X", account="a", quantity=9e4, entry_price=MARK))
    summarise = inverse.monitor.summarise

    def with_face_values(symbol, at, summary):
        """What an order book of face values says: price times face value."""
        scaled = {
            name: getattr(summary, name) * summary.mid
            for name in ("bought", "sold", "forced_bought", "forced_sold")
        }
        depth = tuple(value * summary.mid for value in summary.bid_depth)
        return summarise(
            symbol, at, BookSummary(summary.mid, summary.spread_bps, depth, depth, **scaled)
        )

    inverse.monitor.summarise = with_face_values
    linear.run(400)
    inverse.run(400)
    expected, found = linear.last().impact, inverse.last().impact
    assert found.slope_bps_per_million == pytest.approx(expected.slope_bps_per_million)
    assert found.book_bps == pytest.approx(expected.book_bps)
    assert found.root_bps == pytest.approx(expected.root_bps)


def recording(directory):
    """Four minutes of a linear contract and its inverse twin: the same prices and the same money.

    Each second both sides of the book are quoted anew, and someone buys or sells.
    """
    level = 100.0
    random = np.random.default_rng(1)
    numbers = itertools.count()
    with EventWriter(directory, "none") as writer:
        for symbol, contract in (("LIN", "linear"), ("INV", "inverse")):
            face = contract == "inverse"
            writer.write(
                Margin(ts_event=BEGIN, symbol=symbol, contract=contract,
                       maintenance_margin_rate=0.01, initial_margin_rate=0.02,
                       settlement_currency="BTC" if face else "USD")
            )  # fmt: skip
        for second in range(240):
            net = float(random.normal(0.0, 2_000.0))
            level *= math.exp(5e-8 * net)
            at = BEGIN + second * SECOND + SECOND // 4
            for symbol in ("LIN", "INV"):
                unit = 1.0 if symbol == "INV" else 1.0 / level

                def order(side, price, money, at, symbol=symbol, unit=unit):
                    name = f"{next(numbers)}" if money < 9e4 else f"{symbol}{side}"
                    writer.write(
                        Order(ts_event=at, symbol=symbol, order_id=name, side=side, price=price,
                              quantity=money * unit)
                    )  # fmt: skip
                    return name

                order("buy", level * 0.9999, 1e5, at)
                order("sell", level * 1.0001, 1e5, at)
                side, maker = ("buy", "sell") if net > 0.0 else ("sell", "buy")
                price = level * (1.0001 if net > 0.0 else 0.9999)
                taker = order(side, price, abs(net), at + 1)
                writer.write(
                    Trade(ts_event=at + 1, symbol=symbol, trade_id=taker, price=price, side=side,
                          quantity=abs(net) * unit, maker_order_id=f"{symbol}{maker}",
                          taker_order_id=taker)
                )  # fmt: skip
                if second % 10 == 0:
                    writer.write(
                        Reference(ts_event=at, symbol=symbol, mark_price=level, index_price=100.0,
                                  open_interest=1e6 * unit)
                    )  # fmt: skip
                if second == 60:
                    settled = 1.0 / level if symbol == "INV" else 1.0
                    for number in range(1, 20):
                        backing = 5e4 * settled * (0.01 + 0.001 * number)
                        writer.write(
                            Position(ts_event=at, symbol=symbol, account=f"{number}",
                                     entry_price=level, quantity=5e4 * unit, margin=backing)
                        )  # fmt: skip


def test_a_recording_of_an_inverse_contract_gives_its_records(tmp_path):
    recording(tmp_path / "day")
    done = foreshock("replay", tmp_path / "day", "--quiet", "--risk", tmp_path / "risk")
    assert done.returncode == 0, done.stderr
    last = {}
    for line in (tmp_path / "risk").read_text().splitlines():
        its = json.loads(line)
        last[its["symbol"], its["side"]] = its
    linear, inverse = last["LIN", "long"], last["INV", "long"]
    assert (linear["contract"], inverse["contract"]) == ("linear", "inverse")
    slopes = [its["impact"]["slope_bps_per_million"] for its in (linear, inverse)]
    assert slopes[1] == pytest.approx(slopes[0], rel=1e-3)
    assert inverse["open_interest"] == 1e6
    assert inverse["runs"][-1]["loss"] is not None
    mark, tiers = inverse["mark_price"], tiers_of([0.01])
    positions = [
        json.loads(line) for line in (tmp_path / "day/positions.ndjson").read_text().splitlines()
    ]
    for rung in inverse["rungs"]:
        price = mark * (1.0 - rung["move_bps"] / 1e4)
        expected = 0
        for its in positions:
            if its["symbol"] != "INV":
                continue
            lost = its["quantity"] * (1.0 / price - 1.0 / its["entry_price"])
            (needed,) = maintenance(tiers, np.array([its["quantity"] / price]))
            expected += its["margin"] - lost < needed
        assert rung["accounts"] == expected
    assert inverse["rungs"][-1]["accounts"] > 10
