"""Describes values and expected values in words, for settings and for events."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import msgspec
from msgspec import inspect

MAX_SHOWN = 60
"""The largest number of characters of a value in a message."""

NAMED = 8
"""The largest number of names in a message."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_CREDENTIALS = re.compile(r"//[^/@\s]+@")


def shortened(text: str) -> str:
    """Return the text without the credentials of a URL, cut to the length allowed in a message.

    >>> shortened("http://me:secret@example.com")
    'http://…@example.com'
    >>> shortened("x" * 100)[-3:]
    'xx…'
    """
    text = _CREDENTIALS.sub("//…@", text)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def printable(text: str) -> str:
    r"""Return the text with unprintable characters replaced by escapes.

    >>> printable("BTC\x1b[2J\u202e")
    'BTC\\x1b[2J\\u202e'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown_safely(text: str) -> str:
    """Return external text in a form fit for a message: printable and not too long."""
    return shortened(printable(text[: MAX_SHOWN + 1]))


def moment(ns: int, *, day: bool = False) -> str:
    """Format a time as UTC.

    >>> moment(1_800_000_000_000_000_000, day=True)
    '2027-01-15 08:00:00'
    """
    at = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}" if day else f"{at:%H:%M:%S}"


def named(names: Sequence[str]) -> str:
    """Return the first names as text fit for a message.

    >>> named(["a", "b"]), named([str(n) for n in range(99)])
    ('a, b', '0, 1, 2, 3, 4, 5, 6, 7, …')
    """
    few = [shown_safely(name) for name in names[:NAMED]]
    return ", ".join([*few, "…"] if len(names) > NAMED else few)


def shown(value: Any) -> str:
    """Return a value as TOML writes it; all printed settings pass through this function.

    >>> shown(["BTC-*", True, {"from": 1}])
    '["BTC-*", true, {from = 1}]'
    """
    match value:
        case bool():
            return str(value).lower()
        case str():
            return msgspec.json.encode(value).decode()
        case date() | time():
            return value.isoformat()
        case list() | tuple():
            return f"[{', '.join(map(shown, value))}]"
        case dict():
            return f"{{{', '.join(f'{_key(key)} = {shown(item)}' for key, item in value.items())}}}"
        case _:
            return str(value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else shown(key)


def expected(annotation: Any) -> str:
    """Describe the values that an annotated type allows: their kind and their bounds.

    >>> from typing import Annotated, Literal
    >>> from msgspec import Meta
    >>> expected(Annotated[float, Meta(gt=0, le=10_000)] | None)
    'a number above 0, at most 10000'
    >>> expected(Literal["buy", "sell"])
    'one of "buy", "sell"'
    """
    return _expected(inspect.type_info(annotation))


def _expected(info: inspect.Type) -> str:  # noqa: PLR0911 - one return per kind
    match info:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            return str(extra["description"]) if extra else _expected(inner)
        case inspect.UnionType(types=types):
            return next(_expected(t) for t in types if not isinstance(t, inspect.NoneType))
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(f'"{value}"' for value in values)
        case inspect.IntType():
            return "a whole number" + _bounds(info)
        case inspect.FloatType():
            return "a number" + _bounds(info)
        case inspect.StrType(min_length=low, max_length=high) if high is not None:
            return f"text of {low or 0} to {high} characters"
        case inspect.BoolType():
            return "true or false"
        case inspect.VarTupleType(min_length=low):
            return f"a list of {low} or more objects" if low else "a list of objects"
        case inspect.CustomType():
            return "a secret text"
        case _:
            return "text"


def _bounds(info: inspect.IntType | inspect.FloatType) -> str:
    low = ""
    if info.gt is not None:
        low = f" above {_number(info.gt)}"
    elif info.ge is not None:
        low = f" from {_number(info.ge)}"
    if info.lt is not None:
        return f"{low} and below {_number(info.lt)}" if low else f" below {_number(info.lt)}"
    if info.le is None:
        return low
    return (
        f"{low} to {_number(info.le)}"
        if info.ge is not None
        else f"{low}, at most {_number(info.le)}"
    )


def _number(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:.15g}"
