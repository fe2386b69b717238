"""The command ``foreshock``: runs a subcommand and reports a failure in one sentence."""

import os
import sys
from collections.abc import Sequence

from service.cli.arguments import parser
from service.errors import OperatorError

INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells: 128 plus the number of the signal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Raises
    ------
    SystemExit
        From the parser: after ``--help`` and ``--version``, and with 2 for a wrong command line.
    """
    arguments = parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
        sys.stdout.flush()
    except OperatorError as error:
        print(f"foreshock: {error}", file=sys.stderr)  # noqa: T201 - for the operator
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()  # the reader closed the pipe
        return 1
    except OSError as error:
        where = error.filename if error.filename is not None else "cannot write the output"
        print(f"foreshock: {where}: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        _discard_output()
        return 1
    return code


def _discard_output() -> None:
    """Keep the interpreter from flushing the rest of the output at exit; that would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
