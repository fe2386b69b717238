"""Baselines: single metrics with a threshold, and the statistics of the detectors without the rest.

The tails are those of Foreshock's detectors. At a given budget of false alarms, what is measured is
the only difference.
"""

from collections.abc import Callable

from river import stats

from detectors import layering, leverage_jump, quote_stuffing, spoofing
from detectors.detector import NET, Detector, Features, net_withdrawal
from detectors.judging.robust_tails import Statistic
from detectors.market_data.bar import NEAR_BAND, Bar
from detectors.market_data.windows import NET_SECONDS

LARGEST_INVERSE_DEPTH = 1e3
MINUTE_SECONDS = 60.0

LEVEL = Statistic("plain", unit=1e-6)
COUNT = Statistic("count", unit=1e-6)

_PHRASES = "{value:g} (usually {expected:g})"


def _return_bps(bar: Bar) -> float | None:
    if bar.opened is None or bar.closed is None:
        return None
    return (bar.closed.mid / bar.opened.mid - 1.0) * 1e4


class RealisedVolatility:
    """The exponentially weighted mean of the squared returns of a minute, by symbol."""

    def __init__(self) -> None:
        self._means: dict[str, stats.EWMean] = {}

    def __call__(self, bar: Bar) -> Features | None:
        """Return the mean in basis points squared, with the return of this bar."""
        change = _return_bps(bar)
        if change is None:
            return None
        factor = (bar.ends_at - bar.starts_at) / 1e9 / MINUTE_SECONDS
        mean = self._means.setdefault(bar.symbol, stats.EWMean(fading_factor=factor))
        mean.update(change**2)
        return {"squared_return": mean.get()}


def absolute_return(bar: Bar) -> Features | None:
    """The absolute value of the bar's return, in basis points."""
    change = _return_bps(bar)
    return None if change is None else {"absolute_return": abs(change)}


def cancel_count(bar: Bar) -> Features | None:
    """The number of cancels in the bar."""
    return {"cancels": bar.flow.cancels}


def inverse_depth(bar: Bar) -> Features | None:
    """The inverse of the depth near the touch, in millions of the quote currency."""
    if bar.closed is None:
        return None
    return {
        "inverse_depth": min(LARGEST_INVERSE_DEPTH, 1e6 / max(bar.closed.depth[NEAR_BAND], 1.0))
    }


def prototype(bar: Bar) -> Features | None:
    """Net withdrawal, young cancels, layers, withdrawn large orders, and leverage over habit."""
    if bar.opened is None:
        return None
    x: Features = {}
    for seconds, counts in zip(NET_SECONDS, bar.recent.net, strict=True):
        x[f"net_withdrawal_{seconds}s"] = net_withdrawal(*counts)
    for detector in (quote_stuffing, layering, spoofing, leverage_jump):
        x |= detector.features(bar) or {}
    return {name: x[name] for name in PROTOTYPE if name in x}


PROTOTYPE = (
    {f"net_withdrawal_{seconds}s": NET for seconds in NET_SECONDS}
    | {quote_stuffing.YOUNG[0]: quote_stuffing.DETECTOR.statistics[quote_stuffing.YOUNG[0]]}
    | dict(layering.DETECTOR.statistics)
    | dict(spoofing.DETECTOR.statistics)
    | dict.fromkeys(leverage_jump.OVER_HABIT, leverage_jump.LINEAR)
)
"""The five statistics of the prototype, over each of their spans."""


def baseline_detectors() -> tuple[Detector, ...]:
    """Return new baselines.

    They are realised volatility over a minute, the bar's |return|, the cancel count's z-score, raw
    depth, and the plain prototype.
    """
    singles: dict[str, tuple[Callable[[Bar], Features | None], str, Statistic]] = {
        "realised_volatility": (RealisedVolatility(), "squared_return", LEVEL),
        "absolute_return": (absolute_return, "absolute_return", LEVEL),
        "cancel_count_z": (cancel_count, "cancels", COUNT),
        "depth_threshold": (inverse_depth, "inverse_depth", LEVEL),
    }
    return (
        *(
            Detector(name, 1, features, {feature: _PHRASES}, {feature: statistic})
            for name, (features, feature, statistic) in singles.items()
        ),
        Detector("prototype", 1, prototype, dict.fromkeys(PROTOTYPE, _PHRASES), PROTOTYPE),
    )
