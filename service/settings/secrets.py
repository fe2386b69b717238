"""Secrets: passwords and keys that a setting gives, or a file that a setting names.

A secret is never shown. Whatever prints, logs or compares settings meets a ``Secret``, and only
who calls ``reveal`` has its value: the code that hands it to Kafka or to a token endpoint.
"""

from pathlib import Path
from typing import Any

from service.errors import ConfigurationError

HIDDEN = "(secret)"
MAX_FILE_BYTES = 65_536


class Secret:
    """A text that is not shown.

    >>> Secret("hunter2"), f"{Secret('hunter2')}", bool(Secret(""))
    (Secret((secret)), '(secret)', False)
    """

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __str__(self) -> str:
        return HIDDEN if self._value else ""

    def __repr__(self) -> str:
        return f"Secret({self})"


def to_secret(kind: type, value: Any) -> Any:
    """How msgspec is to read a ``Secret``: its ``dec_hook``.

    Raises
    ------
    NotImplementedError
        Another type is asked for: so msgspec wants to be told that there is no way to read it.
    ValueError
        It is no text.
    """
    if kind is not Secret:
        raise NotImplementedError(kind)
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("not text")  # noqa: TRY004 - what msgspec turns into its own error
    return Secret(value)


def hidden(value: Any) -> Any:
    """How msgspec is to write a ``Secret``: its ``enc_hook``. It is not shown there either.

    Raises
    ------
    NotImplementedError
        The value is of another type: so msgspec wants to be told that there is no way to write it.
    """
    if isinstance(value, Secret):
        return str(value)
    raise NotImplementedError(type(value))


def given(key: str, value: Secret, file: str) -> Secret:
    """A secret that is set as it is, or that stands in a file.

    The file is read anew each time, so that a secret may be replaced while the service runs. A
    line break at its end, which editors leave there, is not part of it.

    Parameters
    ----------
    key
        The setting's; the one for the file has ``_file`` after it.
    value, file
        What the two are set to; at most one of them is.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or there is nothing in it.
    """
    if not file:
        return value
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(MAX_FILE_BYTES + 1).decode()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(f"{key}_file: cannot read {file}: {reason}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{key}_file: {file} is not UTF-8 text") from None
    if len(text) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{key}_file: {file} is larger than {MAX_FILE_BYTES} bytes")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ConfigurationError(f"{key}_file: there is nothing in {file}")
    return Secret(text)
