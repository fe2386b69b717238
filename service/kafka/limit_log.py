"""Says in the log when a bound on memory bites, and how much was given up for it."""

from collections.abc import Callable

import structlog

from service.pipeline.output import Tally
from service.settings.types import LimitSettings

QUIET_SECONDS = 60.0
"""The same bound is spoken of no more often than this."""

log = structlog.get_logger("foreshock.bounds")

_BOUNDS: tuple[tuple[str, str, Callable[[Tally], int]], ...] = (
    ("symbols", "symbols forgotten", lambda tally: tally.evicted_symbols),
    ("symbols", "events not watched", lambda tally: tally.unwatched),
    ("resting_orders", "orders forgotten", lambda tally: tally.market.evicted_orders),
    ("accounts", "accounts forgotten", lambda tally: tally.market.evicted_accounts),
)


class LimitLog:
    """Watches the counters of what was given up.

    Parameters
    ----------
    limits
        The bounds.
    tally
        The counters.
    """

    def __init__(self, limits: LimitSettings, tally: Tally) -> None:
        self._limits = limits
        self._tally = tally
        self._told = [count(tally) for _, _, count in _BOUNDS]
        self._silent_until = [0.0] * len(_BOUNDS)

    def note(self, now: float) -> None:
        """Say what was given up since it was last said; ``now`` in monotonic seconds."""
        for i, (setting, what, count) in enumerate(_BOUNDS):
            total = count(self._tally)
            if total == self._told[i] or now < self._silent_until[i]:
                continue
            log.warning(
                "a bound on memory was reached",
                setting=f"limits.{setting}",
                limit=getattr(self._limits, setting),
                given_up=what,
                count=total - self._told[i],
            )
            self._told[i] = total
            self._silent_until[i] = now + QUIET_SECONDS
