"""Loads schemas that records need, and tries again for as long as the registry does not answer."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from service.backoff import delays
from service.cancellation import cancel_and_wait
from service.formats.schemas import Schema, Schemas, Unusable
from service.registry.answers import AbsentError, Answer, Reference, RegistryAwayError, Requests
from service.settings.registry import RegistrySettings

if TYPE_CHECKING:
    from service.mapping.rules import Format

ABSENT_SECONDS = 60.0
"""For how long the registry is not asked again for a schema that it does not have, in seconds."""

MOST_REFERENCES = 100
"""The largest number of schemas that one schema may refer to, directly or not."""

log = structlog.get_logger("foreshock.registry")

_KINDS: "dict[str, Format]" = {"AVRO": "avro", "PROTOBUF": "protobuf"}


class Registry:
    """The schemas of one registry.

    Parameters
    ----------
    settings
        The settings of the registry.

    Attributes
    ----------
    schemas
        What is loaded.
    failures
        How many requests had no answer.

    Raises
    ------
    ConfigurationError
        A file that the settings name cannot be used.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self._requests = Requests(settings)
        self.schemas = Schemas()
        self.failures = 0
        self._loading: dict[int, asyncio.Task[None]] = {}
        self._failed: dict[int, str] = {}

    @property
    def pending(self) -> int:
        """How many schemas are wanted and not loaded."""
        return len(self._loading)

    @property
    def problem(self) -> str:
        """Why the registry gives no answer; empty if it does."""
        if not self._failed:
            return ""
        number, reason = next(iter(self._failed.items()))
        return f"records wait for schema {number}: {reason}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Give up what is still being loaded at the end."""
        try:
            yield
        finally:
            tasks = [*self._loading.values()]
            self.give_up()
            await cancel_and_wait(*tasks)

    def give_up(self) -> None:
        """Stop loading. What still needs a schema must say so again."""
        for task in self._loading.values():
            task.cancel()
        self._loading.clear()
        self._failed.clear()

    def want(self, numbers: Iterable[int]) -> None:
        """Begin to load schemas by id."""
        for number in numbers:
            if number not in self._loading and not self.schemas.knows(number):
                self._loading[number] = asyncio.create_task(self._load(number))

    async def settle(self, numbers: Collection[int], seconds: float) -> None:
        """Load schemas, and wait for them at most so long."""
        self.want(numbers)
        tasks = [self._loading[number] for number in numbers if number in self._loading]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def _load(self, number: int) -> None:
        waits = delays(random.Random())  # noqa: S311 - spreads load; not for security
        try:
            while True:
                try:
                    self.schemas.put(number, await self._fetch(number))
                except RegistryAwayError as error:
                    self.failures += 1
                    wait = next(waits)
                    self._failed[number] = str(error)
                    log.warning(
                        "the schema registry does not answer; records wait, trying again",
                        schema=number,
                        reason=str(error),
                        wait_seconds=round(wait, 2),
                    )
                    await asyncio.sleep(wait)
                else:
                    if self._failed.pop(number, None) is not None:
                        log.info("the schema registry answers again", schema=number)
                    return
        finally:
            if self._loading.get(number) is asyncio.current_task():
                del self._loading[number]

    async def _fetch(self, number: int) -> Schema | Unusable:
        """Return a schema, or why records of it cannot be read; raises `RegistryAwayError`."""
        try:
            answer = await self._requests.by_id(number)
        except AbsentError as error:
            return Unusable(
                "unknown_schema",
                f"the schema registry has no schema {number}: {error}",
                time.monotonic() + ABSENT_SECONDS,
            )
        if answer.kind not in _KINDS:
            return Unusable("unusable_schema", f"schema {number} is of the type {answer.kind}")
        try:
            files = await self._with_references(answer)
        except AbsentError as error:
            return Unusable(
                "unusable_schema",
                f"schema {number} refers to a schema that the registry does not have: {error}",
                time.monotonic() + ABSENT_SECONDS,
            )
        except ValueError as error:
            return Unusable("unusable_schema", f"schema {number} cannot be used: {error}")
        return _parsed(number, answer.kind, files)

    async def _with_references(self, answer: Answer) -> list[tuple[str, str]]:
        """Return the schemas that one refers to, each after those that it refers to, then itself.

        Each has the name under which it is referred to.
        """
        found: dict[tuple[str, int], tuple[str, str]] = {}

        async def follow(references: Iterable[Reference], within: frozenset[object]) -> None:
            for its in references:
                place = its.subject, its.version
                if place in within:
                    raise ValueError(f"{its.subject} version {its.version} refers to itself")
                if place in found:
                    continue
                if len(found) + len(within) >= MOST_REFERENCES:
                    raise ValueError(f"it refers to more than {MOST_REFERENCES} schemas")
                other = await self._requests.of(its)
                await follow(other.references, within | {place})
                found[place] = its.name, other.schema

        await follow(answer.references, frozenset())
        return [*found.values(), ("", answer.schema)]


def _parsed(number: int, kind: str, files: list[tuple[str, str]]) -> Schema | Unusable:
    # The packages are installed if a format needs them.
    from service.formats.avro import AvroSchema, UnusableSchemaError  # noqa: PLC0415

    try:
        if kind == "AVRO":
            return AvroSchema([text for _, text in files])
        from service.formats.protobuf import ProtobufSchema  # noqa: PLC0415

        return ProtobufSchema(files)
    except UnusableSchemaError as error:
        return Unusable("unusable_schema", f"schema {number} cannot be used: {error}")
