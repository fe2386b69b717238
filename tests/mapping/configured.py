"""Decoders from the text of a configuration, as an operator writes it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.mapping.decoder import MappedDecoder
from service.settings.assembly import mapped_decoder
from service.settings.load import load_settings
from service.settings.types import Settings

NOW_MS = 1_700_000_100_000
TOPIC = "md"


def settings(text: str, directory: Path) -> Settings:
    path = directory / "foreshock.toml"
    path.write_text(text, "utf-8")
    return load_settings(path, {})


def decoder(text: str, directory: Path, topic: str = TOPIC) -> MappedDecoder[Any]:
    return mapped_decoder(settings(text, directory), topic)


def encoded(message: Any) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message).encode()


def decode(decoder: MappedDecoder[Any], *messages: Any, keys: Sequence[bytes | None] = ()):
    values = [None if message is None else encoded(message) for message in messages]
    keys = keys or [None] * len(values)
    return decoder.decode(values, [NOW_MS] * len(values), keys, range(5, 5 + len(values)))


def event(decoder: MappedDecoder[Any], message: Any, key: bytes | None = None) -> Any:
    decoded = decode(decoder, message, keys=[key])
    assert decoded.rejections == []
    assert decoded.unread == {}
    (found,) = decoded.events
    return found


def rejection(decoder: MappedDecoder[Any], message: Any) -> Any:
    decoded = decode(decoder, message)
    (found,) = decoded.rejections
    return found
