"""Files that a command writes: an error names the option, the path, and what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from service.errors import OperatorError

_REMEDIES = {
    errno.ENOSPC: "free some space, or choose another place",
    errno.EDQUOT: "free some space, or choose another place",
    errno.EACCES: "choose a place that you may write to",
    errno.EPERM: "choose a place that you may write to",
    errno.EROFS: "choose a place that you may write to",
    errno.ENOENT: "choose a place in a directory that exists",
    errno.ENOTDIR: "choose a place in a directory",
    errno.EISDIR: "name a file, not a directory",
    errno.EEXIST: "name a directory, or one that does not exist yet",
}


@contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """Turn a failure to write into a sentence about an option of the command line.

    Raises
    ------
    OperatorError
        The path cannot be written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # the sentence says already what to do
            raise OperatorError(f"{option} {path}: {error}") from None
        remedy = _REMEDIES.get(error.errno, "choose another place")
        raise OperatorError(f"{option} {path}: cannot write: {error.strerror}; {remedy}") from None


class OutputFile:
    """A file that an option names; opened at once, so an error is found before the work begins.

    Raises
    ------
    OperatorError
        The file cannot be opened, written or closed.
    """

    def __init__(self, option: str, path: Path) -> None:
        self._option = option
        self._path = path
        with writing(option, path):
            self._file: IO[bytes] = path.open("wb")

    def write(self, content: bytes) -> None:
        """Write at the end of the file."""
        with writing(self._option, self._path):
            self._file.write(content)

    def close(self) -> None:
        """Write what is buffered, and close the file."""
        with writing(self._option, self._path):
            self._file.close()
