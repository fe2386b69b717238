"""Loads the schemas of records for what reads topics once, beside the loop."""

from collections.abc import Sequence
from typing import Any

from service.mapping.records import AnyDecoder
from service.pipeline.framing import schema_id
from service.registry.registry import Registry


async def loaded(
    registry: Registry, decoder: AnyDecoder[Any], records: Sequence[Any], seconds: float
) -> list[Any]:
    """Return the records that the decoder can decode, after at most so many seconds."""
    if not decoder.needs_schemas:
        return [*records]
    numbers = {schema_id(its.value or b"") for its in records} - {None}
    wanted = [number for number in numbers if number is not None]
    await registry.settle(wanted, seconds)
    known = {None, *(number for number in wanted if registry.schemas.knows(number))}
    return [its for its in records if schema_id(its.value or b"") in known]
