"""The command ``foreshock``: runs what was asked for, and tells failures in a sentence."""

import os
import sys
from collections.abc import Sequence

from service.cli.arguments import parser
from service.errors import OperatorError

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it: 128 and the signal's number."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    Raises
    ------
    SystemExit
        From the parser: after ``--help`` and ``--version``, and with 2 on a wrong command line.
    """
    arguments = parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
        sys.stdout.flush()
    except OperatorError as error:
        print(f"foreshock: {error}", file=sys.stderr)  # noqa: T201 - what the operator reads
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough; the interpreter must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
