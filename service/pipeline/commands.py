"""Commands of operators to kill switches: the records, and which of them are still valid."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from detectors.market_data.events import EARLIEST_NS, LATEST_NS
from service.pipeline.rejection import Rejection
from service.pipeline.written import Reader, Record

COMMAND = "command"
"""What a record of the command topic is."""

MAX_REASON = 500
"""The largest number of characters of a reason."""

VALID_SECONDS = 300
"""How long a command is valid after its record's timestamp, in seconds: an owner that comes back
later does not surprise anybody with it."""

MAX_AHEAD_MS = 60_000
"""How far ahead of the clock the timestamp of a valid command may be, in milliseconds."""

MAX_REMEMBERED = 10_000
"""The commands that are remembered: far more than operators give within their time of validity."""

Action = Literal["trip", "hold", "rearm", "test"]

Name = Annotated[str, Meta(min_length=1, max_length=64)]


class Command(Struct, frozen=True):
    """A command of an operator to the kill switch of a symbol; ``*`` is the whole venue.

    ``trip``: cancel, then only reduce. ``hold``: no new orders. ``rearm``: trade freely, whatever
    the evidence says now. ``test``: a drill. The record that answers it has its ``command_id``.
    ``issued_at`` is the time of the command in nanoseconds since 1970, for people.
    """

    command_id: Name
    symbol: Name
    action: Action
    reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON)]
    by: Name
    issued_at: Annotated[int, Meta(ge=EARLIEST_NS, le=LATEST_NS)]


_reader = Reader(
    Command, lambda its: its.symbol, "the symbol, {}: it decides the order of commands"
)
encode = msgspec.json.Encoder().encode


def decode(index: int, record: Record) -> Command | Rejection:
    """Return the command of a record, or why it is none. ``index`` is that of the rejection."""
    return _reader.read(index, record)


class Commands:
    """The commands that were read, in their order on the topic.

    ``serial`` is the number of commands that came.
    """

    def __init__(self) -> None:
        self.serial = 0
        self._last: dict[str, tuple[int, int, Command]] = {}

    def take(self, records: Sequence[Record]) -> list[Rejection]:
        """Add the commands of records; return why the others are none."""
        rejections = []
        for index, record in enumerate(records):
            decoded = decode(index, record)
            if isinstance(decoded, Rejection):
                rejections.append(decoded)
            elif decoded.command_id not in self._last:
                self.serial += 1
                self._last[decoded.command_id] = self.serial, record.timestamp, decoded
                if len(self._last) > MAX_REMEMBERED:
                    del self._last[next(iter(self._last))]
        return rejections

    def since(self, serial: int, now_ms: float) -> list[Command]:
        """Return the commands after the first ``serial`` that are valid at ``now_ms``."""
        first_ms, last_ms = now_ms - VALID_SECONDS * 1e3, now_ms + MAX_AHEAD_MS
        new = []
        for number, timestamp, command in reversed(self._last.values()):
            if number <= serial:
                break
            if first_ms <= timestamp <= last_ms:
                new.append(command)
        return new[::-1]
