"""A book that has become thin where the market trades.

Depth within 10, 25 and 50 bps of the mid is compared, as a logarithm, with its own habit, now and
smoothed over a quarter of a minute and a minute, so that a slow drain and slow recovery show as
well as a gap (resilience: Kyle, 1985; Foucault, Kadan and Kandel, 2005). The cost to sweep a fixed
notional says what a liquidation would meet; net depletion says whether what trades and cancels
take is being put back.
"""

from detectors.bar import Bar, Flow
from detectors.detector import Detector, Features, log_ratio, ratio
from detectors.surprise import Surprise

UNIT_BPS = 1.0

SHALLOW = frozenset(
    {
        "shallow_10bps",
        "shallow_25bps",
        "shallow_50bps",
        "shallow_side_25bps",
        "shallow_15s",
        "shallow_60s",
    }
)
"""The features that rise as depth falls."""


def net_depletion(flow: Flow, depth: float) -> float:
    """What trades and cancels took near the touch beyond what was placed, per depth."""
    taken = (
        flow.near_cancelled_bid
        + flow.near_cancelled_ask
        + flow.near_traded_bid
        + flow.near_traded_ask
    )
    return ratio(taken - flow.near_placed_bid - flow.near_placed_ask, depth, 0.0)


def features(bar: Bar) -> Features | None:
    """The features of one bar; None until the book has had both sides."""
    if bar.closed is None or bar.opened is None or bar.usual_depth <= 0.0:
        return None
    opened, closed = bar.opened, bar.closed
    usual = bar.usual_depth
    # A quote on its way from one price to the next leaves a gap that no bar should be judged by: a
    # book is as deep as at the deeper of the bar's ends.
    ten, twenty_five, fifty = map(max, opened.depth, closed.depth)
    thinner = min(
        max(opened.bid_depth[1], closed.bid_depth[1]), max(opened.ask_depth[1], closed.ask_depth[1])
    )
    return {
        "shallow_10bps": -log_ratio(ten, usual),
        "shallow_25bps": -log_ratio(twenty_five, usual),
        "shallow_50bps": -log_ratio(fifty, usual),
        "shallow_side_25bps": -log_ratio(thinner, usual),
        "shallow_15s": -bar.smooth_log_depth[0],
        "shallow_60s": -bar.smooth_log_depth[1],
        "spread": log_ratio(min(opened.spread_bps, closed.spread_bps), UNIT_BPS),
        "sweep_cost": log_ratio(min(opened.sweep_cost_bps, closed.sweep_cost_bps), UNIT_BPS),
        "net_depletion_15s": net_depletion(bar.spans[1], usual),
        "net_depletion_60s": net_depletion(bar.spans[2], usual),
    }


_shallow = "depth within {band} bps of the mid is {{times:.1f}} times less than usual"
_smooth = "depth near the touch has been {times:.1f} times less than usual"
_depletion = "{value:.0%} of the usual depth was taken and not put back"

DETECTOR = Detector(
    name="thin_book",
    version=1,
    features=features,
    phrases={
        "shallow_10bps": _shallow.format(band=10),
        "shallow_25bps": _shallow.format(band=25),
        "shallow_50bps": _shallow.format(band=50),
        "shallow_side_25bps": "depth of the thinner side within 25 bps of the mid is {times:.1f}"
        " times less than usual",
        "shallow_15s": _smooth + " over 15 s",
        "shallow_60s": _smooth + " over 60 s",
        "spread": "the spread is {level:.1f} bps (usually {usual:.1f})",
        "sweep_cost": "sweeping a quarter of the usual depth costs {level:.1f} bps (usually"
        " {usual:.1f})",
        "net_depletion_15s": _depletion + " over 15 s (usually {expected:.0%})",
        "net_depletion_60s": _depletion + " over 60 s (usually {expected:.0%})",
    },
    model=Surprise,
    logarithms=SHALLOW | {"spread", "sweep_cost"},
    turned=SHALLOW,
)
