"""Injection of episodes into recorded flow, so that the background is a real market.

The episodes have the shape of those of the simulated exchange, with sizes relative to the recorded
symbol's baselines. The recorded participants do not react.
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

MixedKind = Kind | Literal["leverage_jump"]
"""The kinds of a session with many episodes, see `service.scorecard.mixed`."""

LENGTH_SECONDS: dict[Kind, float] = {
    "cancel_burst": 120.0,
    "pulled_book": 300.0,
    "draining_book": 420.0,
    "quote_stuffing": 30.0,
    "layering": 120.0,
    "spoofing": 120.0,
}
"""Default length of each kind, as on the simulated exchange."""

BURST_SECONDS = 1.5
AWAY_SECONDS = 15.0
PULL_SECONDS = 0.3
"""Duration of the withdrawals, and the time before orders return after a burst, as on the simulated
exchange."""

PULLED_REACH = 5.0
"""A pulled book loses its bids within this many widths of the near band: in the crash of 6 May 2010
nearly all bids of the E-mini were gone, not only the best ones (CFTC & SEC 2010)."""

DRAIN_STEP_SECONDS = 10.0
"""Interval between two reductions of the resting orders in a draining book."""


class Injection(Struct, frozen=True):
    """One episode to inject into a recording.

    Attributes
    ----------
    kind, symbol
        The kind of episode and the affected symbol.
    start_ns
        Start, in nanoseconds since the epoch.
    length_seconds
        Duration.
    strength
        1 is nominal, less is weaker.
    seed
        Any integer. Another seed affects other orders.
    """

    kind: MixedKind
    symbol: str
    start_ns: int
    length_seconds: float
    strength: float = 1.0
    seed: int = 1

    @property
    def end_ns(self) -> int:
        """End, in nanoseconds since the epoch."""
        return self.start_ns + round(self.length_seconds * SECOND)


def inject(
    source: Path,
    out: Path,
    injection: Injection,
    survey: SymbolSurvey,
    *,
    until_ns: int | None = None,
) -> Truth:
    """Write a recording with an injected episode, and its ground truth; deterministic.

    Parameters
    ----------
    source
        Directory of the recorded streams. It is not changed.
    out
        Output directory. It is created if it does not exist, and must not hold streams yet.
    injection
        The episode to inject.
    survey
        The baselines of its symbol; see `service.scorecard.background.survey`.
    until_ns
        End of the output, in nanoseconds since the epoch. None means the whole recording.

    Returns
    -------
    The ground truth, which is also written to ``truth.ndjson``.

    Raises
    ------
    OperatorError
        If the source lacks a required stream.
    FileExistsError
        If the output directory already holds streams.
    """
    stage = Stage(survey, Random(f"{injection.seed}/{injection.kind}"))  # noqa: S311  seeded
    stage.at(injection.start_ns, lambda: BEGIN[injection.kind](stage, injection))
    with EventWriter(out) as writer:
        for event in recorded_events(source):
            if until_ns is not None and event.ts_event >= until_ns:
                break
            for injected in stage.until(event.ts_event):
                writer.write(injected)
            if event.symbol != survey.symbol:
                writer.write(event)
                continue
            for event_out in stage.take(event):
                writer.write(event_out)
    has_account = injection.kind in BY_AN_ACCOUNT
    truth = Truth(
        kind=injection.kind,
        symbol=injection.symbol,
        starts_at=injection.start_ns,
        ends_at=injection.end_ns,
        strength=injection.strength,
        accounts=(stage.account,) if has_account else (),
    )
    (out / TRUTH_FILE).write_bytes(msgspec.json.Encoder().encode_lines([truth]))
    return truth


def _cancel_burst(stage: Stage, injection: Injection) -> None:
    """Withdraw nine in ten orders near the mid price; afterwards orders return gradually."""
    withdrawn_share = min(0.9 * injection.strength, 1.0)
    stage.withdraw_some(stage.resting(), withdrawn_share, BURST_SECONDS)

    def fewer(order: Order) -> Order | None:
        passed = (stage.now_ns - injection.start_ns) / SECOND - AWAY_SECONDS
        returned_share = passed / max(injection.length_seconds - AWAY_SECONDS, 1.0)
        return (
            None
            if stage.rng.random() < withdrawn_share * (1.0 - max(returned_share, 0.0))
            else order
        )

    stage.rewrite = fewer


def _pulled_book(stage: Stage, injection: Injection) -> None:
    """Withdraw the bids at once, and remove new bids until the end."""
    withdrawn_share = min(injection.strength, 1.0)
    stage.reach = PULLED_REACH
    stage.withdraw_some(stage.resting(asks=False), withdrawn_share, PULL_SECONDS)

    def fewer(order: Order) -> Order | None:
        stays_away = order.side == "buy" and stage.rng.random() < withdrawn_share
        return None if stays_away and stage.now_ns < injection.end_ns else order

    stage.rewrite = fewer


def _draining_book(stage: Stage, injection: Injection) -> None:
    """Reduce new orders near the mid price gradually, and cut resting orders likewise."""
    scales: dict[str, float] = {}

    def scale() -> float:
        passed = (stage.now_ns - injection.start_ns) / (injection.end_ns - injection.start_ns)
        return max(1.0 - 0.85 * injection.strength * min(passed, 1.0), 0.05)

    def smaller(order: Order) -> Order:
        if stage.now_ns >= injection.end_ns:
            return order
        scales[order.order_id] = scale()
        quantity = stage.rounded_quantity(order.quantity * scales[order.order_id])
        return msgspec.structs.replace(order, quantity=min(quantity, order.quantity))

    def cut() -> None:
        for order_id, order in stage.resting():
            surplus = order.quantity * (1.0 - scale() / scales.get(order_id, 1.0))
            surplus = round(surplus, stage.survey.quantity_decimals)
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
    """Place four times as many orders as all others, each cancelled within milliseconds."""
    survey = stage.survey
    rate = 4.0 * injection.strength * survey.orders / survey.seconds

    def stuff() -> None:
        if stage.now_ns >= injection.end_ns:
            return
        is_buy = stage.rng.random() < 0.5
        best = stage.book.bids.best if is_buy else stage.book.asks.best
        if best is not None:
            away = survey.near_ratio * stage.rng.uniform(0.2, 1.0)
            price = best * (1.0 - away if is_buy else 1.0 + away)
            placed = stage.place("buy" if is_buy else "sell", price, 0.01 * survey.near_quantity)
            life = stage.rng.expovariate(1.0 / STUFFED_LIFE_SECONDS)
            stage.after(life, partial(stage.withdraw, placed))
        stage.after(stage.rng.expovariate(rate), stuff)

    stuff()


def _layering(stage: Stage, injection: Injection) -> None:
    """Layer large asks behind the best ask and move them with it; buy at the same time."""
    survey = stage.survey

    def layer() -> None:
        stage.withdraw_own_asks()
        best = stage.book.asks.best
        if stage.now_ns >= injection.end_ns:
            return
        if best is not None:
            for number in range(LAYERS):
                price = best * (1.0 + survey.near_ratio * (0.4 + 0.12 * number))
                quantity = 1.5 * injection.strength * survey.near_quantity / LAYERS
                stage.place("sell", price, quantity)
            stage.buy(BOUGHT_DEPTHS * survey.near_quantity)
        stage.after(LAYER_SECONDS * stage.rng.uniform(0.5, 1.5), layer)

    layer()


def _spoofing(stage: Stage, injection: Injection) -> None:
    """Show one large ask near the best ask for a fraction of a second, then buy; repeat."""
    survey = stage.survey

    def show() -> None:
        best = stage.book.asks.best
        if stage.now_ns >= injection.end_ns:
            return
        if best is not None:
            tick = 10.0**-survey.price_decimals
            away = max(SPOOF_DISTANCE * survey.near_ratio * best, tick)
            stage.place("sell", best + away, injection.strength * survey.near_quantity)
            stage.after(SPOOF_LIFE_SECONDS * stage.rng.uniform(0.5, 1.5), end)
        stage.after(SPOOF_SECONDS * stage.rng.uniform(0.5, 1.5), show)

    def end() -> None:
        stage.withdraw_own_asks()
        stage.buy(BOUGHT_DEPTHS * survey.near_quantity)

    show()


BEGIN: dict[str, Callable[[Stage, Injection], None]] = {
    "cancel_burst": _cancel_burst,
    "pulled_book": _pulled_book,
    "draining_book": _draining_book,
    "quote_stuffing": _quote_stuffing,
    "layering": _layering,
    "spoofing": _spoofing,
}
"""The beginning of each kind of episode."""

BY_AN_ACCOUNT: tuple[Kind, ...] = ("quote_stuffing", "layering", "spoofing")
"""The kinds that one injected account causes."""

KINDS: tuple[Kind, ...] = get_args(Kind)
"""All kinds that can be injected into a recording."""
