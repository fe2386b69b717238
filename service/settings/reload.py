"""Changed settings in a running service: found, checked, applied, told of.

The file is read as at the start, and by the same code. What decides which alarms there are is
applied at once, and the rest waits for the next start, which the log and the metrics say. A file
that is wrong in any part changes nothing at all.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import structlog
from msgspec import Struct
from msgspec.structs import replace
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from service.errors import ConfigurationError
from service.metric_families import gauge
from service.settings.differences import differences
from service.settings.load import configuration_file, load_settings
from service.settings.types import Settings

Version = tuple[int, ...] | None
"""What tells two versions of a file apart; None where there is no file."""

log = structlog.get_logger("foreshock.reload")


class Source(Struct, frozen=True):
    """Where settings come from, see ``service.settings.load.load``."""

    path: Path | None
    environ: Mapping[str, str]

    @property
    def file(self) -> Path | None:
        """The configuration file; None if there is none."""
        found = configuration_file(self.path, self.environ)
        return found[0] if found is not None else None

    def version(self) -> Version:
        """The file's version as it is now.

        Links are followed: where Kubernetes mounts a ConfigMap, a link to a directory is replaced,
        and the file itself never changes.
        """
        try:
            found = self.file
            status = found.stat() if found is not None else None
        except OSError:
            return None
        if status is None:
            return None
        return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def applicable(running: Settings, wanted: Settings) -> Settings:
    """The running settings with all of the wanted ones that a running service can take on.

    >>> from service.settings.types import DetectionSettings, HttpSettings
    >>> wanted = Settings(http=HttpSettings(port=1), detection=DetectionSettings(0.5))
    >>> applicable(Settings(), wanted) == Settings(detection=DetectionSettings(0.5))
    True
    """
    budget = wanted.detection.false_alarms_per_day
    return replace(
        running,
        detection=replace(running.detection, false_alarms_per_day=budget),
        feed=replace(wanted.feed, quiet_seconds=running.feed.quiet_seconds),
        market=wanted.market,
        overrides=wanted.overrides,
        maintenance=wanted.maintenance,
    )


class Reloader(Collector):
    """Keeps a running service's settings as its configuration file says.

    Parameters
    ----------
    settings
        Those that the service was started with.
    source
        Where they came from.
    """

    def __init__(self, settings: Settings, source: Source) -> None:
        self._running = settings
        self._source = source
        self._started_with = source.file
        self._asked = asyncio.Event()
        self._waiting: list[str] = []
        self._successful = True
        self._success_at = time.time()

    def ask(self) -> None:
        """Have the file read again, whether it has changed or not: what SIGHUP does."""
        self._asked.set()

    async def run(self, apply: Callable[[Settings], Awaitable[None]]) -> None:
        """Reload when asked to and when the file has changed, until cancelled.

        A changed file is read when it has been still for one interval: whoever writes it is done.
        """
        seconds = self._running.reload.watch_seconds or None  # None: wait until asked
        # The file may have changed since it was read at the start: whatever is there is read again.
        read: Version = ()
        last: Version = None
        while True:
            asked = await self._wait(seconds)
            version = await asyncio.to_thread(self._source.version)
            if asked or (version == last and version != read):
                await self._reload(apply, asked=asked)
                read = version
            last = version

    async def _wait(self, seconds: float | None) -> bool:
        """Wait for one interval, or until asked: whether it was that."""
        try:
            await asyncio.wait_for(self._asked.wait(), seconds)
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _reload(self, apply: Callable[[Settings], Awaitable[None]], *, asked: bool) -> None:
        """Read the file and apply what can be; told only if something changes, unless asked."""
        try:
            wanted = await asyncio.to_thread(self._load)
        except ConfigurationError as error:
            self._refuse(str(error))
            return
        except Exception as error:  # noqa: BLE001 - whatever is in a file, the market is watched on
            self._refuse(f"it cannot be read: {type(error).__name__}")
            return
        before = self._running
        self._running = applicable(before, wanted)
        changes = differences(before, self._running)
        waiting = differences(self._running, wanted)
        if changes:
            await apply(self._running)
        if changes or asked or not self._successful:
            log.info("configuration reloaded", file=self._name(), changes=changes)
        if waiting and (asked or waiting != self._waiting):
            log.warning("settings wait for a restart", changes=waiting)
        self._waiting = waiting
        self._successful = True
        self._success_at = time.time()

    def _load(self) -> Settings:
        file = self._started_with
        if file is not None and not file.exists():
            raise ConfigurationError(f"the configuration file {file} is gone")
        return load_settings(self._source.path, self._source.environ)

    def _refuse(self, reason: str) -> None:
        self._successful = False
        log.error("configuration not reloaded, nothing changes", file=self._name(), reason=reason)

    def _name(self) -> str | None:
        file = self._source.file or self._started_with
        return str(file) if file is not None else None

    def collect(self) -> Iterator[Metric]:
        """What became of the last reload; the start counts as one."""
        yield gauge(
            "config_last_reload_successful",
            "1 if the configuration was right when it was last read, 0 if it was refused.",
            self._successful,
        )
        yield gauge(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration was last read and right, since the Unix epoch.",
            self._success_at,
            unit="seconds",
        )
        yield gauge(
            "config_restart_required_settings",
            "Settings whose new value takes effect at the next start only.",
            len(self._waiting),
        )
