"""Decodes records of Kafka with the decoder of their topic, mapped or not."""

from collections.abc import Sequence
from typing import Any, TypeVar

from service.mapping.decoder import MappedDecoder
from service.pipeline.wire import Decoded, Decoder

E = TypeVar("E")

AnyDecoder = Decoder[E] | MappedDecoder[E]


def decode_records(
    decoder: AnyDecoder[E], records: Sequence[Any], arrived_ms: Sequence[int]
) -> Decoded[E]:
    """Return the events and rejections of records; ``arrived_ms`` are their usable timestamps."""
    values = [record.value for record in records]
    if isinstance(decoder, MappedDecoder) and decoder.reads_record:
        keys = [record.key for record in records]
        return decoder.decode(values, arrived_ms, keys, [record.offset for record in records])
    return decoder.decode(values, arrived_ms)


def decode_lines(
    decoder: AnyDecoder[E], lines: Sequence[bytes], arrived_ms: Sequence[int], first: int
) -> Decoded[E]:
    """Return the events and rejections of lines of a file, of which the first has a number."""
    if isinstance(decoder, MappedDecoder) and decoder.reads_record:
        numbers = range(first, first + len(lines))
        return decoder.decode(lines, arrived_ms, [None] * len(lines), numbers)
    return decoder.decode(lines, arrived_ms)
