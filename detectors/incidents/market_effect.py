"""The effect of an incident on the market: depth, spread and price against what was usual.

An effect is measured twice, without an instrument's units: as a ratio (depth and spread to what is
usual, the move of the price to the typical spread) and against the symbol's own fluctuations. The
lesser grade counts. The ratio alone is not enough: some books are at half of their usual depth in a
third of all seconds, and on a tight book every minute moves many spreads. The fluctuation alone is
not either: where the spread is always one tick, two ticks are far beyond it.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec import Struct

from detectors.market_data.bar import NEAR_BAND, WIDEST_SPREAD_BPS, Bar
from detectors.market_data.book import BANDS_SPREADS, Book, bands_of
from detectors.market_data.market_noise import MarketNoiseState

NOTICEABLE = 1.0
"""The grade of an effect to notice: half of the depth, or twice the spread (the least that
`thin_book` calls thin), or a move over the whole near band, five typical spreads; and four typical
fluctuations."""

SEVERE = 2.0
"""The grade of a severe effect: a quarter of the depth, four times the spread, or a move of ten
typical spreads; and eight typical fluctuations. An order that usually moves the price by one spread
then nearly crosses the near band."""

HIGHEST = 10.0
"""The highest grade: below a thousandth of the depth a side is empty."""

SPREADS = 2.5
FLUCTUATIONS = 2.0
"""A move of so many typical spreads, and any effect of so many typical fluctuations, has grade 0;
each doubling adds one."""

EMPTY = 0.005
"""A side with less than this share of its usual depth is called empty."""

Part = Literal["depth", "spread", "price"]
"""What an effect is on."""


class MarketNow(NamedTuple):
    """The market at the close of a bar, and how much it fluctuates."""

    bar: Bar
    book: Book
    noise: MarketNoiseState


class Reference(Struct, frozen=True):
    """The market when an incident began, with what was usual then.

    ``price`` is the mid at ``since_ns``, the beginning of the bar of the first alarm. ``depth`` is
    the usual depth near the touch, of both sides. ``spread`` is the typical spread in bps, or in
    ticks if there is a ``tick``. They are 0 while unknown. The fluctuations are those of
    `MarketNoiseState`.
    """

    since_ns: int
    price: float
    depth: float
    spread: float
    tick: float
    price_fluctuation: float
    depth_fluctuation: float
    spread_fluctuation: float


class Effect(Struct, frozen=True):
    """The market now against the market when the incident began.

    The depth ratios are the depth near the touch over the usual depth, of both sides and of each
    side (over half of the usual depth). ``spread_ratio`` is the spread over the typical one.
    ``price`` is the mid and ``price_change`` its change since the beginning, in units of the price;
    ``price_change_spreads`` is the change in typical spreads. None is unknown; a book with an empty
    side has no spread. The grades are those of depth, spread and price, see `grades`.
    """

    depth_ratio: float | None
    bid_depth_ratio: float | None
    ask_depth_ratio: float | None
    spread_ratio: float | None
    price: float
    price_change: float
    price_change_spreads: float | None
    grades: dict[Part, float]


def reference(market: MarketNow) -> Reference | None:
    """Return the market at the beginning of the bar; None while the book has no state."""
    bar, book = market.bar, market.book
    opened = bar.opened or bar.closed
    if opened is None:
        return None
    tick = book.tick if book.in_ticks else 0.0
    noise = market.noise
    return Reference(
        bar.starts_at,
        opened.mid,
        bar.usual_depth,
        bar.typical_spread,
        tick,
        noise.price,
        noise.depth,
        noise.spread,
    )


def depths(origin: Reference, market: MarketNow) -> tuple[float, float]:
    """Return the depth of bids and asks in the band that was near when the incident began."""
    bar, book = market.bar, market.book
    if bar.closed is None:
        return 0.0, 0.0
    band = (bands_of(origin.spread)[NEAR_BAND],)
    tick = origin.tick or None
    (bids,) = book.bids.depth(bar.closed.mid, band, tick=tick)
    (asks,) = book.asks.depth(bar.closed.mid, band, tick=tick)
    return bids, asks


def effect_of(
    origin: Reference, market: MarketNow, near: tuple[float, float], bars: int
) -> Effect | None:
    """Return the effect at the close of a bar; None while the book has no state.

    ``near`` is the depth of each side, see `depths`. ``bars`` is the number of bars with events
    since the incident began. The change that noise makes grows with the root of that number.
    """
    bar = market.bar
    closed, opened = bar.closed, bar.opened or bar.closed
    if closed is None or opened is None:
        return None
    bids, asks = near
    usual = origin.depth
    spread = min(opened.spread_bps, closed.spread_bps)
    change = closed.mid - origin.price
    moved = change / origin.tick if origin.tick else change / origin.price * 1e4
    depth_ratio, bid_ratio, ask_ratio = (
        _ratio(its, usual) for its in (bids + asks, 2.0 * bids, 2.0 * asks)
    )
    spread_ratio = _ratio(spread, origin.spread) if spread < WIDEST_SPREAD_BPS else None
    spreads = _ratio(moved, origin.spread)
    # The sides of a book differ by nature, so a single side must have halved once more often.
    halvings = max(_halvings(depth_ratio), _halvings(bid_ratio) - 1.0, _halvings(ask_ratio) - 1.0)
    doublings = _doublings(spread_ratio or 0.0)
    drift = origin.price_fluctuation * math.sqrt(max(1, bars))
    return Effect(
        depth_ratio=depth_ratio,
        bid_depth_ratio=bid_ratio,
        ask_depth_ratio=ask_ratio,
        spread_ratio=spread_ratio,
        price=closed.mid,
        price_change=change,
        price_change_spreads=spreads,
        grades={
            "depth": min(halvings, _beyond(halvings, origin.depth_fluctuation)),
            "spread": min(doublings, _beyond(doublings, origin.spread_fluctuation)),
            "price": min(_doublings(abs(spreads or 0.0) / SPREADS), _beyond(moved, drift)),
        },
    )


def _ratio(value: float, unit: float) -> float | None:
    return value / unit if unit > 0.0 else None


def grades(effect: Effect | None) -> dict[Part, float]:
    """Return the grade of the effect on each part; 0 without one, or while it is unknown.

    It is the lesser one of two: the ratio to what is usual in doublings (of a move: the typical
    spreads), and the typical fluctuations.
    """
    return {"depth": 0.0, "spread": 0.0, "price": 0.0} if effect is None else effect.grades


def _beyond(size: float, fluctuation: float) -> float:
    """Return the grade of a size against a typical fluctuation; the highest without one."""
    return _doublings(abs(size) / fluctuation / FLUCTUATIONS) if fluctuation > 0.0 else HIGHEST


def _doublings(ratio: float) -> float:
    return min(HIGHEST, math.log2(max(1.0, ratio)))


def _halvings(ratio: float | None) -> float:
    return 0.0 if ratio is None else min(HIGHEST, -math.log2(min(1.0, max(ratio, 2.0**-HIGHEST))))


def worst(graded: Mapping[Part, float]) -> tuple[Part, float]:
    """Return the part with the highest grade, and the grade.

    >>> worst({"depth": 1.0, "spread": 0.2, "price": 3.5})
    ('price', 3.5)
    """
    part = max(graded, key=lambda its: graded[its])
    return part, graded[part]


def described(part: Part, effect: Effect, origin: Reference, *, past: bool = False) -> str:
    """Say the effect on a part of the market, which is known; ``past`` tells of it as over."""
    if part == "depth":
        return _depth(effect, past=past)
    if part == "spread":
        assert effect.spread_ratio is not None
        verb = "was" if past else "is"
        return f"the spread {verb} {figures(effect.spread_ratio)} times the typical one"
    assert effect.price_change_spreads is not None
    verb = "had" if past else "has"
    way = "fallen" if effect.price_change < 0.0 else "risen"
    spreads = abs(effect.price_change_spreads)
    return (
        f"the mid price {verb} {way} {_move(effect, origin)} ({figures(spreads)} typical spreads)"
        f" since {clock(origin.since_ns)}"
    )


def _depth(effect: Effect, *, past: bool) -> str:
    side = _thin_side(effect)
    both, one = effect.depth_ratio, effect.bid_depth_ratio
    assert both is not None
    assert one is not None
    if side == "book":
        named, whole, ratio = "the book", "its usual depth", both
    else:
        named, whole = f"the {side} side", "a side's usual depth"
        ratio = one if side == "bid" else 2.0 * both - one
    if ratio < EMPTY:
        return f"{named} {'was' if past else 'is'} empty near the touch"
    return f"{named} {'held' if past else 'holds'} {percent(ratio)} of {whole}"


def _thin_side(effect: Effect) -> Literal["bid", "ask", "book"]:
    """Return the side that is thin; the whole book if both are, or neither is thinner."""
    bid, ask = effect.bid_depth_ratio or 0.0, effect.ask_depth_ratio or 0.0
    if _halvings(min(bid, ask)) - 1.0 <= _halvings(effect.depth_ratio):
        return "book"
    return "bid" if bid < ask else "ask"


def consequence(effect: Effect, origin: Reference) -> str:
    """Say how much a market order needs to cross the near band of the thinner side, as displayed.

    Quantities are those of the feed. The result is empty if the depth is unknown or usual.
    """
    bid, ask = effect.bid_depth_ratio, effect.ask_depth_ratio
    size = 1.0 if origin.tick else effect.price  # depth is in quantities, or in notional
    if bid is None or ask is None or origin.spread <= 0.0 or size <= 0.0 or min(bid, ask) >= 1.0:
        return ""
    order = "sale" if bid <= ask else "purchase"
    unit = "ticks" if origin.tick else "bps"
    distance = f"{figures(BANDS_SPREADS[NEAR_BAND] * origin.spread)} {unit}"
    if min(bid, ask) < EMPTY:
        return f"any market {order} moves the price by {distance} or more"
    usual = origin.depth / 2.0 / size
    return (
        f"a market {order} of {figures(min(bid, ask) * usual)} moves the price by {distance} or"
        f" more, which usually takes {figures(usual)}"
    )


def measured(effect: Effect) -> str:
    """Say the depth and the move of the price, whatever their size; empty if both are unknown."""
    said = []
    if effect.depth_ratio is not None:
        said.append(f"the book holds {percent(effect.depth_ratio)} of its usual depth")
    if effect.price_change_spreads is not None:
        spreads = figures(abs(effect.price_change_spreads))
        said.append(f"the mid price has moved by {spreads} typical spreads")
    return " and ".join(said)


def _move(effect: Effect, origin: Reference) -> str:
    if origin.tick:
        return f"{figures(abs(effect.price_change) / origin.tick)} ticks"
    return percent(abs(effect.price_change) / origin.price)


def percent(ratio: float) -> str:
    """Format a ratio in percent, with two digits.

    >>> percent(0.0314), percent(0.5), percent(1.234)
    ('3.1 %', '50 %', '123 %')
    """
    value = 100.0 * ratio
    return f"{value:.0f} %" if value >= 10.0 else f"{value:.2g} %"


def figures(value: float) -> str:
    """Format a number with at least two digits.

    >>> figures(0.0314), figures(31.4), figures(31415.9)
    ('0.031', '31', '31,416')
    """
    return f"{value:,.0f}" if value >= 10.0 else f"{value:.2g}"


def clock(ns: int) -> str:
    """Format a moment as the time of its day in UTC.

    >>> clock(1_700_000_000_000_000_000)
    '22:13:20 UTC'
    """
    second = ns // 1_000_000_000 % 86_400
    return f"{second // 3_600:02}:{second // 60 % 60:02}:{second % 60:02} UTC"
