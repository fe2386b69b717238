"""Scenarios against the chain simulated account by account, and against runs in closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.book_impact import book_impact
from detectors.risk.contract import Contract
from detectors.risk.flow_impact import flow_impact
from detectors.risk.forced import forced_of
from detectors.risk.impact import moved_by
from detectors.risk.marks import MarkRule
from detectors.risk.positions import Positions
from detectors.risk.reduction import Reduction
from detectors.risk.reproduction import generations
from detectors.risk.runs import run_ends, runs_of
from detectors.risk.tiers import tiers_of
from detectors.risk.venue_margins import Market
from detectors.risk.what_if.compare import VenueState, what_if
from detectors.risk.what_if.scenario import Scenario
from tests.risk.books import books
from tests.risk.venues import MARKETS, MARKS, RATES, SYMBOLS, positions_of, venues


def pushed(impact, notional):
    return float(moved_by(impact, np.array([notional]))[0])


class Simulated:
    """The chain by its definition: accounts one by one, no columns."""

    def __init__(self, units, impacts, shocks, rule, allocation, passed, halted, rates):
        self.units, self.rule, self.allocation = units, rule, allocation
        self.impacts, self.passed, self.halted, self.rates = impacts, passed, halted, rates
        self.shocks = [0.0 if halted[s] else shocks[s] for s in range(3)]
        self.cash = [unit.collateral for unit in units]
        self.left = [[held.quantity for held in unit.held] for unit in units]
        self.sold = [[0.0, 0.0] for _ in SYMBOLS]
        self.closed = [[0.0 for _ in unit.held] for unit in units]
        self.rounds = []

    def ratio(self, symbol, sold, passed):
        sale, purchase = self.impacts[symbol]
        down = min(pushed(sale, sold[0]), 100.0) if sold[0] else 0.0
        up = min(pushed(purchase, sold[1]), 100.0) if sold[1] else 0.0
        return min(max(1 + self.shocks[symbol] - passed * (down - up), 1e-6), 100.0)

    def marks(self):
        return [MARKS[s] * self.ratio(s, self.sold[s], self.passed) for s in range(3)]

    def required(self, number, place, marks):
        symbol = self.units[number].held[place].symbol
        return self.rates[symbol] * abs(self.left[number][place]) * marks[symbol]

    def equity(self, number, marks):
        return self.cash[number] + sum(
            left * (marks[held.symbol] - held.entry)
            for held, left in zip(self.units[number].held, self.left[number], strict=True)
        )

    def closing(self, number, marks):
        """How much of each position of an account is closed now."""
        held, left, rule = self.units[number].held, self.left[number], self.rule
        places = range(len(held))
        equity = self.equity(number, marks)
        if not any(left) or equity > sum(self.required(number, p, marks) for p in places):
            return {}
        open_ = [p for p in places if left[p] and not self.halted[held[p].symbol]]
        first = sum(abs(held[p].quantity) * MARKS[held[p].symbol] for p in places)
        kappa, fee = rule.restored_ratio, rule.fee_ratio + rule.slippage_ratio
        spare = equity - kappa * sum(
            self.required(number, p, marks) for p in places if self.halted[held[p].symbol]
        )
        if rule.kind == "full" or first < rule.whole_below or spare <= 0:
            return {p: left[p] for p in open_}
        if rule.kind == "steps":
            steps = {}
            for p in open_:
                step = rule.step_ratio * held[p].quantity
                rest = abs(left[p]) - abs(step)
                steps[p] = left[p] if rest <= 1e-9 * abs(held[p].quantity) else step
            return steps
        frees = {
            p: kappa * self.required(number, p, marks) - fee * abs(left[p]) * marks[held[p].symbol]
            for p in open_
        }
        short = kappa * sum(self.required(number, p, marks) for p in open_) - spare
        if sum(frees.values()) <= short:
            return {p: left[p] for p in open_}
        if self.allocation == "pro_rata":
            share = min(max(short / sum(frees.values()), 0), 1)
            return {p: share * left[p] for p in open_}
        closed = {}
        for p in sorted(open_, key=lambda p: -abs(left[p]) * marks[held[p].symbol]):
            if frees[p] > 0:
                share = min(max(short / frees[p], 0), 1)
                closed[p] = share * left[p]
                short -= frees[p]
        return closed

    def run(self):
        total = sum(abs(h.quantity) * MARKS[h.symbol] for unit in self.units for h in unit.held)
        for _ in range(100):
            marks = self.marks()
            closing = [self.closing(number, marks) for number in range(len(self.units))]
            newly = [[0.0, 0.0] for _ in SYMBOLS]
            for unit, closes in zip(self.units, closing, strict=True):
                for place, quantity in closes.items():
                    held = unit.held[place]
                    newly[held.symbol][held.quantity < 0] += abs(quantity) * MARKS[held.symbol]
            if sum(map(sum, newly)) <= 1e-9 * total:
                return
            self.rounds.append([value for symbol in newly for value in symbol])
            middle = [
                [old + 0.5 * new for old, new in zip(self.sold[s], newly[s], strict=True)]
                for s in range(3)
            ]
            for number, closes in enumerate(closing):
                for place, quantity in closes.items():
                    held = self.units[number].held[place]
                    price = MARKS[held.symbol] * self.ratio(held.symbol, middle[held.symbol], 1.0)
                    self.cash[number] += quantity * (price - held.entry)
                    self.cash[number] -= self.rule.fee_ratio * abs(quantity) * price
                    self.closed[number][place] += abs(quantity) * MARKS[held.symbol]
                    left = self.left[number][place] - quantity
                    small = abs(left) <= 1e-12 * abs(held.quantity)
                    self.left[number][place] = 0.0 if small else left
            for s in range(3):
                self.sold[s] = [a + b for a, b in zip(self.sold[s], newly[s], strict=True)]

    def shortfall(self):
        marks, nodes = self.marks(), np.zeros(6)
        for number, unit in enumerate(self.units):
            lost = max(-self.equity(number, marks), 0.0)
            whole = sum(self.closed[number])
            for held, closed in zip(unit.held, self.closed[number], strict=True):
                if closed:
                    nodes[2 * held.symbol + (held.quantity < 0)] += lost * closed / whole
        return nodes


@st.composite
def impacts(draw):
    if draw(st.booleans()):
        return flow_impact(draw(st.floats(1e-7, 1e-4)))
    steps = draw(st.lists(st.floats(1e-3, 0.02), min_size=1, max_size=4))
    sizes = draw(st.lists(st.floats(1, 3000), min_size=len(steps), max_size=len(steps)))
    return book_impact(np.cumsum(steps), np.cumsum(sizes), 0.8, 10.0, 0.4)


pairs = st.lists(st.tuples(impacts(), impacts()), min_size=3, max_size=3)


@st.composite
def rules(draw):
    return Reduction(
        draw(st.sampled_from(["full", "sufficient", "steps"])),
        restored_ratio=draw(st.sampled_from([1.0, 1.2])),
        fee_ratio=draw(st.sampled_from([0.0, 0.002])),
        step_ratio=draw(st.sampled_from([0.1, 0.3, 1.0])),
        whole_below=draw(st.sampled_from([0.0, 300.07])),  # no drawn position has just this size
    )


@st.composite
def scenarios(draw):
    halted = draw(st.frozensets(st.sampled_from(SYMBOLS), max_size=1))
    shocks = draw(st.dictionaries(st.sampled_from(SYMBOLS), st.floats(-0.08, 0.08), max_size=3))
    return Scenario(
        {symbol: shock for symbol, shock in shocks.items() if symbol not in halted},
        halted,
        draw(st.dictionaries(st.sampled_from([*SYMBOLS, "*"]), st.floats(0.5, 3), max_size=2)),
        draw(st.dictionaries(st.sampled_from([*SYMBOLS, "*"]), st.floats(0.2, 3), max_size=2)),
        draw(st.sampled_from([None, 0.1, 0.25])),
        draw(st.sampled_from([None, 20.0, 60.0])),
    )


def state_of(units, impact, rule=Reduction(), allocation="pro_rata"):  # noqa: B008
    return VenueState(positions_of(units), MARKETS, impact, [None] * 3, rule, allocation)


def simulated(units, impact, scenario, rule, allocation):
    if scenario.step_ratio is not None:
        rule = rule._replace(kind="steps", step_ratio=scenario.step_ratio)
    window = scenario.mark_window_seconds
    factor = [scenario.depth.get(s, scenario.depth.get("*", 1.0)) for s in SYMBOLS]
    scaled = [
        tuple(
            i._replace(notional=i.notional * depth, beyond=i.beyond / depth) for i in both
        )
        for both, depth in zip(impact, factor, strict=True)
    ]  # fmt: skip
    run = Simulated(
        units,
        scaled,
        [scenario.shocks.get(s, 0.0) for s in SYMBOLS],
        rule,
        allocation,
        1.0 if window is None else 1 - np.exp(-10 / window),
        [s in scenario.halted for s in SYMBOLS],
        [
            rate * scenario.maintenance.get(s, scenario.maintenance.get("*", 1.0))
            for rate, s in zip(RATES, SYMBOLS, strict=True)
        ],
    )
    run.run()
    return run


@given(venues(), pairs, scenarios(), rules(), st.sampled_from(["pro_rata", "largest_first"]))
def test_the_chain_is_that_of_each_account_by_itself(units, impact, scenario, rule, allocation):
    found = what_if(state_of(units, impact, rule, allocation), scenario).after
    expected = simulated(units, impact, scenario, rule, allocation)
    nearby = [
        simulated(
            [unit._replace(collateral=unit.collateral + change) for unit in units],
            impact, scenario, rule, allocation,
        )
        for change in (-1e-7, 1e-7)
    ]  # fmt: skip
    if any(
        len(other.rounds) != len(expected.rounds)
        or not np.allclose(other.rounds, expected.rounds, rtol=1e-3, atol=1e-4)
        for other in nearby
    ):
        return  # a rounding decides
    assert found.forced == pytest.approx(
        np.array(expected.rounds).reshape(-1, 6), rel=1e-6, abs=1e-6
    )
    assert found.price_ratio * MARKS == pytest.approx(np.array(expected.marks()), rel=1e-6)
    assert found.shortfall == pytest.approx(expected.shortfall(), rel=1e-5, abs=1e-4)
    hit = [any(closed) for closed in expected.closed]
    assert found.liquidated == sum(hit)
    assert found.settled == (len(expected.rounds) < 100)


@given(books(inverse=False), st.floats(1e-7, 1e-4), st.floats(0, 0.1))
def test_one_symbol_ends_where_its_run_in_closed_form_does(book, slope, shock):
    positions = Positions()
    columns = zip(book.quantity, book.entry, book.margin, strict=True)
    for number, (quantity, entry, margin) in enumerate(columns):
        positions.put(f"a{number}", "X", quantity=quantity, entry_price=entry, margin=margin)
    impact = flow_impact(slope)
    state = VenueState(
        positions, [Market(book.contract, book.mark, 0.02)], [(impact, impact)], [None]
    )
    sign = -1 if book.side == "long" else 1
    runs = runs_of(forced_of(book.ladder(), Reduction()), impact)
    end, early, late = run_ends(runs, np.array([shock, shock - 1e-8, shock + 1e-8])).tolist()
    if late - early > 1e-6 or (book.side == "long" and end >= 0.99):
        return
    found = what_if(state, Scenario(shocks={"X": sign * shock})).after
    assert sign * (found.price_ratio[0] - 1) == pytest.approx(end, abs=1e-7)
    rounds = [generation.notional for generation in generations(runs, shock, at_most=200)]
    assert found.forced.sum(axis=1).tolist() == pytest.approx(rounds)


@given(venues(), pairs, scenarios(), st.floats(1, 3))
def test_a_deeper_market_forces_no_more_longs_when_only_longs_are_held(units, impact, scenario, f):
    units = [
        unit._replace(
            collateral=unit.collateral,
            held=tuple(held._replace(quantity=abs(held.quantity)) for held in unit.held),
        )
        for unit in units
    ]
    shocks = {symbol: -abs(shock) for symbol, shock in scenario.shocks.items()}
    found = what_if(state_of(units, impact), Scenario(shocks, depth={"*": f}))
    before, after = found.before, found.after
    assert np.all(after.forced.sum(axis=0) <= before.forced.sum(axis=0) + 1e-6)
    assert np.all(after.price_ratio >= before.price_ratio - 1e-9)


@given(venues(), pairs, scenarios())
def test_a_halted_symbol_neither_moves_nor_is_closed(units, impact, scenario):
    found = what_if(state_of(units, impact), scenario).after
    for number, symbol in enumerate(SYMBOLS):
        if symbol in scenario.halted:
            assert found.price_ratio[number] == 1
            assert not found.forced[:, 2 * number : 2 * number + 2].any()


@given(venues(), pairs)
def test_nothing_happens_without_a_shock_unless_someone_is_below_already(units, impact):
    found = what_if(state_of(units, impact), Scenario())
    assert found.before is found.after
    if all(unit.slack(MARKS) > 1e-9 for unit in units):
        assert not len(found.after.forced)
        assert found.after.below_at_once == 0
        assert found.after.price_ratio.tolist() == [1, 1, 1]
    assert found.after.below_at_once == pytest.approx(
        sum(unit.slack(MARKS) <= 0 for unit in units), abs=sum(
            abs(unit.slack(MARKS)) < 1e-9 for unit in units)
    )  # fmt: skip


def test_a_loss_of_an_inverse_contract_is_told_in_the_quote_currency():
    positions = Positions()
    positions.put("a", "X", quantity=10_000.0, entry_price=50_000.0, margin=0.02)
    impact = flow_impact(1e-6)
    state = VenueState(
        positions,
        [Market(Contract(tiers_of([0.01]), inverse=True), 50_000.0, 0.02)],
        [(impact, impact)],
        [None],
    )
    found = what_if(state, Scenario(shocks={"X": -0.1})).after
    # Sold at 50,000 (1 - 0.1 - 0.005): 10,000 (1 / 44,750 - 1 / 50,000) less the margin.
    lost = 10_000 * (1 / 44_750 - 1 / 50_000) - 0.02
    assert found.shortfall[0] == pytest.approx(lost * 50_000 * 0.89)
    assert found.forced.tolist() == [[10_000.0, 0.0]]


def test_the_venues_own_mark_rule_is_what_a_window_is_compared_with():
    positions = Positions()
    positions.put("a", "X", quantity=1.0, entry_price=100.0, margin=3.0)
    positions.put("b", "X", quantity=1.0, entry_price=100.0, margin=4.0)
    impact = flow_impact(3e-4)
    state = VenueState(
        positions, [Market(Contract(tiers_of([0.01])), 100.0, 0.02)], [(impact, impact)],
        [MarkRule("sma", 15.0)],
    )  # fmt: skip
    # The sale of a moves the book by 3 %. Of a window of 15 s two thirds have passed after 10 s.
    found = what_if(state, Scenario(shocks={"X": -0.021}, mark_window_seconds=60.0))
    assert found.before.price_ratio[0] == pytest.approx(1 - 0.021 - 0.06 * 10 / 15)
    assert found.after.price_ratio[0] == pytest.approx(1 - 0.021 - 0.03 * 10 / 60)
    assert [len(found.before.forced), len(found.after.forced)] == [2, 1]


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (Scenario(shocks={"Q": 0.1}), "no positions of Q are known; known symbols: X, Y, Z"),
        (Scenario(halted=frozenset({"Q"})), "no positions of Q are known"),
        (Scenario(shocks={"X": -1.0}), "the shock of X is -100 %: it must be above -100 %"),
        (Scenario(shocks={"X": -0.1}, halted=frozenset({"X"})), "X is halted and has a shock"),
        (Scenario(maintenance={"X": 0.0}), "the maintenance factor of X is 0: it must be above 0"),
        (Scenario(maintenance={"Y": 60.0}), "the maintenance of Y times 60: rates are"),
        (Scenario(depth={"*": -1.0}), r"the depth factor of \* is -1"),
        (Scenario(step_ratio=1.5), "the step is 150 %: it must be above 0 and at most 100 %"),
        (Scenario(mark_window_seconds=0.0), "the mark window is 0 s: it must be above 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(scenario, message):
    impact = flow_impact(1e-6)
    with pytest.raises(ValueError, match=message):
        what_if(state_of([], [(impact, impact)] * 3), scenario)
