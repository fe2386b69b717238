"""Protobuf: the values of a record by the schema that it was written with.

The registry gives schemas as descriptors (``format=serialized``): nothing compiles their texts.
"""

import base64
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from service.formats.avro import UnusableSchemaError
from service.formats.moments import in_unit
from service.mapping.rules import Unit

Take = Callable[[Any], Any]

_SECOND = 1_000_000_000
_TIMESTAMP, _DECIMAL = "google.protobuf.Timestamp", "confluent.type.Decimal"
_MOST_DIGITS = 100
_WRAPPERS = frozenset(
    f"google.protobuf.{its.name}" for its in wrappers_pb2.DESCRIPTOR.message_types_by_name.values()
)


class ProtobufSchema:
    """One schema, together with those that it imports.

    Parameters
    ----------
    files
        The descriptors in base 64, each with the name under which others import it: first those
        that others import, at the end the schema itself, under any name.

    Raises
    ------
    UnusableSchemaError
        It is no descriptor, or imports what is not there.
    """

    kind = "protobuf"

    def __init__(self, files: Sequence[tuple[str, str]]) -> None:
        described = [_described(name, text) for name, text in files]
        known = {its.name: its for its in described}
        pool = DescriptorPool()
        added: set[str] = set()

        def add(file: descriptor_pb2.FileDescriptorProto) -> None:
            if file.name in added:
                return
            added.add(file.name)
            for name in file.dependency:
                if name not in known and name not in _built_in():
                    raise UnusableSchemaError(
                        f"it imports {name}, which is not among its references in the registry"
                    )
                add(known.get(name) or _built_in()[name])
            pool.AddSerializedFile(file.SerializeToString())

        try:
            add(described[-1])
        except TypeError as error:
            raise UnusableSchemaError(f"it is no valid descriptor: {error}") from None
        self._file, self._pool = described[-1], pool

    def reader(self, unit: Unit) -> Callable[[bytes], Any]:
        """Return what turns the content of a record, after the prefix, into plain values.

        Times are in ``unit``. An object has the name of its message as ``@schema``. The reader
        raises ValueError if the bytes are not of the schema.
        """
        readers: dict[tuple[int, ...], Callable[[bytes], Any]] = {}

        def value(content: bytes) -> Any:
            path, at = message_path(content)
            if path not in readers:
                readers[path] = self._of(path, unit)
            return readers[path](content[at:])

        return value

    def _of(self, path: Sequence[int], unit: Unit) -> Callable[[bytes], Any]:
        name = self._name(path)
        message = GetMessageClass(self._pool.FindMessageTypeByName(name))
        take = _Takes(unit).message(message.DESCRIPTOR)

        def value(content: bytes) -> Any:
            try:
                found = take(message.FromString(content))
            except (DecodeError, ArithmeticError) as error:
                raise ValueError(f"it is no message {name}: {error}") from None
            if isinstance(found, dict):
                found["@schema"] = name
            return found

        return value

    def _name(self, path: Sequence[int]) -> str:
        """Return the full name of the message at a path of numbers in the file."""
        names = [self._file.package] if self._file.package else []
        within: Any = self._file.message_type
        for number in path:
            if not 0 <= number < len(within):
                raise ValueError(f"the schema has no message number {list(path)}")
            names.append(within[number].name)
            within = within[number].nested_type
        return ".".join(names)


def message_path(content: bytes) -> tuple[tuple[int, ...], int]:
    r"""Return which message of a file a record has, and where the message begins.

    After the schema's id stand the count of the numbers and the numbers, as zigzag varints; a
    single zero byte stands for the first message.

    Raises
    ------
    ValueError
        They are cut off, or there are implausibly many.

    Examples
    --------
    >>> message_path(b"\0..."), message_path(b"\x04\x02\x00...")
    (((0,), 1), ((1, 0), 3))
    """
    count, at = _varint(content, 0)
    if count == 0:
        return (0,), at
    if not 0 < count <= _MOST_DIGITS:
        raise ValueError("the numbers of the message after the schema's id are wrong")
    path = []
    for _ in range(count):
        number, at = _varint(content, at)
        path.append(number)
    return tuple(path), at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    if at < len(content) and (byte := content[at]) < 0x80:  # nearly always
        return (byte >> 1) ^ -(byte & 1), at + 1
    result = shift = 0
    for place in range(at, min(at + 5, len(content))):
        byte = content[place]
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (result >> 1) ^ -(result & 1), place + 1
        shift += 7
    raise ValueError("the numbers of the message after the schema's id are cut off")


