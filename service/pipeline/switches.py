"""The kill switches of a partition: what the monitors of their symbols say, and their records."""

from collections.abc import Iterable, Mapping

import msgspec

from detectors.incidents.alerts import Severity
from detectors.incidents.market_wide import MARKET
from detectors.kill_switch.conditions import CALM, NEVER_NS, Conditions
from detectors.kill_switch.machine import Memory, manual_only
from detectors.kill_switch.switch import Heartbeat, KillSwitch, Switch, SwitchState
from detectors.kill_switch.table import State
from detectors.market_data.events import EARLIEST_NS, LATEST_NS
from detectors.symbol import SymbolMonitor
from service.pipeline.commands import Command
from service.pipeline.output import Output
from service.pipeline.written import Record

HEARTBEAT_KEY = "__heartbeat/"
"""The key of the heartbeats of a partition begins with this, and ends with its number."""


def conditions_of(monitor: SymbolMonitor, now_ns: int) -> Conditions:
    """Return what a monitor says about its symbol at a moment, without the liquidation ladder."""
    incident = monitor.incidents.open
    halted = monitor.trading.phase(now_ns) == "halted"
    tightened_until_ns = monitor.open_bar.limits.tightened_until_ns
    if incident is None and not halted and now_ns >= tightened_until_ns and not monitor.feed.active:
        return CALM
    flow_until_ns = 0
    if incident is not None and incident.alert.severity == "critical":
        flow_until_ns = monitor.incidents.resolves_ns
        expired_ns = monitor.trading.expired_ns(now_ns)
        if expired_ns is not None:
            flow_until_ns = min(flow_until_ns, expired_ns)
    if halted:
        tightened_until_ns = max(tightened_until_ns, monitor.trading.state.until_ns or NEVER_NS)
    return Conditions(
        flow_until_ns=flow_until_ns,
        tightened_until_ns=tightened_until_ns,
        distrusted_until_ns=monitor.feed.incidents.distrusted_until_ns,
    ).at(now_ns)


