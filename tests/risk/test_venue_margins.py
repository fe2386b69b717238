"""A venue of accounts that mix symbols and margin modes, against each account by itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.risk.coarse import coarsened, representatives
from detectors.risk.contract import Contract
from detectors.risk.drawn_runs import drawn_distances, drawn_runs, near_ratio
from detectors.risk.flow_impact import flow_impact
from detectors.risk.forced import Forced, forced_at, forced_of
from detectors.risk.positions import Positions
from detectors.risk.quantiles import quantiles
from detectors.risk.runs import distance, runs_of
from detectors.risk.tiers import tiers_of
from detectors.risk.venue_margins import Market, backed_positions, symbol_ladder
from tests.risk.books import books, rules

SYMBOLS = ("X", "Y", "Z")
TIERS = tiers_of([0.01, 0.03], [0.0, 300.0])
MARKETS = [Market(Contract(TIERS), mark, 0.02) for mark in (100.0, 50.0, 10.0)]
MARK = dict(zip(SYMBOLS, (100.0, 50.0, 10.0), strict=True))

position = st.tuples(
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(SYMBOLS),
    st.floats(0.1, 10),
    st.sampled_from([-1, 1]),
    st.floats(0.97, 1.03),
    st.booleans(),
    st.sampled_from([math.nan, 0.05, 0.2]),
)


class Account:
    """One account marked by the definitions, without columns."""

    def __init__(self, collateral):
        self.collateral = collateral
        self.held = {}

    @staticmethod
    def required(notional):
        return 0.01 * min(notional, 300) + 0.03 * max(0.0, notional - 300)

    def below(self, symbol, price):
        """Whether the position in a symbol is below maintenance at this price of the symbol."""
        at = {**MARK, symbol: price}
        quantity, entry, cross, margin = self.held[symbol]
        if not cross or math.isnan(self.collateral):
            gained = quantity * (price - entry)
            return margin + gained <= self.required(abs(quantity) * price)
        slack = self.collateral
        for name, (held, paid, is_cross, _) in self.held.items():
            if is_cross:
                slack += held * (at[name] - paid) - self.required(abs(held) * at[name])
        return slack <= 0


def check_side(positions, backed, accounts, symbol, side):
    market = MARKETS[SYMBOLS.index(symbol)]
    ends = [
        symbol_ladder(positions, backed, symbol, market, side, 10.0, end=end, fee_ratio=0.002)
        for end in ("optimistic", "conservative")
    ]
    sign = 1 if side == "long" else -1
    mine = {
        name: account
        for name, account in accounts.items()
        if symbol in account.held and sign * account.held[symbol][0] > 0
    }
    size = sum(abs(account.held[symbol][0]) for account in mine.values())
    assert [its.coverage_ratio for its in ends] == pytest.approx([size / 10.0] * 2)
    moves = [
        {
            positions.accounts.name(number): move
            for number, move in zip(its.ladder.account, its.ladder.move, strict=True)
        }
        for its in ends
    ]
    assumed = 0.0
    for name, account in mine.items():
        quantity, _, cross, margin = account.held[symbol]
        pooled = cross and not math.isnan(account.collateral)
        assumed += 0.0 if pooled or (not cross and not math.isnan(margin)) else abs(quantity)
        if not pooled and math.isnan(margin):
            assert name not in moves[0]  # nothing bounds its margin
            assert name in moves[1]
            continue
        move, sooner = (ladder.get(name, math.inf) for ladder in moves)
        assert sooner <= move + 1e-12
        for at in np.linspace(0, 0.9 if side == "long" else 3.0, 20):
            if abs(at - move) > 1e-9:
                assert account.below(symbol, market.mark * (1 - sign * at)) == (at > move)
    assumed_ratio = assumed / size if size else 0.0
    assert [its.assumed_ratio for its in ends] == pytest.approx([assumed_ratio] * 2)


@given(
    st.lists(position, min_size=1, max_size=14),
    st.fixed_dictionaries({name: st.sampled_from([math.nan, 50.0, 400.0]) for name in "abcd"}),
)
def test_each_position_goes_where_its_account_falls_below_maintenance(held, funds):
    positions, accounts = Positions(), {}
    for name in SYMBOLS:  # numbers the symbols in the order of the markets
        positions.symbols.number(name)
    for name, of, size, sign, ratio, cross, margin_ratio in held:
        account = accounts.setdefault(name, Account(funds[name]))
        quantity, entry = sign * size, MARK[of] * ratio
        margin = margin_ratio * size * entry
        account.held[of] = (quantity, entry, cross, margin)
        positions.put(name, of, quantity=quantity, entry_price=entry, margin=margin, cross=cross)
        positions.set_collateral(name, funds[name])
    backed = backed_positions(positions, MARKETS)
    for symbol in SYMBOLS:
        for side in ("long", "short"):
            check_side(positions, backed, accounts, symbol, side)


def test_a_position_without_a_market_is_refused():
    positions = Positions()
    positions.put("a", "X", quantity=1.0, entry_price=1.0)
    with pytest.raises(ValueError, match="symbol number 0 has a position, but there are only 0"):
        backed_positions(positions, [])
    backed = backed_positions(positions, MARKETS)
    with pytest.raises(ValueError, match=r"open_interest is 0\.0"):
        symbol_ladder(positions, backed, "X", MARKETS[0], "long", 0.0)
    nobody = symbol_ladder(positions, backed, "unknown", MARKETS[0], "long", 1.0)
    assert (len(nobody.ladder.move), nobody.coverage_ratio) == (0, 0.0)


@given(books(), rules(), st.sampled_from([1e-5, 1e-4, 1e-3]), st.floats(1e-7, 1e-4))
def test_a_coarse_curve_is_never_less_and_at_most_a_cell_early(book, rule, cell, slope):
    forced = forced_of(book.ladder(), rule)
    coarse = coarsened(forced, cell, furthest=0.5)
    moves = np.linspace(0, 0.49, 700)
    fine, found = forced_at(forced, moves), forced_at(coarse, moves)
    total = forced.notional[-1]
    assert np.all(found >= fine - 1e-9 * total)
    assert np.all(found <= forced_at(forced, moves + cell * (1 + 1e-6)) + 1e-9 * total)
    impact = flow_impact(slope)
    for share in (0.1, 0.5):
        exact = distance(runs_of(forced, impact), share * total)
        near = distance(runs_of(coarse, impact), share * total)
        if exact < 0.4:
            assert exact - cell * (1 + 1e-6) - 1e-9 <= near <= exact + 1e-9


@given(books(), rules(), st.integers(0, 100))
def test_a_few_slopes_give_the_quantiles_of_all_to_a_draw(book, rule, seed):
    forced = forced_of(book.ladder(), rule)
    slopes = np.exp(np.random.default_rng(seed).normal(-12, 1, 200))
    interest = book.notional().sum()
    every = drawn_runs(forced, slopes, interest, 20.0)
    few = drawn_runs(forced, representatives(slopes), interest, 20.0)
    for all_of, some in (
        (every.reproduction, few.reproduction),
        *((every.distance[share], few.distance[share]) for share in every.distance),
    ):
        ordered = np.sort(all_of)
        for place, value in zip((19, 99, 179), quantiles(some), strict=True):
            assert ordered[place] <= value <= ordered[place + 1]


def test_what_cannot_be_is_refused_by_name():
    nothing = Forced(np.zeros(0), np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match=r"resolution_ratio is 0\.0"):
        coarsened(nothing, 0.0)
    with pytest.raises(ValueError, match="count is 3"):
        representatives(np.ones(2), 3)
    assert coarsened(nothing) == nothing


@given(books(), rules(), st.integers(0, 100), st.floats(0.0, 0.1), st.floats(0.05, 1.0))
def test_the_share_of_near_draws_is_that_of_counting_them_all(book, rule, seed, at_most, share):
    forced = forced_of(book.ladder(), rule)
    slopes = np.sort(np.exp(np.random.default_rng(seed).normal(-10, 2, 25)))
    wanted = share * book.notional().sum()
    counted = np.count_nonzero(drawn_distances(forced, slopes, wanted) <= at_most)
    assert near_ratio(forced, slopes, wanted, at_most) == counted / 25
