"""Episodes put into recorded flow, so that the background is a real market's and not ours.

What is put in is shaped like on the simulated exchange, with its sizes relative to what is usual
for the recorded symbol. Nobody in the recording reacts to it.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from detectors.market_data.events import Order
from service.exchange.measures import Truth
from service.exchange.participants.abuse import (
    BOUGHT_DEPTHS,
    LAYER_SECONDS,
    LAYERS,
    SPOOF_DISTANCE,
    SPOOF_LIFE_SECONDS,
    SPOOF_SECONDS,
    STUFFED_LIFE_SECONDS,
)
from service.exchange.recording import TRUTH_FILE
from service.replay.files import EventWriter
from service.scorecard.background import SECOND, SymbolSurvey, recorded_events
from service.scorecard.stage import Stage

Kind = Literal[
    "cancel_burst", "pulled_book", "draining_book", "quote_stuffing", "layering", "spoofing"
]

LENGTH_SECONDS: dict[Kind, float] = {
    "cancel_burst": 120.0,
    "pulled_book": 300.0,
    "draining_book": 420.0,
    "quote_stuffing": 30.0,
    "layering": 120.0,
    "spoofing": 120.0,
}
"""How long each kind lasts where nothing else is said: as on the simulated exchange."""

BURST_SECONDS = 1.5
AWAY_SECONDS = 15.0
PULL_SECONDS = 0.3
"""Withdrawals take so long, and after a burst hardly anybody is back for so long, as there."""

PULLED_REACH = 5.0
"""A pulled book has lost its bids within so many widths of what is near: those of the E-mini were
all but gone in the crash of 6 May 2010, not only the best ones (CFTC & SEC 2010)."""

DRAIN_STEP_SECONDS = 10.0
"""How often what rests is cut down in a book that drains."""


class Injection(Struct, frozen=True):
    """One episode to put into a recording.

    Attributes
    ----------
    kind, symbol
        What, and where.
    start_ns
        When it begins, in nanoseconds since the epoch.
    length_seconds
        How long it lasts.
    strength
        1 is the nominal form, less is weaker.
    seed
        Any integer; another one, other orders.
    """

    kind: Kind
    symbol: str
    start_ns: int
    length_seconds: float
    strength: float = 1.0
    seed: int = 1

    @property
    def end_ns(self) -> int:
        """When it ends, in nanoseconds since the epoch."""
        return self.start_ns + round(self.length_seconds * SECOND)


def inject(
    source: Path,
    out: Path,
    injection: Injection,
    usual: SymbolSurvey,
    *,
    until_ns: int | None = None,
) -> Truth:
    """Write a recording with an episode in it, and its ground truth; deterministic.

    Parameters
    ----------
    source
        The recorded streams' directory; nothing in it is changed.
    out
        Directory to write to; made if it does not exist, and it must not hold streams already.
    injection
        What to put in.
    usual
        What is usual for its symbol; see `service.scorecard.background.survey`.
    until_ns
        Where to end, in nanoseconds since the epoch; None for the whole recording.

    Returns
    -------
    The ground truth, which is also in ``truth.ndjson``.

    Raises
    ------
    OperatorError
        If the source lacks a required stream.
    FileExistsError
        If the directory to write to holds streams already.
    """
    stage = Stage(usual, Random(f"{injection.seed}/{injection.kind}"))  # noqa: S311  seeded
    stage.at(injection.start_ns, lambda: _BEGIN[injection.kind](stage, injection))
    with EventWriter(out) as writer:
        for event in recorded_events(source):
            if until_ns is not None and event.ts_event >= until_ns:
                break
            for made in stage.until(event.ts_event):
                writer.write(made)
            if event.symbol != usual.symbol:
                writer.write(event)
                continue
            for kept in stage.take(event):
                writer.write(kept)
    own = injection.kind in ("quote_stuffing", "layering", "spoofing")
    truth = Truth(
        kind=injection.kind,
        symbol=injection.symbol,
        starts_at=injection.start_ns,
        ends_at=injection.end_ns,
        strength=injection.strength,
        accounts=(stage.account,) if own else (),
    )
    (out / TRUTH_FILE).write_bytes(msgspec.json.Encoder().encode_lines([truth]))
    return truth


def _cancel_burst(stage: Stage, injection: Injection) -> None:
    """Nine in ten of the orders near the middle are withdrawn; then more and more come again."""
    gone = min(0.9 * injection.strength, 1.0)
    stage.withdraw_some(stage.resting(), gone, BURST_SECONDS)

    def fewer(order: Order) -> Order | None:
        passed = (stage.now_ns - injection.start_ns) / SECOND - AWAY_SECONDS
        back = passed / max(injection.length_seconds - AWAY_SECONDS, 1.0)
        return None if stage.rng.random() < gone * (1.0 - max(back, 0.0)) else order

    stage.rewrite = fewer


def _pulled_book(stage: Stage, injection: Injection) -> None:
    """The bids are withdrawn at once, and none come until the end."""
    gone = min(injection.strength, 1.0)
    stage.reach = PULLED_REACH
    stage.withdraw_some(stage.resting(asks=False), gone, PULL_SECONDS)

    def fewer(order: Order) -> Order | None:
        stays_away = order.side == "buy" and stage.rng.random() < gone
        return None if stays_away and stage.now_ns < injection.end_ns else order

    stage.rewrite = fewer


def _draining_book(stage: Stage, injection: Injection) -> None:
    """What comes near the middle is smaller and smaller, and what rests there is cut likewise."""
    scales: dict[str, float] = {}

    def scale() -> float:
        passed = (stage.now_ns - injection.start_ns) / (injection.end_ns - injection.start_ns)
        return max(1.0 - 0.85 * injection.strength * min(passed, 1.0), 0.05)

    def smaller(order: Order) -> Order:
        if stage.now_ns >= injection.end_ns:
            return order
        scales[order.order_id] = scale()
        quantity = stage.whole(order.quantity * scales[order.order_id])
        return msgspec.structs.replace(order, quantity=min(quantity, order.quantity))

    def cut() -> None:
        for order_id, order in stage.resting():
            surplus = order.quantity * (1.0 - scale() / scales.get(order_id, 1.0))
            surplus = round(surplus, stage.usual.quantity_decimals)
            if surplus > 0.0:
                scales[order_id] = scale()
                stage.after(
                    stage.rng.uniform(0.0, DRAIN_STEP_SECONDS),
                    partial(stage.withdraw, order_id, surplus),
                )
        if stage.now_ns + round(DRAIN_STEP_SECONDS * SECOND) < injection.end_ns:
            stage.after(DRAIN_STEP_SECONDS, cut)

    stage.rewrite = smaller
    cut()


def _quote_stuffing(stage: Stage, injection: Injection) -> None:
    """Four times as many orders as all others place, each withdrawn within milliseconds."""
    usual = stage.usual
    rate = 4.0 * injection.strength * usual.orders / usual.seconds

    def stuff() -> None:
        if stage.now_ns >= injection.end_ns:
            return
        is_buy = stage.rng.random() < 0.5
        best = stage.book.bids.best if is_buy else stage.book.asks.best
        if best is not None:
            away = usual.near_ratio * stage.rng.uniform(0.2, 1.0)
            price = best * (1.0 - away if is_buy else 1.0 + away)
            placed = stage.place("buy" if is_buy else "sell", price, 0.01 * usual.near_quantity)
            life = stage.rng.expovariate(1.0 / STUFFED_LIFE_SECONDS)
            stage.after(life, partial(stage.withdraw, placed))
        stage.after(stage.rng.expovariate(rate), stuff)

    stuff()


def _layering(stage: Stage, injection: Injection) -> None:
    """Large asks behind the best one, moved along; the account buys meanwhile."""
    usual = stage.usual

    def layer() -> None:
        stage.withdraw_mine()
        best = stage.book.asks.best
        if stage.now_ns >= injection.end_ns:
            return
        if best is not None:
            for number in range(LAYERS):
                price = best * (1.0 + usual.near_ratio * (0.4 + 0.12 * number))
                quantity = 1.5 * injection.strength * usual.near_quantity / LAYERS
                stage.place("sell", price, quantity)
            stage.buy(BOUGHT_DEPTHS * usual.near_quantity)
        stage.after(LAYER_SECONDS * stage.rng.uniform(0.5, 1.5), layer)

    layer()


def _spoofing(stage: Stage, injection: Injection) -> None:
    """One large ask near the best one, shown for a moment; then the account buys; and again."""
    usual = stage.usual

    def show() -> None:
        best = stage.book.asks.best
        if stage.now_ns >= injection.end_ns:
            return
        if best is not None:
            tick = 10.0**-usual.price_decimals
            away = max(SPOOF_DISTANCE * usual.near_ratio * best, tick)
            stage.place("sell", best + away, injection.strength * usual.near_quantity)
            stage.after(SPOOF_LIFE_SECONDS * stage.rng.uniform(0.5, 1.5), end)
        stage.after(SPOOF_SECONDS * stage.rng.uniform(0.5, 1.5), show)

    def end() -> None:
        stage.withdraw_mine()
        stage.buy(BOUGHT_DEPTHS * usual.near_quantity)

    show()


_BEGIN: dict[Kind, Callable[[Stage, Injection], None]] = {
    "cancel_burst": _cancel_burst,
    "pulled_book": _pulled_book,
    "draining_book": _draining_book,
    "quote_stuffing": _quote_stuffing,
    "layering": _layering,
    "spoofing": _spoofing,
}

KINDS: tuple[Kind, ...] = get_args(Kind)
"""Everything that can be put into a recording."""
