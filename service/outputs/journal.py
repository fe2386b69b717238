"""The journal: when the service ran, and with which settings, for the yearly review.

The journal topic holds one record for each start, stop and change of the settings, and one every
five minutes while the service is connected. A gap between these records is a time in which nobody
watched.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Literal

import msgspec
import structlog
from aiokafka.errors import KafkaError
from msgspec import Struct

from service import __version__
from service.settings.types import Settings

HEARTBEAT_SECONDS = 300.0
"""The interval of the records while nothing happens, in seconds."""

STOP_SECONDS = 1.0
"""The time limit of the last record, in seconds."""

_SECTIONS = (
    "instruments",
    "quantities",
    "time",
    "detection",
    "feed",
    "market",
    "limits",
    "overrides",
    "maintenance",
    "calendar",
)
"""The sections of the settings that decide about alarms. None has a secret."""

Occasion = Literal["started", "running", "reloaded", "stopped"]

log = structlog.get_logger("foreshock.journal")


class JournalEntry(Struct, frozen=True):
    """An entry of the journal.

    ``at`` is the time in nanoseconds since 1970, ``instance`` names the process. ``settings`` holds
    the settings that decide about alarms, by section; it is empty in a ``running`` entry.
    """

    at: int
    instance: str
    occasion: Occasion
    version: str
    settings: dict[str, Any] = {}


Send = Callable[[JournalEntry], Awaitable[None]]


def judging_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that decide about alarms, as plain values by section."""
    sections = {name: getattr(settings, name) for name in _SECTIONS}
    plain: dict[str, Any] = msgspec.to_builtins(sections)
    return plain


class Journal:
    """Writes the entries of one process.

    Parameters
    ----------
    settings
        The settings that the process started with.
    instance
        The name of the process.
    """

    def __init__(self, settings: Settings, instance: str) -> None:
        self._settings = settings
        self._instance = instance
        # The settings of the last entry that has settings: others may come while it is sent.
        self._written: Settings | None = None
        self._changed = asyncio.Event()

    def reloaded(self, settings: Settings) -> None:
        """Note that other settings are in force."""
        self._settings = settings
        self._changed.set()

    async def keep(self, send: Send) -> None:
        """Write entries until cancelled. One that cannot be sent is logged, and written later."""
        while True:
            self._changed.clear()
            settings = self._settings
            with suppress(KafkaError):
                await self._write(send, self._occasion(), settings)
                self._written = settings
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), HEARTBEAT_SECONDS)

    async def stopped(self, send: Send) -> None:
        """Write that the process stops, unless it never started."""
        if self._written is not None:
            with suppress(KafkaError, TimeoutError):
                stop = self._write(send, "stopped", self._settings)
                await asyncio.wait_for(stop, STOP_SECONDS)

    def _occasion(self) -> Occasion:
        if self._written is None:
            return "started"
        return "running" if self._written is self._settings else "reloaded"

    async def _write(self, send: Send, occasion: Occasion, settings: Settings) -> None:
        judging = judging_settings(settings) if occasion in ("started", "reloaded") else {}
        entry = JournalEntry(time.time_ns(), self._instance, occasion, __version__, judging)
        try:
            await send(entry)
        except KafkaError as error:
            log.warning("the journal cannot be written", occasion=occasion, reason=repr(error))
            raise
