"""When depth is withdrawn from a book, how much of it survives, and how fast it comes back."""

from collections import deque
from statistics import median

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from detectors.market_data.book_summary import DEPTH_BPS, BookSummary
from detectors.risk.ladder import Side
from detectors.risk.log_normal import LogNormal
from detectors.risk.refill import Refill, fitted_refill
from detectors.risk.survival import Survival, survival_prior, withdrawal, withdrawal_learned
from detectors.risk_watch.flow_history import (
    SPAN_SECONDS,
    SPANS,
    SPANS_A_MINUTE,
    packed,
    unpacked,
)

SIGMAS = 6.0
"""A move of so many standard deviations within a minute is a withdrawal event."""

LEFT_RATIO = 0.5
BACK_RATIO = 0.7
"""A withdrawal begins where less than half of the usual depth is left. It ends where most of it is
back and nothing else goes on."""

CLUSTER_RATIO = 0.25
"""Liquidations that make up so much of a minute's volume are a cluster."""

LONGEST_SPANS = 600 // SPAN_SECONDS
"""After ten minutes what is there is what there is."""

LEAST_SPANS = 12
NEAR_SPREADS = 2.5
NOTHING = LogNormal(0.0, 0.0, 1.0)
"""Without a withdrawal event all depth is there: the factor is 1."""

SIDES: tuple[Side, Side] = ("long", "short")


class _Event(Struct):
    """A withdrawal that is going on; depths are those of bids and asks."""

    usual: tuple[float, float]
    sigmas: float = 0.0
    depths: list[tuple[float, float]] = []


class WithdrawalState(Struct):
    """`Withdrawals` as they are kept for a successor."""

    survival: dict[Side, Survival]
    refill: dict[Side, Refill | None]
    bids: bytes
    asks: bytes
    spreads: bytes
    sums: list[list[float]]
    now: int
    minute: list[tuple[float, float]]
    forced: tuple[float, float]
    event: _Event | None


