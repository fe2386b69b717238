"""Secrets: passwords and keys from a setting, or from a file that a setting names.

A secret is never shown. Code that prints, logs or compares settings handles a ``Secret``. Only
``reveal`` returns the value, for the code that passes it to Kafka or to a token endpoint.
"""

from pathlib import Path
from typing import Any

from service.errors import ConfigurationError

HIDDEN = "(secret)"
MAX_FILE_BYTES = 65_536


class Secret:
    """A text whose value is hidden when it is printed.

    >>> Secret("hunter2"), f"{Secret('hunter2')}", bool(Secret(""))
    (Secret((secret)), '(secret)', False)
    """

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself."""
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


def decode_secret(kind: type, value: Any) -> Any:
    """Read a ``Secret``: the ``dec_hook`` for msgspec.

    Raises
    ------
    NotImplementedError
        ``kind`` is another type. msgspec expects this error for types that the hook cannot read.
    ValueError
        The value is not text.
    """
    if kind is not Secret:
        raise NotImplementedError(kind)
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("not text")  # noqa: TRY004 - msgspec turns it into its own error
    return Secret(value)


def encode_hidden(value: Any) -> Any:
    """Write a ``Secret`` without its value: the ``enc_hook`` for msgspec.

    Raises
    ------
    NotImplementedError
        The value has another type. msgspec expects this error for types that the hook cannot write.
    """
    if isinstance(value, Secret):
        return str(value)
    raise NotImplementedError(type(value))


def read_secret(key: str, value: Secret, file: str) -> Secret:
    """Return a secret from its setting, or from the file that a setting names.

    Each call reads the file again: you can replace a secret while the service runs. A line break
    at the end of the file is not part of the secret.

    Parameters
    ----------
    key
        Key of the setting. The setting for the file has the same key with ``_file`` after it.
    value, file
        Values of the two settings; at most one of them is set.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or it is empty.
    """
    if not file:
        return value
    if Path(file).exists() and not Path(file).is_file():  # a pipe would wait for its writer
        raise ConfigurationError(f"{key}_file: {file} is not a regular file")
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
        raise ConfigurationError(f"{key}_file: {file} is empty")
    return Secret(text)
