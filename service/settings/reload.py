"""Reload of the configuration in a running service.

The same code reads the file at the start and at a reload. The reloader applies the settings that
decide about alarms at once. All other settings take effect at the next start; the log and a metric
report them. If a file has any error, the reloader applies nothing.
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
from service.settings.load import configuration_file, load
from service.settings.types import Settings

Version = tuple[int, ...] | None
"""Identifies a version of a file; None without a file."""

log = structlog.get_logger("foreshock.reload")


class Source(Struct, frozen=True):
    """Source of the settings, see ``service.settings.load.load``."""

    path: Path | None
    environ: Mapping[str, str]

    @property
    def file(self) -> Path | None:
        """The configuration file; None without one."""
        found = configuration_file(self.path, self.environ)
        return found[0] if found is not None else None

    def version(self) -> Version:
        """Return the current version of the file.

        Links are followed: for a ConfigMap, Kubernetes replaces a link to a directory, and the
        file itself never changes.
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
    """Return the running settings, updated with the wanted ones that need no restart.

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
        calendar=wanted.calendar,
    )


class Reloader(Collector):
    """Applies changes of the configuration file to a running service.

    Parameters
    ----------
    settings
        Settings that the service started with.
    source
        Source of these settings.
    """

    def __init__(self, settings: Settings, source: Source) -> None:
        self._running = settings
        self._source = source
        self._started_with = source.file
        self._requested = asyncio.Event()
        self._need_restart: list[str] = []
        self._successful = True
        self._success_at = time.time()

    def ask(self) -> None:
        """Request a reload even if the file has not changed, as SIGHUP does."""
        self._requested.set()

    async def run(self, apply: Callable[[Settings], Awaitable[None]]) -> None:
        """Reload on request and when the file has changed, until cancelled.

        A changed file is read after one interval without a further change, so that the write is
        complete.
        """
        seconds = self._running.reload.watch_seconds or None  # None: wait for a request
        # The file may have changed since the start read it: the first version is read again.
        read: Version = ()
        last: Version = None
        while True:
            requested = await self._wait(seconds)
            version = await asyncio.to_thread(self._source.version)
            if requested or (version == last and version != read):
                await self._reload(apply, requested=requested)
                read = version
            last = version

    async def _wait(self, seconds: float | None) -> bool:
        """Wait for one interval or for a request; return whether there was a request."""
        try:
            await asyncio.wait_for(self._requested.wait(), seconds)
        except TimeoutError:
            return False
        self._requested.clear()
        return True

    async def _reload(
        self, apply: Callable[[Settings], Awaitable[None]], *, requested: bool
    ) -> None:
        """Read the file and apply the settings that need no restart.

        Without a request, a reload that changes nothing is not logged.
        """
        try:
            wanted = await asyncio.to_thread(self._load)
        except ConfigurationError as error:
            self._refuse(str(error))
            return
        except Exception as error:  # noqa: BLE001 - no file content may stop the service
            self._refuse(f"cannot read the file: {type(error).__name__}")
            return
        before = self._running
        self._running = applicable(before, wanted)
        changes = differences(before, self._running)
        need_restart = differences(self._running, wanted)
        if changes:
            await apply(self._running)
        if changes or requested or not self._successful:
            log.info("configuration reloaded", file=self._name(), changes=changes)
        if need_restart and (requested or need_restart != self._need_restart):
            log.warning("settings need a restart", changes=need_restart)
        self._need_restart = need_restart
        self._successful = True
        self._success_at = time.time()

    def _load(self) -> Settings:
        file = self._source.file or self._started_with
        if file is not None and not file.exists():
            raise ConfigurationError(f"the configuration file {file} does not exist any more")
        if file is not None and not file.is_file():
            # A read of a pipe waits for its writer, and the service could not stop meanwhile.
            raise ConfigurationError(f"{file} is not a regular file")
        loaded = load(self._source.path, self._source.environ)
        is_given = file is None or str(file) in loaded.sources.values()
        if not is_given and differences(self._running, loaded.settings):
            raise ConfigurationError(
                f"there is no setting in {file}, so every setting would go back to its default; "
                "restart the service if you want that"
            )
        return loaded.settings

    def _refuse(self, reason: str) -> None:
        self._successful = False
        log.error(
            "configuration not reloaded, running settings kept", file=self._name(), reason=reason
        )

    def _name(self) -> str | None:
        file = self._source.file or self._started_with
        return str(file) if file is not None else None

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the last reload; the start counts as a reload."""
        yield gauge(
            "config_last_reload_successful",
            "1 if the last read of the configuration succeeded, 0 if it was refused.",
            self._successful,
        )
        yield gauge(
            "config_last_reload_success_timestamp_seconds",
            "Time of the last successful read of the configuration, since the Unix epoch.",
            self._success_at,
            unit="seconds",
        )
        yield gauge(
            "config_restart_required_settings",
            "Changed settings that take effect at the next start.",
            len(self._need_restart),
        )
