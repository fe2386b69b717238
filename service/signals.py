"""Signals of a running service: none of them ends it before it has saved.

``asyncio`` takes its handlers away when the loop closes, and Python its own when it ends. A signal
that comes after that, or before the loop runs, would kill the process.
"""

import asyncio
import signal
from collections.abc import Callable


def hold_hangup() -> None:
    """Ignore SIGHUP until ``on_signal`` says what it does: the configuration is read anyway."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def on_signal(number: signal.Signals, action: Callable[[], None]) -> None:
    """Call ``action`` in the running loop at each signal, until ``ignore``."""
    loop = asyncio.get_running_loop()

    def handle(_number: int, _frame: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(action)

    signal.signal(number, handle)


def ignore() -> None:
    """Ignore these signals from now on: the process ends anyway."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
