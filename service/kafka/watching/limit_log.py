"""Logs when a memory limit is reached, and how much Foreshock dropped because of it."""

from collections.abc import Callable

import structlog

from service.pipeline.output import Tally
from service.settings.types import LimitSettings

QUIET_SECONDS = 60.0
"""The shortest time between two messages about the same limit, in seconds."""

log = structlog.get_logger("foreshock.bounds")

_LIMITS: tuple[tuple[str, str, Callable[[Tally], int]], ...] = (
    ("symbols", "symbols evicted", lambda tally: tally.evicted_symbols),
    ("symbols", "events of unwatched symbols", lambda tally: tally.unwatched),
    ("resting_orders", "orders evicted", lambda tally: tally.market.evicted_orders),
    ("accounts", "accounts evicted", lambda tally: tally.market.evicted_accounts),
)


class LimitLog:
    """Logs the growth of the counters of dropped items.

    Parameters
    ----------
    limits
        The memory limits.
    tally
        The counters.
    """

    def __init__(self, limits: LimitSettings, tally: Tally) -> None:
        self._limits = limits
        self._tally = tally
        self._logged = [count(tally) for _, _, count in _LIMITS]
        self._silent_until = [0.0] * len(_LIMITS)

    def note(self, now: float) -> None:
        """Log what was dropped since the last message; ``now`` is in monotonic seconds."""
        for i, (setting, dropped, count) in enumerate(_LIMITS):
            total = count(self._tally)
            if total == self._logged[i] or now < self._silent_until[i]:
                continue
            log.warning(
                "a memory limit was reached",
                setting=f"limits.{setting}",
                limit=getattr(self._limits, setting),
                given_up=dropped,
                count=total - self._logged[i],
            )
            self._logged[i] = total
            self._silent_until[i] = now + QUIET_SECONDS


class PositionLimitLog:
    """Logs that positions were dropped at ``risk.max_positions``.

    Parameters
    ----------
    limit
        The setting.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._logged = 0
        self._silent_until = 0.0

    def note(self, evicted: int, now: float) -> None:
        """Log what was dropped since the last message.

        Parameters
        ----------
        evicted
            How many positions were dropped so far.
        now
            In monotonic seconds.
        """
        if evicted == self._logged or now < self._silent_until:
            return
        log.warning(
            "a memory limit was reached",
            setting="risk.max_positions",
            limit=self._limit,
            given_up="positions evicted, the smallest first",
            count=evicted - self._logged,
        )
        self._logged = evicted
        self._silent_until = now + QUIET_SECONDS
