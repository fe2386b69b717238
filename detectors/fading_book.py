"""A book that has been losing its depth for minutes.

Makers that quote a little less each time leave no gap that a bar could show, and the book that is
left cannot take what it could an hour ago (the withdrawal of liquidity that preceded the flash
crash of 2010: Easley, Lopez de Prado and O'Hara, 2011; Kirilenko, Kyle, Samadi and Tuzun, 2017).
Depth near the touch is smoothed over a minute and over five, as a logarithm against its habit.
Makers that leave for half a minute hardly show, which is why it is not part of ``thin_book``: a
common threshold would be theirs.
"""

from functools import partial

from detectors.detector import Detector, Features
from detectors.judging.surprise import Surprise
from detectors.market_data.bar import Bar

TYPICAL = {"shallow_60s": 0.15, "shallow_300s": 0.12}
"""Standard deviations, between those of a large stock's recorded hour and of simulated markets."""


def features(bar: Bar) -> Features | None:
    """The features of one bar; None until the book has had both sides."""
    if bar.closed is None or bar.opened is None or bar.usual_depth <= 0.0:
        return None
    _, minute, five_minutes = bar.smooth_log_depth
    return {"shallow_60s": -minute, "shallow_300s": -five_minutes}


_smooth = "depth near the touch has been {times:.1f} times less than usual over "

DETECTOR = Detector(
    name="fading_book",
    version=1,
    features=features,
    phrases={
        "shallow_60s": _smooth + "a minute",
        "shallow_300s": _smooth + "five minutes",
    },
    # Ten minutes hold about one independent value of what is smoothed over five.
    model=partial(Surprise, typical=TYPICAL, mean_noise_bars=600.0),
    logarithms=frozenset(TYPICAL),
    turned=frozenset(TYPICAL),
)
