"""The kill switch of one symbol: its records, each with the hash of the one before it."""

from collections.abc import Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from detectors.kill_switch import machine
from detectors.kill_switch.conditions import CALM, Conditions
from detectors.kill_switch.machine import LASTING_NS, RENEWAL_NS, SECOND_NS, Action, Cause, Memory
from detectors.kill_switch.table import State

VALID_NS = 15 * SECOND_NS
"""How long a record can be relied on if no other record of its partition follows."""

HEARTBEAT_NS = 5 * SECOND_NS
"""The interval of the heartbeats of a partition."""

REMEMBERED_COMMANDS = 16
"""The number of commands of a symbol that are remembered."""


class KillSwitch(Struct, frozen=True):
    """The state of a symbol's kill switch, for an order gateway that chooses to listen.

    Attributes
    ----------
    symbol
        The symbol; ``*`` is the whole venue, "" a heartbeat.
    state
        How freely a gateway may trade. A heartbeat is always ``armed``, and says nothing about any
        symbol.
    ts_event
        The moment of the record, in nanoseconds of event time.
    until
        When the state ends, in nanoseconds of event time, if no record renews it; None while armed.
    reason
        Why the state began, or what a command or drill says.
    alert_id
        The alert behind the state; "" without.
    valid_until
        How long the record can be relied on, in nanoseconds of event time. Every later record of
        the same partition of the topic, heartbeats included, prolongs it.
    since
        When the state began, in nanoseconds of event time.
    by
        Who began it: ``foreshock``, or the name of an operator.
    cause
        Why the record is published.
    sequence
        Counts the records of the symbol, from 1.
    previous
        The SHA-256 of the value of the symbol's record before this one, in hexadecimal digits; ""
        in the first record.
    drill
        Whether the record is an exercise. Its state is the true one, which the exercise does not
        change.
    command_id
        The command that the record answers; "" without.
    memory
        Foreshock's own memory of the switch; None in a heartbeat.
    """

    symbol: str
    state: State
    ts_event: int
    until: int | None
    reason: str
    alert_id: str
    valid_until: int
    since: int
    by: str
    cause: Cause
    sequence: int
    previous: str
    drill: bool = False
    command_id: str = ""
    memory: Memory | None = None


_encoder = msgspec.json.Encoder()
_decode = msgspec.json.Decoder(KillSwitch).decode


def encode(record: KillSwitch) -> bytes:
    """Return the value of a record: the bytes that are published, and hashed."""
    return _encoder.encode(record)


def decode(value: bytes) -> KillSwitch:
    """Return the record of a value. Raises msgspec.MsgspecError for any other value."""
    return _decode(value)


def digest(value: bytes) -> str:
    """Return the hash of a record's value.

    >>> digest(b"")[:16]
    'e3b0c44298fc1c14'
    """
    return sha256(value).hexdigest()


class Chain(Struct, frozen=True):
    """The last record of a symbol: its sequence number, and the hash of its value."""

    sequence: int = 0
    digest: str = ""


def first_break(values: Sequence[bytes]) -> int | None:
    """Return the index of the first record that does not follow from the one before it.

    A value that repeats the one before it follows from it. None: the chain is whole.
    """
    for index in range(1, len(values)):
        if values[index] == values[index - 1]:
            continue
        before, record = decode(values[index - 1]), decode(values[index])
        if record.previous != digest(values[index - 1]) or record.sequence != before.sequence + 1:
            return index
    return None


class SwitchState(Struct, frozen=True):
    """The state of a switch as plain data, for snapshots."""

    memory: Memory
    chain: Chain


