"""The log of the kill switches that an operator trips with each halt, and arms again after it."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import count

from detectors.kill_switch.machine import AUTOMATIC, Cause
from detectors.kill_switch.switch import VALID_NS, KillSwitch, encode
from detectors.kill_switch.table import State
from service.exchange.controls import Episode

OPERATOR = "operator"
"""Who trips and arms."""


def switch_log(
    episodes: Iterable[Episode], symbols: Sequence[str], start_ns: int, *, rearms_itself: bool
) -> list[KillSwitch]:
    """The records of the switches of all symbols, in the order of time.

    Each is tripped when its halt begins, and armed when it ends: by the operator, or without one if
    ``rearms_itself``.
    """
    records: list[KillSwitch] = []
    for place, symbol in enumerate(symbols):
        numbers, previous = count(1), ""
        halts = [
            its
            for its in episodes
            if its.kind == "halt" and (its.symbols is None or place in its.symbols)
        ]
        for its in sorted(halts, key=lambda halt: halt.start_seconds):
            began = start_ns + int(its.start_seconds * 1e9)
            ended = start_ns + int(its.end_seconds * 1e9)
            changes: list[tuple[int, State, str, Cause, str]] = [
                (began, "tripped", OPERATOR, "command", "liquidations"),
                (ended, "armed", AUTOMATIC, "transition", "")
                if rearms_itself
                else (ended, "armed", OPERATOR, "command", "calm again"),
            ]
            for at, state, by, cause, reason in changes:
                record = KillSwitch(
                    symbol=symbol,
                    state=state,
                    ts_event=at,
                    until=None,
                    reason=reason,
                    alert_id="",
                    valid_until=at + VALID_NS,
                    since=at,
                    by=by,
                    cause=cause,
                    sequence=next(numbers),
                    previous=previous,
                )
                previous = sha256(encode(record)).hexdigest()
                records.append(record)
    return sorted(records, key=lambda its: (its.ts_event, its.symbol, its.sequence))