def _described(name: str, text: str) -> descriptor_pb2.FileDescriptorProto:
    try:
        file = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (DecodeError, ValueError):
        raise UnusableSchemaError(
            "the registry gives it as text, not as a descriptor: a registry for Protobuf must know "
            "format=serialized (Confluent's does, Redpanda's from version 25.2)"
        ) from None
    file.name = name
    return file


class _Takes:
    """What turns messages into plain values: times in a unit, decimals as text."""

    def __init__(self, unit: Unit) -> None:
        self._moment = in_unit(1, unit)
        self._known: dict[str, Take] = {}

    def message(self, descriptor: Any) -> Take:
        """Return what turns a message into plain values."""
        name = descriptor.full_name
        if name == _TIMESTAMP:
            return lambda its: self._moment(its.seconds * _SECOND + its.nanos)
        if name == _DECIMAL:
            return _decimal
        if name in _WRAPPERS:
            return lambda its: its.value
        if name not in self._known:
            fields: list[tuple[str, bool, Take]] = []
            # Before its fields: a message may contain itself.
            self._known[name] = lambda its: _taken(its, fields)
            fields += [
                (its.name, its.is_repeated or not its.has_presence, self._field(its))
                for its in descriptor.fields
            ]
        return self._known[name]

    def _field(self, field: FieldDescriptor) -> Take:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            take = self._single(field.message_type.fields_by_name["value"])
            return lambda its: {_key(key): take(value) for key, value in its.items()}
        take = self._single(field)
        if field.is_repeated:
            return lambda its: [take(value) for value in its]
        return take

    def _single(self, field: FieldDescriptor) -> Take:
        if field.message_type is not None:
            return self.message(field.message_type)
        if field.enum_type is not None:
            names = {number: its.name for number, its in field.enum_type.values_by_number.items()}
            return lambda number: names.get(number, number)
        return _itself


def _itself(value: Any) -> Any:
    return value


def _taken(message: Message, fields: Sequence[tuple[str, bool, Take]]) -> dict[str, Any]:
    """Return the fields that a message has; those that it cannot lack always."""
    return {
        name: take(getattr(message, name))
        for name, always, take in fields
        if always or message.HasField(name)
    }


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _decimal(its: Any) -> str:
    """Return a decimal, of two's complement with a scale, as text."""
    unscaled, scale = int.from_bytes(its.value, "big", signed=True), its.scale
    if abs(scale) > _MOST_DIGITS or len(its.value) > _MOST_DIGITS:
        raise OverflowError(f"a decimal has {scale} places")
    return f"{unscaled}e{-scale}"


@cache
def _built_in() -> dict[str, descriptor_pb2.FileDescriptorProto]:
    """Return the files that every registry knows, and no schema refers to."""
    modules = (
        any_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2,
        timestamp_pb2, wrappers_pb2,
    )  # fmt: skip
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(its.DESCRIPTOR.serialized_pb)
        for its in modules
    ]
    decimal = descriptor_pb2.FileDescriptorProto(
        name="confluent/type/decimal.proto", package="confluent.type", syntax="proto3"
    )
    fields = {"value": FieldDescriptor.TYPE_BYTES, "precision": FieldDescriptor.TYPE_UINT32,
              "scale": FieldDescriptor.TYPE_INT32}  # fmt: skip
    message = decimal.message_type.add(name="Decimal")
    for number, (name, kind) in enumerate(fields.items(), 1):
        its = message.field.add(name=name, number=number)
        its.type, its.label = kind, descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL  # type: ignore[assignment]
    # It has only options, which nothing here reads.
    meta = descriptor_pb2.FileDescriptorProto(name="confluent/meta.proto", package="confluent")
    return {its.name: its for its in (*files, decimal, meta)}