class Switch:
    """The kill switch of one symbol.

    Parameters
    ----------
    symbol
        The symbol; ``*`` for the whole venue.
    state
        The state of a snapshot; None for a new switch.

    Attributes
    ----------
    memory
        The memory of the state machine.
    """

    __slots__ = ("_chain", "memory", "symbol")

    def __init__(self, symbol: str, state: SwitchState | None = None) -> None:
        self.symbol = symbol
        self.memory = Memory() if state is None else state.memory
        self._chain = Chain() if state is None else state.chain

    @property
    def snapshot(self) -> SwitchState:
        """The state for a snapshot."""
        return SwitchState(self.memory, self._chain)

    @property
    def active(self) -> bool:
        """Whether anything is to be done as time passes."""
        return self.memory.state != "armed" or self.memory.conditions != CALM

    @property
    def due_ns(self) -> int | None:
        """When the next change is due if nothing else happens; None if none is."""
        return machine.next_ns(self.memory)

    @property
    def is_published(self) -> bool:
        """Whether the topic has a record of the switch."""
        return self._chain.sequence > 0

    def adopt(self, value: bytes) -> bool:
        """Continue from a record of the topic; return whether it is later than what is known.

        Raises msgspec.MsgspecError if the value is no record, and ValueError if it is a heartbeat.
        """
        record = decode(value)
        if record.memory is None or record.symbol != self.symbol:
            raise ValueError("the record is of no symbol, or of another one")
        if record.sequence <= self._chain.sequence:
            return False
        self.memory = record.memory
        self._chain = Chain(record.sequence, digest(value))
        return True

    def observe(
        self,
        conditions: Conditions,
        now_ns: int,
        detail: str = "",
        alert_id: str = "",
        *,
        tells: bool = True,
    ) -> list[KillSwitch]:
        """Process the evidence at a moment; return the records that are due, if it ``tells``."""
        self.memory, due = machine.step(self.memory, conditions, now_ns, detail, alert_id)
        return [self._record(cause, memory) for cause, memory in due] if tells else []

    def rest(self, now_ns: int) -> list[KillSwitch]:
        """Return the transitions that are due by ``now_ns`` if nothing else happens."""
        self.memory, moves = machine.advance(self.memory, now_ns)
        return [self._record("transition", memory) for memory in moves]

    def start(self, now_ns: int) -> list[KillSwitch]:
        """Return the first record of the switch; none if there is one already."""
        if self.is_published:
            return []
        self.memory = replace(self.memory, now_ns=max(now_ns, self.memory.now_ns))
        if not self.memory.since_ns:
            self.memory = replace(self.memory, since_ns=now_ns)
        return [self._record("started", self.memory)]

    def renew(self, now_ns: int) -> list[KillSwitch]:
        """Prolong a state that would end soon."""
        memory = self.memory
        if not memory.until_ns or memory.until_ns - now_ns >= RENEWAL_NS:
            return []
        now_ns = max(now_ns, memory.now_ns)
        self.memory = replace(memory, now_ns=now_ns, until_ns=now_ns + LASTING_NS)
        return [self._record("renewal", self.memory)]

    def command(
        self, action: Action, now_ns: int, by: str, reason: str, command_id: str
    ) -> list[KillSwitch]:
        """Apply a command of an operator. The last record is its answer.

        A command that was applied before has no effect, and no record.
        """
        if not self._is_new(command_id):
            return []
        self.memory, due = machine.command(self.memory, action, now_ns, by, reason)
        records = [self._record(cause, memory) for cause, memory in due[:-1]]
        cause, memory = due[-1]
        return [*records, self._record(cause, memory, command_id=command_id)]

    def drill(self, now_ns: int, by: str, reason: str, command_id: str) -> list[KillSwitch]:
        """Return a record of an exercise. It changes nothing."""
        if not self._is_new(command_id):
            return []
        self.memory = replace(self.memory, now_ns=max(now_ns, self.memory.now_ns))
        return [
            self._record(
                "drill",
                replace(self.memory, reason=f"drill by {by}: {reason}", by=by),
                kept=self.memory,
                drill=True,
                command_id=command_id,
            )
        ]

    def _is_new(self, command_id: str) -> bool:
        known = self.memory.commands
        if command_id in known:
            return False
        self.memory = replace(self.memory, commands=(*known, command_id)[-REMEMBERED_COMMANDS:])
        return True

    def reaffirm(self, now_ns: int) -> list[KillSwitch]:
        """Return the state again: another owner may have written in between."""
        self.memory = replace(self.memory, now_ns=max(now_ns, self.memory.now_ns))
        return [self._record("reaffirmed", self.memory)]

    def _record(
        self,
        cause: Cause,
        memory: Memory,
        *,
        kept: Memory | None = None,
        drill: bool = False,
        command_id: str = "",
    ) -> KillSwitch:
        record = KillSwitch(
            self.symbol,
            memory.state,
            memory.now_ns,
            memory.until_ns or None,
            memory.reason,
            memory.alert_id,
            memory.now_ns + VALID_NS,
            memory.since_ns,
            memory.by,
            cause,
            self._chain.sequence + 1,
            self._chain.digest,
            drill,
            command_id,
            kept or memory,
        )
        self._chain = Chain(record.sequence, digest(encode(record)))
        return record


class Heartbeat:
    """The heartbeats of the owner of a partition."""

    __slots__ = ("_chain", "last_ns")

    def __init__(self) -> None:
        self._chain = Chain()
        self.last_ns = 0

    def adopt(self, value: bytes) -> int:
        """Continue from a heartbeat of the topic; return its event time."""
        record = decode(value)
        if record.sequence > self._chain.sequence:
            self._chain = Chain(record.sequence, digest(value))
        return record.ts_event

    def beat(self, now_ns: int) -> KillSwitch | None:
        """Return a heartbeat if one is due at ``now_ns``, also if time went back."""
        if self.last_ns <= now_ns < self.last_ns + HEARTBEAT_NS:
            return None
        self.last_ns = now_ns
        record = KillSwitch(
            *("", "armed", now_ns, now_ns + VALID_NS, "the owner of this partition is alive", ""),
            *(now_ns + VALID_NS, now_ns, machine.AUTOMATIC, "heartbeat"),
            *(self._chain.sequence + 1, self._chain.digest),
        )
        self._chain = Chain(record.sequence, digest(encode(record)))
        return record
