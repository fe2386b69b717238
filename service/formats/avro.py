"""Avro: the values of a record by the schema that it was written with.

A logical time becomes the unit that the rules of the record expect, a decimal its exact text.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fastavro
import msgspec

from service.formats.moments import in_unit
from service.mapping.rules import Unit

Change = Callable[[Any], Any]

_STEPS = {"timestamp-millis": 1_000_000, "timestamp-micros": 1_000, "timestamp-nanos": 1}
_STEP = "foreshock.step_ns"
_EVENT = "event"


class UnusableSchemaError(ValueError):
    """A schema cannot be used. The text says why."""


class AvroSchema:
    """One schema, together with those that it refers to.

    Parameters
    ----------
    texts
        The schemas in JSON: first those that the others refer to, at the end the schema itself.

    Raises
    ------
    UnusableSchemaError
        It is no valid schema; it contains itself; or an array of it has items of no bytes, so that
        a short record could have any number of them.
    """

    kind = "avro"

    def __init__(self, texts: Sequence[str]) -> None:
        self._named: dict[str, Any] = {}
        try:
            *others, own = [_marked(msgspec.json.decode(text)) for text in texts]
            for other in others:
                fastavro.parse_schema(other, self._named)
            # A union has no place for the schemas that it names: a record has.
            whole = {"type": "record", "name": "ForeshockEvent", "fields": [_field(own)]}
            self._schema = fastavro.parse_schema(whole, self._named)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UnusableSchemaError(f"it is no valid Avro schema: {error!r}") from None
        except fastavro.schema.SchemaParseException as error:
            raise UnusableSchemaError(f"it is no valid Avro schema: {error}") from None
        own = self._schema["fields"][0]["type"]  # type: ignore[index,call-overload]
        self._own = own
        _check(own, self._named, (), set())
        self._name = self._named[own]["name"] if isinstance(own, str) and own in self._named else ""
        if isinstance(own, dict) and own["type"] == "record":
            self._name = own["name"]

    def reader(self, unit: Unit) -> Callable[[bytes], Any]:
        """Return what turns the content of a record, after the prefix, into plain values.

        Times of logical types are in ``unit``. An object has the name of its type as ``@schema``.
        The reader raises ValueError if the bytes are not of the schema.
        """
        change = _Changes(self._named, unit).of(self._own)
        schema, read, named = self._schema, fastavro.schemaless_reader, self._name

        def value(content: bytes) -> Any:
            source = io.BytesIO(content)
            try:
                found: Any = read(
                    source,
                    schema,
                    None,
                    return_record_name=True,
                    return_record_name_override=True,
                )
                found = found[_EVENT]
                name = found[0] if isinstance(found, tuple) else named
                if change is not None:
                    found = change(found)
            except Exception as error:  # noqa: BLE001 - the bytes are not of the schema
                raise ValueError(f"{type(error).__name__}: {error}"[:200]) from None
            if left := len(content) - source.tell():
                raise ValueError(f"{left} bytes are left after its last field")
            if name and isinstance(found, dict):
                found["@schema"] = name
            return found

        return value


def _field(schema: Any) -> dict[str, Any]:
    return {"name": _EVENT, "type": schema}


def _marked(schema: Any) -> Any:
    """Let the times be read as what they are: integers, with the length of their steps."""
    if isinstance(schema, list):
        return [_marked(its) for its in schema]
    if not isinstance(schema, dict):
        return schema
    marked = {key: _marked(its) if key in _INNER else its for key, its in schema.items()}
    if schema.get("type") == "long" and schema.get("logicalType") in _STEPS:
        marked[_STEP] = _STEPS[marked.pop("logicalType")]
    return marked


_INNER = ("type", "fields", "items", "values")


def _check(
    schema: Any, named: Mapping[str, Any], within: tuple[str, ...], checked: set[str]
) -> None:
    for branch in schema if isinstance(schema, list) else ():
        _check(branch, named, within, checked)
    if isinstance(schema, str):
        schema = named.get(schema)
    if not isinstance(schema, dict):
        return
    if schema["type"] == "record":
        name = schema["name"]
        if name in within:
            raise UnusableSchemaError(f"{name} contains itself: such records are not read")
        for its in schema["fields"] if name not in checked else ():
            _check(its["type"], named, (*within, name), checked)
        checked.add(name)
    elif schema["type"] == "array":
        if _is_empty(schema["items"], named):
            raise UnusableSchemaError("the items of an array have no bytes: it has no limit")
        _check(schema["items"], named, within, checked)
    elif schema["type"] == "map":
        _check(schema["values"], named, within, checked)


def _is_empty(schema: Any, named: Mapping[str, Any]) -> bool:
    """Return whether a value takes no bytes."""
    if isinstance(schema, str):
        return schema == "null" or (schema in named and _is_empty(named[schema], named))
    if isinstance(schema, list):
        return False  # the number of its branch
    if schema["type"] == "record":
        return all(_is_empty(its["type"], named) for its in schema["fields"])
    return bool(schema["type"] == "null" or schema.get("size") == 0)


class _Changes:
    """What is changed in a value of a schema after fastavro has read it."""

    def __init__(self, named: Mapping[str, Any], unit: Unit) -> None:
        self._named = named
        self._unit = unit
        self._known: dict[str, Change | None] = {}

    def of(self, schema: Any) -> Change | None:
        """Return the change of a value; None if it stays as it is."""
        if isinstance(schema, list):
            return self._union(schema)
        if isinstance(schema, str):
            if schema not in self._named:
                return None
            schema = self._named[schema]
        if _STEP in schema:
            return in_unit(schema[_STEP], self._unit)
        if schema["type"] == "record":
            name = schema["name"]
            if name not in self._known:
                self._known[name] = self._record(schema)
            return self._known[name]
        return self._several(schema)

    def _several(self, schema: Mapping[str, Any]) -> Change | None:
        change = self.of(schema.get("items", schema.get("values", "null")))
        if change is None:
            return None
        if schema["type"] == "array":
            return lambda values: [change(its) for its in values]
        return lambda values: {key: change(its) for key, its in values.items()}

    def _record(self, schema: Mapping[str, Any]) -> Change | None:
        changes = {its["name"]: self.of(its["type"]) for its in schema["fields"]}
        some = [(name, change) for name, change in changes.items() if change is not None]
        if not some:
            return None

        def changed(record: dict[str, Any]) -> dict[str, Any]:
            for name, change in some:
                record[name] = change(record[name])
            return record

        return changed

    def _union(self, branches: Sequence[Any]) -> Change | None:
        """Return the change of a union: a record of several comes with the name of its type."""
        kinds: dict[type, Change] = {}
        records: dict[str, Change | None] = {}
        for branch in branches:
            its = self._named.get(branch, branch) if isinstance(branch, str) else branch
            change = self.of(branch)
            if isinstance(its, dict) and its["type"] == "record":
                records[its["name"]] = change
            elif change is not None:
                kinds[int if _STEP in its else list if its["type"] == "array" else dict] = change
        if len(records) == 1 and (change := next(iter(records.values()))) is not None:
            kinds[dict] = change
        if not kinds and len(records) <= 1:
            return None

        def changed(value: Any) -> Any:
            if isinstance(value, tuple):
                name, record = value
                change = records[name]
                return record if change is None else change(record)
            change = kinds.get(type(value))
            return value if change is None else change(value)

        return changed
