"""Reads the claims of a venue from a file."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from detectors.audit.claims import Book, Claims
from service.describe import expected, shortened, shown, shown_safely
from service.errors import ConfigurationError

MAX_FILE_BYTES = 1 << 20

_Values = dict[str, dict[str, Any]]


def read_claims(path: Path) -> Book:
    """Return the claims of a TOML file.

    Each section of `detectors.audit.claims.Claims` is a table. ``[symbols."NAME".SECTION]`` holds
    what differs for a symbol; the rest is that of every symbol.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a claim is unknown or out of range. The message lists all
        errors, each with the field, the value and what would be right.
    """
    tables = _tables(path)
    of_symbol = tables.pop("symbols", {})
    errors: list[str] = []
    values, own = _sections(tables, ""), {}
    general = _converted(values, errors)
    if isinstance(of_symbol, dict):
        for symbol, its in of_symbol.items():
            prefix = f'symbols."{shown_safely(symbol)}".'
            if not isinstance(its, dict):
                errors.append(_wrong(prefix.removesuffix("."), its, "a table of sections"))
                continue
            own[symbol] = _converted(_sections(its, prefix), errors)
    else:
        errors.append(_wrong("symbols", of_symbol, 'tables such as [symbols."BTC-PERP".mark]'))
    if errors:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        raise ConfigurationError(f"{count} in {path}:" + "".join(f"\n  {e}" for e in errors))
    return Book(
        _claims(general), {symbol: _claims(_over(general, its)) for symbol, its in own.items()}
    )


def _tables(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(f"cannot read the claims file {path}: {reason}") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None


def _sections(tables: Mapping[str, Any], prefix: str) -> list[tuple[str, str, Any]]:
    return [(prefix, name, value) for name, value in tables.items()]


def _converted(sections: list[tuple[str, str, Any]], errors: list[str]) -> _Values:
    """Return the claims by section and name, and add what is wrong to ``errors``."""
    known = {field.name: field for field in structs.fields(Claims)}
    found: _Values = {}
    for prefix, name, value in sections:
        full = prefix + name
        if name not in known:
            errors.append(f"{shown_safely(full)}: unknown{_suggestion(name, known)}")
        elif name == "venue":
            if isinstance(value, str):
                found["venue"] = {"": value}
            else:
                errors.append(_wrong(full, value, "a text"))
        elif not isinstance(value, dict):
            errors.append(_wrong(full, value, f"a table; write [{full}]"))
        else:
            found[name] = dict(_fields(full, known[name].type, value, errors))
    return found


def _fields(
    section: str, claims: Any, values: Mapping[str, Any], errors: list[str]
) -> Iterator[tuple[str, Any]]:
    known = {field.name: field.type for field in structs.fields(claims)}
    for name, value in values.items():
        if name not in known:
            full = shown_safely(f"{section}.{name}")
            errors.append(f"{full}: unknown{_suggestion(name, known)}")
            continue
        try:
            yield name, msgspec.convert(value, known[name])
        except msgspec.ValidationError as error:
            wanted = _expected(known[name], error)
            errors.append(_wrong(f"{section}.{name}", value, wanted))


def _expected(annotation: Any, error: msgspec.ValidationError) -> str:
    wanted = expected(annotation)
    return wanted if not wanted.startswith("a list") else f"{wanted} ({error})"


def _wrong(name: str, value: Any, wanted: str) -> str:
    return f"{name} = {shortened(shown(value))}: it must be {wanted}"


def _suggestion(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    names = ", ".join(known)
    return f"; did you mean {close[0]}?" if close else f"; it must be one of {names}"


def _over(general: _Values, own: _Values) -> _Values:
    return {name: {**general.get(name, {}), **own.get(name, {})} for name in {**general, **own}}


def _claims(values: _Values) -> Claims:
    sections: dict[str, Any] = {}
    for field in structs.fields(Claims):
        if field.name in values:
            its = values[field.name]
            sections[field.name] = its[""] if field.name == "venue" else field.type(**its)
    return Claims(**sections)