class Switches:
    """The kill switches of the symbols of a partition, and of the venue where it is partition 0.

    A switch is in the snapshot of its symbol, and its last record on the topic has its memory too:
    the later of both continues. So a trip outlives lost snapshots, and no record is repeated.

    Attributes
    ----------
    muted_until_ns
        Up to this event time, everything is published already.
    """

    def __init__(self) -> None:
        self.muted_until_ns = 0
        self._heartbeat = Heartbeat()
        self._switches: dict[str, Switch] = {}
        self._active: dict[str, None] = {}
        # The severity of the open `cascade` alert of each symbol.
        self._ladders: dict[str, Severity] = {}
        self._leaving: set[str] = set()
        self._reaffirms = False
        # How far event time was ahead of the clock at the last heartbeat of the owner before.
        self._ahead_ns: int | None = None

    # What happens.

    def close_bar(
        self,
        ends_at: int,
        symbols: Iterable[str],
        monitors: Mapping[str, SymbolMonitor],
        output: Output,
    ) -> list[str]:
        """Process the evidence at the end of a bar.

        Parameters
        ----------
        ends_at
            The end of the bar, in nanoseconds of event time.
        symbols
            The symbols with events in the bar.
        monitors
            The monitors of all symbols.
        output
            Takes the records that are due.

        Returns
        -------
        list of str
            The watched symbols whose switch has changed.
        """
        changed: list[str] = []
        for symbol in dict.fromkeys((*symbols, *sorted(self._active))):
            monitor = monitors.get(symbol)
            switch = self._switches.get(symbol)
            if switch is None:
                if monitor is None:
                    continue
                switch = self._switches[symbol] = Switch(symbol)
            elif monitor is not None:
                self._leaving.discard(symbol)
            conditions = CALM if monitor is None else conditions_of(monitor, ends_at)
            if severity := self._ladders.get(symbol):
                conditions = msgspec.structs.replace(
                    conditions,
                    ladder_warning=severity == "warning",
                    ladder_critical=severity == "critical",
                )
            if not switch.active and conditions == CALM and switch.is_published:
                continue
            before = switch.memory
            detail, alert_id = _evidence(monitor)
            # What is published already is not told again; without any record, the state is.
            tells = switch.is_published or ends_at > self.muted_until_ns
            due = switch.observe(conditions, ends_at, detail, alert_id, tells=tells)
            due += switch.start(ends_at) if tells else []
            output.switches += due
            if monitor is not None and (due or switch.memory.conditions != before.conditions):
                changed.append(symbol)
            self._note(switch)
        self._lift(output)
        return changed

    def note_ladders(self, severities: Mapping[str, Severity]) -> None:
        """Set the severity of the open ``cascade`` alert of each symbol that has one."""
        for symbol in self._ladders.keys() ^ severities.keys():
            if symbol in self._switches:
                self._active[symbol] = None
        self._ladders = dict(severities)

    def rest(self, now_ns: int, output: Output) -> None:
        """Add the transitions that are due although no event arrives."""
        for symbol in sorted(self._active):
            output.switches += self._switches[symbol].rest(now_ns)
            self._note(self._switches[symbol])
        self._lift(output)

    @property
    def due_ns(self) -> int:
        """When the next transition is due if nothing else happens; `LATEST_NS` if none is."""
        due = (self._switches[symbol].due_ns for symbol in self._active)
        return min((at for at in due if at is not None), default=LATEST_NS)

    def now_ns(self, watermark_ns: int, idle_ns: int, clock_ns: int) -> int:
        """Return the event time now, as far as it is known.

        Parameters
        ----------
        watermark_ns
            The event time up to which everything was read; before `EARLIEST_NS`: nothing ever was.
        idle_ns
            For how long nothing has been left to read, in nanoseconds; 0: something is.
        clock_ns
            The clock, in nanoseconds since 1970. It is the event time of a partition that never had
            an event. In a silent market it bridges the time in which no owner ran.
        """
        if watermark_ns < EARLIEST_NS:
            return clock_ns
        now_ns = watermark_ns + idle_ns
        if idle_ns and self._ahead_ns is not None:
            now_ns = max(now_ns, clock_ns + self._ahead_ns)
        return now_ns

    def beat(self, now_ns: int) -> list[KillSwitch]:
        """Return a heartbeat if one is due, with the states that must be told again before it."""
        heartbeat = self._heartbeat.beat(now_ns)
        if heartbeat is None:
            return []
        records = []
        for symbol in sorted(self._switches if self._reaffirms else self._active):
            switch = self._switches[symbol]
            if not switch.is_published:
                records += switch.start(now_ns)
            elif self._reaffirms:
                records += switch.reaffirm(now_ns)
            else:
                records += switch.renew(now_ns)
            self._note(switch)
        self._reaffirms = False
        return [*records, heartbeat]

    def command(self, command: Command, now_ns: int) -> list[KillSwitch] | None:
        """Apply a command of an operator; None if its symbol has no switch here."""
        switch = self._switches.get(command.symbol)
        if switch is None:
            return None
        its = (now_ns, command.by, command.reason, command.command_id)
        records = (
            switch.drill(*its) if command.action == "test" else switch.command(command.action, *its)
        )
        self._note(switch)
        return records

    def forget(self, output: Output) -> None:
        """Note which symbols are no longer watched; a switch stays until it is armed."""
        for symbol in output.forgotten:
            if symbol in self._switches:
                self._leaving.add(symbol)
                self._ladders.pop(symbol, None)
                self._note(self._switches[symbol])
        self._lift(output)

    def _lift(self, output: Output) -> None:
        """Drop the armed switches of symbols that are no longer watched."""
        for symbol in sorted(self._leaving):
            if self._switches[symbol].memory.state == "armed":
                self._leaving.discard(symbol)
                self._active.pop(symbol, None)
                del self._switches[symbol]
                output.lifted.append(symbol)

    def _note(self, switch: Switch) -> None:
        """Note whether anything is to be done for a switch as time passes."""
        if switch.active or not switch.is_published or switch.symbol in self._ladders:
            self._active[switch.symbol] = None
        else:
            self._active.pop(switch.symbol, None)

    # A restart, and what others see.

    def watch_venue(self) -> None:
        """Keep a switch of the whole venue. Only operators move it."""
        self._note(self._switches.setdefault(MARKET, Switch(MARKET)))

    def of(self, symbol: str) -> SwitchState | None:
        """Return the state of a symbol's switch for its snapshot."""
        switch = self._switches.get(symbol)
        return switch.snapshot if switch is not None else None

    def revive(self, symbol: str, state: SwitchState | None) -> None:
        """Continue a switch from the snapshot of its symbol, if that has it."""
        if state is None:
            return
        switch = self._switches[symbol] = Switch(symbol, state)
        self._recall(switch)

    def adopt(
        self, records: Iterable[Record], partition: int
    ) -> tuple[list[tuple[bytes, bytes]], int]:
        """Continue from the records of the topic where they are later.

        Returns
        -------
        tuple
            The keys and values of the records that are later, and the number of those that are no
            kill switch.
        """
        adopted: list[tuple[bytes, bytes]] = []
        refused = 0
        for record in records:
            key, value = record.key or b"", record.value
            if value is None:
                continue
            try:
                symbol = key.decode()
                if symbol == f"{HEARTBEAT_KEY}{partition}":
                    beat_ns = self._heartbeat.adopt(value)
                    self._ahead_ns = beat_ns - record.timestamp * 1_000_000
                    continue
                switch = self._switches.get(symbol) or Switch(symbol)
                if switch.adopt(value):
                    self._switches[symbol] = switch
                    self._recall(switch)
                    adopted.append((key, value))
            except (msgspec.MsgspecError, ValueError):
                refused += 1
        return adopted, refused

    def _recall(self, switch: Switch) -> None:
        conditions = switch.memory.conditions
        if conditions.ladder_critical or conditions.ladder_warning:
            severity: Severity = "critical" if conditions.ladder_critical else "warning"
            self._ladders[switch.symbol] = severity
        else:
            self._ladders.pop(switch.symbol, None)
        self._note(switch)

    def tell_again(self) -> None:
        """Publish every state again with the next heartbeat: another owner wrote in between."""
        self._reaffirms = True

    def state(self, symbol: str) -> State:
        """Return the state of a symbol's switch; armed if it has none."""
        switch = self._switches.get(symbol)
        return "armed" if switch is None else switch.memory.state

    @property
    def memories(self) -> dict[str, Memory]:
        """What each switch remembers."""
        return {symbol: switch.memory for symbol, switch in self._switches.items()}

    @property
    def states(self) -> dict[str, State]:
        """The state of each switch."""
        return {symbol: switch.memory.state for symbol, switch in self._switches.items()}

    def manual_only(self, now_ns: int) -> int:
        """Return the number of switches that only an operator makes less strict, by flapping."""
        return sum(manual_only(self._switches[symbol].memory, now_ns) for symbol in self._active)


def key_of(record: KillSwitch, partition: int) -> bytes:
    """Return the key of a record on the kill-switch topic."""
    if record.cause == "heartbeat":
        return f"{HEARTBEAT_KEY}{partition}".encode()
    return record.symbol.encode()


def _evidence(monitor: SymbolMonitor | None) -> tuple[str, str]:
    incident = monitor.incidents.open if monitor is not None else None
    if incident is None or incident.alert.severity != "critical":
        return "", ""
    return incident.alert.summary, incident.alert.alert_id
