"""The state machine of a kill switch: pure functions from a memory and a moment to a memory.

Stricter is at once: what delays it would keep a market open in a crash. Less strict is slow: after
`COOLING_NS` without evidence for the state, not before `DWELL_NS` in it, and not after
`MAX_MOVES_AN_HOUR` automatic transitions within an hour. So the guard bounds flapping, and never
prevents a trip. A state that was left too early too often waits for an operator, or for a day.

The conditions stay as they are between two steps. A wait that ends in between has its effect at its
own time. So the records do not depend on when the machine is asked.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from detectors.kill_switch.conditions import (
    CALM,
    Conditions,
    described,
    level_to_enter,
    level_to_hold,
)
from detectors.kill_switch.table import LEVELS, TABLE, State, Trigger

SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS
DAY_NS = 24 * HOUR_NS

COOLING_NS = 300 * SECOND_NS
"""The time without evidence for a state after which it is left."""

DWELL_NS = 60 * SECOND_NS
"""The least time in a state before it is left for a less strict one."""

MAX_MOVES_AN_HOUR = 3
"""The number of automatic transitions within an hour after which no state is left for a less
strict one."""

FLAP_NS = HOUR_NS
"""A stricter state within this time after a less strict one was entered automatically is a flap."""

MAX_FLAPS_A_DAY = 3
"""The number of flaps within a day after which only an operator leaves a state, until the day is
over."""

LASTING_NS = 120 * SECOND_NS
"""How long a state other than armed lasts without a further record."""

RENEWAL_NS = LASTING_NS // 2
"""The time that is left of it when it is renewed."""

FLOOR_OF_A_TRIP = LEVELS["reduce_only"]
"""What an operator has tripped is not less strict than this before an operator re-arms it."""

AUTOMATIC = "foreshock"
"""Who moves a switch without an operator."""

Action = Literal["trip", "hold", "rearm"]
Cause = Literal["started", "transition", "renewal", "command", "drill", "reaffirmed", "heartbeat"]
"""Why a record is published."""

_BY_LEVEL: dict[int, Trigger] = {1: "caution", 2: "reduce_only", 3: "tripped"}


class Memory(Struct, frozen=True):
    """Everything that a switch remembers.

    Attributes
    ----------
    state, since_ns
        The state, and when it began.
    now_ns
        The moment up to which everything is processed.
    conditions
        The evidence since then.
    below_ns
        Since when the evidence has not called for caution, reduce_only and tripped; 0: it does.
    accepted
        The level of the evidence that an operator accepted by re-arming. It falls with the
        evidence.
    floor
        The level below which only an operator goes.
    moves_ns, flaps_ns
        The automatic transitions of the last hour, and the flaps of the last day.
    eased_ns
        The last automatic transition to a less strict state; 0 without one.
    until_ns
        When the state ends without a further record; 0: it does not.
    reason, alert_id, by
        Why the state began, the alert behind it ("" without), and who began it.
    commands
        The ids of the last commands that were applied: none is applied twice.
    """

    state: State = "armed"
    since_ns: int = 0
    now_ns: int = 0
    conditions: Conditions = CALM
    below_ns: tuple[int, int, int] = (1, 1, 1)
    accepted: int = 0
    floor: int = 0
    moves_ns: tuple[int, ...] = ()
    flaps_ns: tuple[int, ...] = ()
    eased_ns: int = 0
    until_ns: int = 0
    reason: str = "nothing has happened yet"
    alert_id: str = ""
    by: str = AUTOMATIC
    commands: tuple[str, ...] = ()


def manual_only(memory: Memory, now_ns: int) -> bool:
    """Whether only an operator leaves the state, because it flapped."""
    return sum(now_ns - flap < DAY_NS for flap in memory.flaps_ns) >= MAX_FLAPS_A_DAY


def eases_ns(memory: Memory) -> int | None:
    """Return when the state is left for a less strict one if the evidence stays; None if never."""
    level = LEVELS[memory.state]
    if not 0 < level <= len(memory.below_ns) or level <= memory.floor:
        return None
    below_ns = memory.below_ns[level - 1]
    if not below_ns:
        return None
    waits = [below_ns + COOLING_NS, memory.since_ns + DWELL_NS, memory.now_ns]
    # The state is left when the oldest of the last moves, or flaps, no longer counts.
    waits += [at + HOUR_NS for at in memory.moves_ns[-MAX_MOVES_AN_HOUR:][:1]] * (
        len(memory.moves_ns) >= MAX_MOVES_AN_HOUR
    )
    waits += [at + DAY_NS for at in memory.flaps_ns[-MAX_FLAPS_A_DAY:][:1]] * (
        len(memory.flaps_ns) >= MAX_FLAPS_A_DAY
    )
    return max(waits)


def next_ns(memory: Memory) -> int | None:
    """Return when the next change is due if nothing else happens; None if none is."""
    due = [at for at in (eases_ns(memory), memory.conditions.next_end_ns) if at]
    return min(due, default=None)


def advance(memory: Memory, to_ns: int) -> tuple[Memory, list[Memory]]:
    """Let time pass with the same evidence.

    Returns
    -------
    tuple
        The memory afterwards, and the memory after each transition. ``now_ns`` is that of the last
        change, which may be earlier than ``to_ns``.
    """
    moves: list[Memory] = []
    while True:
        ends_ns = memory.conditions.next_end_ns
        eases = eases_ns(memory)
        if ends_ns and ends_ns <= to_ns and (eases is None or ends_ns <= eases):
            memory = _assessed(replace(memory, now_ns=max(ends_ns, memory.now_ns)), "", "")
        elif eases is not None and eases <= to_ns:
            memory = _eased(memory, eases)
            moves.append(memory)
        else:
            return memory, moves


def step(
    memory: Memory, conditions: Conditions, now_ns: int, detail: str = "", alert_id: str = ""
) -> tuple[Memory, list[tuple[Cause, Memory]]]:
    """Process the evidence at a moment.

    Parameters
    ----------
    memory
        The memory before.
    conditions
        The evidence from ``now_ns`` on.
    now_ns
        The moment. One that is processed already changes nothing.
    detail, alert_id
        A sentence about the evidence, and the alert behind it; "" without.

    Returns
    -------
    tuple
        The memory afterwards, and for each record that is due its cause and memory.
    """
    if now_ns <= memory.now_ns:
        return memory, []
    # What was due by now happens first, with the evidence that stood until now.
    memory, moves = advance(memory, now_ns - 1)
    due: list[tuple[Cause, Memory]] = [("transition", move) for move in moves]
    memory = replace(memory, conditions=conditions, now_ns=now_ns)
    state = memory.state
    memory = _assessed(memory, detail, alert_id)
    if memory.state != state:
        due.append(("transition", memory))
    memory, moves = advance(memory, now_ns)
    due += [("transition", move) for move in moves]
    if memory.until_ns and memory.until_ns - now_ns < RENEWAL_NS:
        memory = replace(memory, until_ns=now_ns + LASTING_NS)
        due.append(("renewal", memory))
    return memory, due


def command(
    memory: Memory, action: Action, now_ns: int, by: str, reason: str
) -> tuple[Memory, list[tuple[Cause, Memory]]]:
    """Apply a command of an operator; like `step`. The last record is its answer.

    Parameters
    ----------
    memory
        The memory before.
    action
        The command.
    now_ns
        The moment; at least that of the memory.
    by, reason
        The name of the operator, and the reason that he gives.
    """
    now_ns = max(now_ns, memory.now_ns)
    memory, moves = advance(memory, now_ns)
    state = TABLE[memory.state, action]
    memory = replace(
        memory,
        state=state,
        since_ns=memory.since_ns if state == memory.state else now_ns,
        now_ns=now_ns,
        until_ns=0 if state == "armed" else now_ns + LASTING_NS,
        reason=f"{_PAST[action]} by {by}: {reason}",
        by=by,
        alert_id="",
    )
    if action == "trip":
        memory = replace(memory, floor=FLOOR_OF_A_TRIP)
    elif action == "rearm":
        accepted = level_to_hold(memory.conditions.at(now_ns))
        memory = replace(memory, accepted=accepted, floor=0, moves_ns=(), flaps_ns=(), eased_ns=0)
    return memory, [*(("transition", move) for move in moves), ("command", memory)]


_PAST = {"trip": "tripped", "hold": "held", "rearm": "re-armed"}


def _assessed(memory: Memory, detail: str, alert_id: str) -> Memory:
    """Return the memory after a change of the evidence at ``memory.now_ns``."""
    now_ns = memory.now_ns
    conditions = memory.conditions.at(now_ns)
    holds = level_to_hold(conditions)
    first, second, third = (
        0 if holds >= level else since or now_ns
        for level, since in zip((1, 2, 3), memory.below_ns, strict=True)
    )
    memory = replace(
        memory,
        conditions=conditions,
        below_ns=(first, second, third),
        accepted=min(memory.accepted, holds),
    )
    level = level_to_enter(conditions)
    if level <= max(LEVELS[memory.state], memory.accepted):
        return memory
    flapped = memory.eased_ns and now_ns - memory.eased_ns < FLAP_NS
    reason = described(conditions)
    return replace(
        _moved(memory, _BY_LEVEL[level], now_ns),
        flaps_ns=_recent((*memory.flaps_ns, now_ns), now_ns, DAY_NS)
        if flapped
        else memory.flaps_ns,
        reason=f"{reason}; {detail}" if detail else reason,
        alert_id=alert_id,
    )


def _eased(memory: Memory, now_ns: int) -> Memory:
    """Return the memory after the state is left for a less strict one."""
    state = memory.state
    calm_ns = memory.below_ns[0]
    calm = bool(calm_ns) and calm_ns + COOLING_NS <= now_ns
    moved = _moved(replace(memory, now_ns=now_ns), "calm" if calm else "eased", now_ns)
    waited = (now_ns - memory.below_ns[LEVELS[state] - 1]) // SECOND_NS
    return replace(
        moved,
        eased_ns=now_ns,
        flaps_ns=_recent(memory.flaps_ns, now_ns, DAY_NS),
        reason=f"nothing has called for {state} for {waited} s"
        if memory.below_ns[LEVELS[state] - 1] > 1
        else f"nothing calls for {state}",
        alert_id=memory.alert_id,
    )


def _moved(memory: Memory, trigger: Trigger, now_ns: int) -> Memory:
    """Return the memory after an automatic transition."""
    state = TABLE[memory.state, trigger]
    return replace(
        memory,
        state=state,
        since_ns=now_ns,
        now_ns=now_ns,
        moves_ns=_recent((*memory.moves_ns, now_ns), now_ns, HOUR_NS),
        until_ns=0 if state == "armed" else now_ns + LASTING_NS,
        by=AUTOMATIC,
    )


def _recent(times_ns: tuple[int, ...], now_ns: int, span_ns: int) -> tuple[int, ...]:
    return tuple(at for at in times_ns if now_ns - at < span_ns)
