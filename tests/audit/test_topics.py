"""A broker that falls silent while topics are copied ends the audit with a sentence."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from service.audit import topics
from service.audit.topics import Span
from service.errors import OperatorError
from service.settings.types import Settings


class Silent:
    """A consumer that reaches offset 3, and nothing after it."""

    def __init__(self) -> None:
        self.at = 0

    def assign(self, _: Any) -> None:
        pass

    def seek(self, *_: Any) -> None:
        pass

    def pause(self, *_: Any) -> None:
        pass

    async def getmany(self, *_: Any, **__: Any) -> dict[Any, Any]:
        self.at = min(3, self.at + 1)
        return {}

    async def position(self, _: Any) -> int:
        return self.at


async def test_a_broker_that_falls_silent_is_an_error_that_names_what_is_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(topics, "STALLED_SECONDS", 0.05)
    reader, tp = Silent(), TopicPartition("market.orders", 2)
    with ExitStack() as stack:
        part = topics._Partition("orders", "market.orders 2", tmp_path, stack, 0, 5)
        with pytest.raises(
            OperatorError, match=r"sent anything for 0.05 s; market\.orders 2 are not"
        ):
            await topics._read(reader, {tp: part}, {tp: 0}, Span(), Settings())
        assert reader.at == 3
        part.stop = 3
        await topics._read(reader, {tp: part}, {tp: 0}, Span(), Settings())
