"""How long a venue's mark price takes to follow a move, and how long it stays there afterwards.

Two parts of a price move differ. What the index follows reaches most mark prices at once. A
dislocation of the book against an unmoved index arrives through the venue's averaging.
"""

import math
from typing import Literal, NamedTuple


class MarkRule(NamedTuple):
    """How a venue makes its mark price.

    Attributes
    ----------
    kind
        ``last``: the mark is the price itself. ``ema_premium``: index times 1 plus the premium's
        exponential mean. ``ema_price``: the exponential mean of the price. ``sma``: the mean price
        of a window.
    seconds
        Time constant of the exponential mean, or length of the window. Above 0; unused for
        ``last``.
    """

    kind: Literal["last", "ema_premium", "ema_price", "sma"]
    seconds: float = 0.0


def passed_through(rule: MarkRule, after_seconds: float, index_share: float = 0.0) -> float:
    """Return the share of a lasting move that the mark price shows after some time.

    Parameters
    ----------
    rule
        The venue's rule.
    after_seconds
        Time since the move, at least 0.
    index_share
        The share of the move that the index follows, from 0 to 1. With ``ema_premium`` that part
        arrives at once; a mean of the price does not know the index.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    A time constant of 30 s: 1 - 1/e after 30 s; half of the way at once if the index follows half.

    >>> round(passed_through(MarkRule("ema_premium", 30.0), 30.0), 4)
    0.6321
    >>> passed_through(MarkRule("ema_premium", 30.0), 0.0, index_share=0.5)
    0.5
    >>> passed_through(MarkRule("sma", 60.0), 15.0)
    0.25
    """
    if not after_seconds >= 0.0:
        raise ValueError(f"after_seconds is {after_seconds}: it must be at least 0")
    if not 0.0 <= index_share <= 1.0:
        raise ValueError(f"index_share is {index_share}: it must be from 0 to 1")
    if rule.kind == "last":
        return 1.0
    _require_seconds(rule)
    if rule.kind == "sma":
        return min(1.0, after_seconds / rule.seconds)
    followed = -math.expm1(-after_seconds / rule.seconds)
    if rule.kind == "ema_price":
        return followed
    return index_share + (1.0 - index_share) * followed


def seconds_until(rule: MarkRule, dislocation: float, move: float) -> float:
    """Return the time from a dislocation of the book until the mark price has made a move.

    The index does not move, and the dislocation lasts. Both are ratios against the same side.

    - exponential mean: X (1 - exp(-t / tau)) = d, so t = tau ln(X / (X - d));
    - window: X t / w = d, so t = w d / X;
    - last price: at once.

    The venue's own interval between two mark prices and between two margin checks comes on top.
    The result is infinity if the dislocation does not suffice.

    Examples
    --------
    A dislocation of 2 %, a time constant of 30 s: 1 % is reached after 30 ln 2 s.

    >>> round(seconds_until(MarkRule("ema_premium", 30.0), 0.02, 0.01), 2)
    20.79
    >>> seconds_until(MarkRule("sma", 60.0), 0.02, 0.01)
    30.0
    >>> seconds_until(MarkRule("sma", 60.0), 0.02, 0.03)
    inf
    """
    if move <= 0.0:
        return 0.0
    if rule.kind == "last":
        return 0.0 if dislocation >= move else math.inf
    _require_seconds(rule)
    if rule.kind == "sma":
        return rule.seconds * move / dislocation if dislocation >= move else math.inf
    if dislocation <= move:
        return math.inf
    return rule.seconds * math.log(dislocation / (dislocation - move))


def seconds_beyond(
    rule: MarkRule, dislocation: float, rebound_seconds: float, move: float
) -> tuple[float, float] | None:
    """Return when the mark price is beyond a move if the book comes back after a while.

    The end may be after the rebound: accounts are then liquidated although the book has recovered.

    - exponential mean: at the rebound the mark has moved E = X (1 - exp(-T / tau)), and it stays
      beyond d until T + tau ln(E / d);
    - window: the mark has moved X min(T, w) / w, and stays until so much of the dislocation has
      left the window that the rest makes d: until T + w (1 - d / X).

    Parameters
    ----------
    rule
        The venue's rule.
    dislocation, move
        Of the book and of the mark price, as ratios; ``move`` is above 0.
    rebound_seconds
        Time from the dislocation to the rebound.

    Returns
    -------
    The first and the last time in seconds after the dislocation; None if the mark never gets there.

    Raises
    ------
    ValueError
        If ``move`` is not above 0.

    Examples
    --------
    2 % for 40 s, tau = 30 s: 1 % is reached after 20.79 s; the mark has moved 1.473 % at the
    rebound, and is back at 1 % after 30 ln 1.473 = 11.62 s more.

    >>> first, last = seconds_beyond(MarkRule("ema_premium", 30.0), 0.02, 40.0, 0.01)
    >>> round(first, 2), round(last, 2)
    (20.79, 51.62)
    >>> seconds_beyond(MarkRule("sma", 60.0), 0.02, 40.0, 0.01)
    (30.0, 70.0)
    >>> seconds_beyond(MarkRule("sma", 60.0), 0.02, 20.0, 0.01) is None
    True
    """
    if not move > 0.0:
        raise ValueError(f"move is {move}: it must be above 0")
    first = seconds_until(rule, dislocation, move)
    if first > rebound_seconds:
        return None
    if rule.kind == "last":
        return first, rebound_seconds
    if rule.kind == "sma":
        return first, rebound_seconds + rule.seconds * (1.0 - move / dislocation)
    reached = -dislocation * math.expm1(-rebound_seconds / rule.seconds)
    return first, rebound_seconds + rule.seconds * math.log(reached / move)


def _require_seconds(rule: MarkRule) -> None:
    if not rule.seconds > 0.0:
        raise ValueError(f"seconds is {rule.seconds}: {rule.kind} needs a time above 0")