class Withdrawals:
    """The depth of one symbol near its mid price, and its withdrawals.

    A fall meets the bids: they are the depth of the longs' side.

    Attributes
    ----------
    survival
        What is known of the withdrawal factor of each side.
    refill
        How depth came back after the last withdrawal of each side; None while unknown.
    """

    __slots__ = (
        "_depths", "_event", "_forced", "_minute", "_now", "_spreads", "_sums", "refill",
        "survival",
    )  # fmt: skip

    def __init__(self) -> None:
        self.survival: dict[Side, Survival] = {side: survival_prior() for side in SIDES}
        self.refill: dict[Side, Refill | None] = dict.fromkeys(SIDES)
        self._depths: deque[tuple[float, float]] = deque(maxlen=SPANS)
        self._spreads: deque[float] = deque(maxlen=SPANS)
        self._sums = np.zeros((2, len(DEPTH_BPS)))
        self._now = 0
        # Forced and traded notional of each span of the last minute.
        self._minute: deque[tuple[float, float]] = deque(maxlen=SPANS_A_MINUTE)
        self._forced = [0.0, 0.0]
        self._event: _Event | None = None

    @property
    def going_on(self) -> bool:
        """Whether a withdrawal event is on."""
        return self._event is not None

    def factor(self, side: Side) -> LogNormal:
        """Return by how much less depth a sale meets than ordinary flow met."""
        if self._event is None:
            return NOTHING
        return withdrawal(self.survival[side], self._event.sigmas)

    def surviving_ratio(self, side: Side, sigmas: float) -> float:
        """Return the share of the quoted depth that usually survives a move of so many sigmas.

        It is 1 while depth is withdrawn: what is quoted then is what has survived.
        """
        if self._event is not None:
            return 1.0
        return 1.0 / withdrawal(self.survival[side], sigmas).median

    def add(self, summary: BookSummary) -> None:
        """Add a bar of the current span."""
        self._sums += (summary.bid_depth, summary.ask_depth)
        self._spreads.append(summary.spread_bps)
        self._now += 1
        self._forced[0] += summary.forced_bought + summary.forced_sold
        self._forced[1] += summary.bought + summary.sold

    def close_span(self, sigmas: float) -> None:
        """Close the current span; ``sigmas`` is the last minute's move in standard deviations."""
        self._minute.append((self._forced[0], self._forced[1]))
        self._forced = [0.0, 0.0]
        if not self._now:
            return
        band = self._band()
        bids, asks = (self._sums[:, band] / self._now).tolist()
        self._sums[:] = 0.0
        self._now = 0
        forced, traded = map(sum, zip(*self._minute, strict=True))
        cluster = forced > 0.0 and forced >= CLUSTER_RATIO * traded
        moved = abs(sigmas) >= SIGMAS
        event = self._event
        if event is None:
            usual = self._usual()
            left = usual is not None and (
                bids < LEFT_RATIO * usual[0] or asks < LEFT_RATIO * usual[1]
            )
            if usual is not None and (left or cluster or moved):
                event = self._event = _Event(usual)
        if event is not None:
            event.sigmas = max(event.sigmas, abs(sigmas))
            event.depths.append((bids, asks))
            back = bids >= BACK_RATIO * event.usual[0] and asks >= BACK_RATIO * event.usual[1]
            if (back and not cluster and not moved) or len(event.depths) >= LONGEST_SPANS:
                self._end(event)
        self._depths.append((bids, asks))

    def state(self) -> WithdrawalState:
        """Return what is known."""
        event = self._event
        if event is not None:  # it goes on
            event = replace(event, depths=[*event.depths])
        return WithdrawalState(
            dict(self.survival),
            dict(self.refill),
            packed(bids for bids, _ in self._depths),
            packed(asks for _, asks in self._depths),
            packed(self._spreads),
            self._sums.tolist(),
            self._now,
            [*self._minute],
            (self._forced[0], self._forced[1]),
            event,
        )

    def restore(self, state: WithdrawalState) -> None:
        """Continue from a state. Raises ValueError if its columns do not fit."""
        self.survival |= state.survival
        self.refill |= state.refill
        self._depths.extend(zip(unpacked(state.bids), unpacked(state.asks), strict=True))
        self._spreads.extend(unpacked(state.spreads))
        self._sums[:] = state.sums
        self._now = state.now
        self._minute.extend(state.minute)
        self._forced = [*state.forced]
        self._event = state.event

    def _band(self) -> int:
        """Return the nearest distance at which this symbol has a book."""
        spread = median(self._spreads)
        wide = [place for place, bps in enumerate(DEPTH_BPS) if bps >= NEAR_SPREADS * spread]
        return wide[0] if wide else len(DEPTH_BPS) - 1

    def _usual(self) -> tuple[float, float] | None:
        """Return the median depth of the last quarter of an hour, or None if it is not known."""
        if len(self._depths) < LEAST_SPANS:
            return None
        bids, asks = (float(median(side)) for side in zip(*self._depths, strict=True))
        return (bids, asks) if bids > 0.0 and asks > 0.0 else None

    def _end(self, event: _Event) -> None:
        self._event = None
        for place, side in enumerate(SIDES):
            depths = np.array([both[place] for both in event.depths])
            usual, lowest = event.usual[place], int(depths.argmin())
            least = float(depths[lowest])
            if least >= LEFT_RATIO * usual:
                continue  # this side was not withdrawn
            self.survival[side] = withdrawal_learned(
                self.survival[side], event.sigmas, usual, least
            )
            seconds = SPAN_SECONDS * np.arange(len(depths) - lowest, dtype=np.float64)
            self.refill[side] = fitted_refill(seconds, depths[lowest:], usual) or self.refill[side]


def sigmas_of(move: float, sigma: float) -> float:
    """Return a move in standard deviations; 0 while they are not known.

    >>> sigmas_of(0.01, 0.002), sigmas_of(0.01, float("nan"))
    (5.0, 0.0)
    """
    return move / sigma if sigma > 0.0 else 0.0
