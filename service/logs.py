"""The log: structured, one line per event, on standard error by default.

Messages of this project (through structlog) and of its libraries (through ``logging``) have the
same form.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Literal

import structlog

from service.describe import printable
from service.log_writer import LogWriter

Format = Literal["auto", "json", "console"]

MAX_TEXT = 4_000
"""The most characters of a text in a message: libraries log whole records when one is refused."""


def configure(
    level: str,
    format: Format,  # noqa: A002 - the setting's own name
    stream: IO[str] | None = None,
    *,
    in_background: bool = False,
) -> None:
    """Set up the log of the whole process.

    Parameters
    ----------
    level
        The lowest level that is written: "debug", "info", "warning" or "error".
    format
        "json": one object per line. "console": for people. "auto": "console" on a terminal, "json"
        otherwise.
    stream
        The output stream; None for standard error.
    in_background
        Whether a thread writes the log, so that no caller waits for the reader of the log. Call
        ``drain`` at the end.
    """
    stream = sys.stderr if stream is None else stream
    to_terminal = stream.isatty()
    as_json = format == "json" or (format == "auto" and not to_terminal)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # Text from outside must not move the cursor of the reader. JSON escapes such text by itself.
    closing: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if as_json:
        closing += [
            structlog.processors.format_exc_info,
            _cut,
            structlog.processors.JSONRenderer(),
        ]
    else:
        plain = structlog.dev.plain_traceback
        closing += [
            _cut,
            _printable,
            structlog.dev.ConsoleRenderer(colors=to_terminal, exception_formatter=plain),
        ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(processors=closing, foreign_pre_chain=shared)
    handler: logging.Handler = logging.StreamHandler(stream)
    if in_background:
        handler = LogWriter(stream, lambda lines: formatter.format(_lines_dropped(lines)))
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("aiokafka.conn").addFilter(_without_credentials)
    if level == "info":
        # The info messages of aiokafka concern its internals; level "debug" shows them.
        logging.getLogger("aiokafka").setLevel(logging.WARNING)


def drain(seconds: float) -> None:
    """Wait until the messages logged in the background are written, at most ``seconds``."""
    for writer in _writers():
        writer.drain(seconds)


def dropped_lines() -> int:
    """Return the number of lines that were dropped because they could not be written."""
    return sum(writer.dropped for writer in _writers())


def _writers() -> list[LogWriter]:
    return [its for its in logging.getLogger().handlers if isinstance(its, LogWriter)]


def _lines_dropped(lines: int) -> logging.LogRecord:
    arguments = {
        "name": "foreshock.log",
        "levelno": logging.WARNING,
        "levelname": "WARNING",
        "msg": "log lines dropped: the log was not read, or could not be written (%d lines)",
        "args": (lines,),
    }
    return logging.makeLogRecord(arguments)


def _without_credentials(record: logging.LogRecord) -> bool:
    """Drop aiokafka's debug messages about requests that carry passwords or tokens."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    return not any(type(value).__name__.startswith("SaslAuth") for value in arguments)


def _cut(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep the beginning and the end of long texts; an exception's end says what it is."""
    half = MAX_TEXT // 2
    return {
        key: f"{value[:half]} … {value[-half:]}"
        if isinstance(value, str) and len(value) > MAX_TEXT
        else value
        for key, value in event.items()
    }


def _printable(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {
        key: printable(value) if isinstance(value, str) and key != "stack" else value
        for key, value in event.items()
    }


@contextmanager
def muted(*names: str) -> Iterator[None]:
    """Silence the named loggers while an error message of Foreshock describes the failure."""
    loggers = [logging.getLogger(name) for name in names]
    previous_levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, previous_levels, strict=True):
            logger.setLevel(level)
