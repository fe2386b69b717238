"""One partition: aligns its topics, watches its symbols, and provides their states for snapshots.

This module does no I/O and never waits. Events enter; alerts, signals and snapshots leave; the
caller moves them. Replay from files and the Kafka session share it.
"""

import sys
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter

from detectors.closing import Closing, Columns
from detectors.detector import Detector
from detectors.incidents.alerts import Alert
from detectors.market_data.events import Event
from detectors.parameters import Parameters
from detectors.scorer import Verdict
from detectors.state import capture
from detectors.symbol import SymbolMonitor
from service.pipeline import admission
from service.pipeline.admission import IDLE_NS, Admitted, BookLimit
from service.pipeline.align import Aligner, Position, StreamPosition, earliest
from service.pipeline.arrivals import Arrivals
from service.pipeline.emission import Emission
from service.pipeline.feedback import Feedback, Verdicts
from service.pipeline.output import AlertKey, Output, PublishedUntil, Tally
from service.pipeline.resuming import Resuming
from service.pipeline.set_aside import SetAside
from service.pipeline.silences import check_silence
from service.pipeline.snapshot import Snapshot, monitor_of
from service.pipeline.switches import Switches

MINUTE_NS = 60_000_000_000

NOT_WATCHED = "it is not watched: its detection failed"

_Delays = Mapping[str, float]
_ts_event = attrgetter("ts_event")


class PartitionTask:
    """Watches the symbols of one partition number.

    Parameters
    ----------
    streams
        The topics that are read, in the order that decides between events of the same time.
    parameters
        The parameters of the monitors.
    detectors
        The detectors that run on the symbols.
    max_disorder_ns
        How much older than the newest event of its topic an event may be without being late.
    max_symbols
        The largest number of symbols watched from one bar to the next.
        ``service.pipeline.admission`` selects the symbols.
    tally
        The counters to increment.
    max_orders, max_waiting
        See ``BookLimit`` and ``Aligner``.
    expired_retention_ns
        The event time after its expiry for which the state of a symbol is kept, in nanoseconds.
    sets_aside
        Whether an exception sets its symbol aside, see ``SetAside``. Otherwise it is raised.
    """

    def __init__(
        self,
        streams: Sequence[str],
        parameters: Parameters,
        detectors: tuple[Detector, ...],
        *,
        max_disorder_ns: int,
        max_symbols: int,
        tally: Tally,
        max_orders: int = sys.maxsize,
        max_waiting: int = sys.maxsize,
        expired_retention_ns: int = IDLE_NS,
        sets_aside: bool = False,
    ) -> None:
        self.aligner = Aligner(streams, max_disorder_ns, max_waiting)
        self.parameters = parameters
        self.detectors = detectors
        self._columns = Columns(parameters, detectors)
        self.max_symbols = max_symbols
        self.expired_retention_ns = expired_retention_ns
        self._book_limit = BookLimit(max_orders)
        self.tally = tally
        self.aside = SetAside(self._set_aside if sets_aside else None)
        # The monitors of symbols that were set aside since the last step.
        self._failed: list[SymbolMonitor] = []
        # Ordered by the last bar with events, and within a bar by the first event.
        self.monitors: dict[str, SymbolMonitor] = {}
        # The symbols with events in each open bar, by the end of the bar.
        self._open_bars: dict[int, dict[str, None]] = {}
        self._arrivals = Arrivals(parameters.bar_ns)
        self.emission = Emission(tally)
        self.switches = Switches()
        self._verdicts = Verdicts(tally.market)
        # From where each symbol that changed since its last snapshot can be rebuilt.
        self._unsaved: dict[str, Position] = {}
        self._saving: dict[str, Position] = {}
        self._resuming = Resuming()
        self._newest_bar = 0

    # Events in, output out.

    def feed(
        self,
        stream: str,
        events: Sequence[Event],
        *,
        first_offset: int,
        next_offset: int,
        offsets: Sequence[int] | None = None,
        arrived_ms: Sequence[int] | None = None,
        by_broker: bool = False,
    ) -> None:
        """Take the events of the records [first_offset, next_offset) of a topic.

        ``offsets`` are the offsets of the events, needed only if records between them held no
        event. ``arrived_ms`` are the Kafka timestamps of the records in milliseconds; None gives no
        delays. ``by_broker``: the broker set them, not the producers.
        """
        event_offsets = offsets if offsets is not None else range(first_offset, next_offset)
        replayed = (
            partial(self._resuming.place, stream, events, event_offsets) if self._resuming else None
        )
        self.tally.skipped += self.aligner.feed(
            stream,
            events,
            first_offset=first_offset,
            next_offset=next_offset,
            replayed=replayed,
            arrived_ms=arrived_ms,
            by_broker=by_broker,
        )
        if replayed is not None:
            self._resuming.end(self.aligner)
        if arrived_ms is not None and events:
            self._arrivals.note(stream, events, event_offsets, arrived_ms, self.aligner.fed_places)

    def advance(self) -> Output:
        """Apply the released events, and close the bars that are over."""
        output = Output()
        before = self.aligner.position()
        events = self.aligner.release()
        watermark_ns = self.aligner.watermark_ns
        bar_ns = self.parameters.bar_ns
        start = 0
        while start < len(events):
            bar_end = events[start].ts_event // bar_ns * bar_ns + bar_ns
            stop = bisect_left(events, bar_end, start, key=_ts_event)
            run = events[start:stop] if stop - start < len(events) else events
            self._close_bars(bar_end - bar_ns, before, output)
            if bar_end > self._newest_bar:
                minute_begins = bar_end // MINUTE_NS > self._newest_bar // MINUTE_NS
                self._newest_bar = bar_end
                self._evict(output, minute_begins)
            open_bar = self._open_bars.setdefault(bar_end, {})
            touched = Admitted(partial(self._admit, open_bar), self.aside)
            self.aside.contain_all(run, touched)
            self.tally.released += len(run)
            self.tally.unwatched += touched.refused
            open_bar.update(dict.fromkeys(touched))
            for symbol in touched:
                self._unsaved.setdefault(symbol, before)
            for symbol, excess in self._book_limit.excess(self.monitors, len(run)).items():
                self._unsaved.setdefault(symbol, before)
                self.aside.contain(symbol, self.monitors[symbol].book.evict, excess)
            start = stop
        self._close_bars(watermark_ns, before, output)
        self._resuming.end(self.aligner)
        output.set_aside, output.refused = self.aside.take()
        output.forgotten += output.set_aside
        for monitor in self._failed:
            self.emission.end(monitor, watermark_ns, NOT_WATCHED, output)
        self._failed = []
        self.switches.forget(output)
        self.tally.refused += len(output.refused)
        return output

    def _contain(self, symbol: str, step: Callable[..., None], *arguments: object) -> None:
        if symbol in self.monitors:  # else it was set aside a moment ago
            self.aside.contain(symbol, step, self.monitors[symbol], *arguments)

    def _set_aside(self, symbol: str) -> None:
        if symbol in self.monitors:
            self._failed.append(self.monitors[symbol])
        self._forget(symbol)

    def _forget(self, symbol: str) -> None:
        if symbol in self.monitors:
            self.monitors.pop(symbol).release()
        self.emission.with_incident.pop(symbol, None)
        for bar in self._open_bars.values():
            bar.pop(symbol, None)
        self._unsaved.pop(symbol, None)

    def rest(self, idle_ns: int) -> Output:
        """Resolve the incidents whose quiet time is over, although no event arrives.

        All topics have been idle for ``idle_ns`` nanoseconds of the wall clock. An open bar is
        closed first, because an alarm in it prolongs the incident; later events of this bar are
        late. The alerts do not depend on ``idle_ns``: the next event would cause the same alerts.
        """
        output = Output()
        now_ns = self.aligner.watermark_ns + idle_ns
        if idle_ns < self.parameters.quiet_ns:
            return output
        ends = [self.monitors[symbol].resolves_ns for symbol in self.emission.with_incident]
        if min(*ends, self.switches.due_ns, now_ns + 1) > now_ns:
            return output
        before = self.aligner.position()
        if self._open_bars:
            self.aligner.pass_to(max(self._open_bars))
            self._close_bars(self.aligner.watermark_ns, before, output)
        self._resolve_all(now_ns, before, output)
        self.switches.rest(now_ns, output)
        return output

    def _admit(self, open_bar: Container[str], symbol: str) -> SymbolMonitor | None:
        """Return the monitor of a symbol with an event in the open bar; None without room."""
        monitor = self.monitors.get(symbol)
        if monitor is None:
            if len(self.monitors) >= self.max_symbols + admission.newcomers(self.max_symbols):
                return None
            counts = self.tally.market
            monitor = SymbolMonitor(symbol, self.parameters, self.detectors, counts, self._columns)
        elif symbol not in open_bar:
            del self.monitors[symbol]
        self.monitors[symbol] = monitor
        return monitor

    def _evict(self, output: Output, minute_begins: bool) -> None:
        """Drop symbols above the limit, or expired long ago, when a bar begins."""
        idle_bar = (self._newest_bar - IDLE_NS) // self.parameters.bar_ns
        evicted = admission.symbols_to_evict(self.monitors, self.max_symbols, idle_bar)
        self.tally.evicted_symbols += len(evicted)
        gone_ns = self._newest_bar - self.expired_retention_ns
        gone = admission.expired(self.monitors, gone_ns, evicted) if minute_begins else []
        for symbol in (*evicted, *gone):
            self._forget(symbol)
            output.forgotten.append(symbol)

    def _close_bars(self, until_ns: int, before: Position, output: Output) -> None:
        """Close every open bar that ends by ``until_ns``, and resolve incidents that are quiet.

        Both change symbols that may have been saved since their last event: from the position
        ``before``, the change can be repeated.
        """
        for bar_end in sorted(end for end in self._open_bars if end <= until_ns):
            symbols = self._open_bars.pop(bar_end)
            delays = self._arrivals.take(bar_end)
            # Symbols that return in this bar were silent until its start.
            self._check_silence(symbols, bar_end - self.parameters.bar_ns, before, output)
            self._close_bar(bar_end, dict.fromkeys(symbols, delays), before, output)
            self._check_silence(self.monitors, bar_end, before, output)
            for symbol in self.switches.close_bar(bar_end, symbols, self.monitors, output):
                self._unsaved.setdefault(symbol, before)
        self._resolve_all(until_ns, before, output)

    def _close_bar(
        self, bar_end: int, delays: Mapping[str, _Delays], before: Position, output: Output
    ) -> None:
        """Close the bar of the symbols that ``delays`` names, with the record delays of each."""
        each = partial(self.aside.each, self.monitors)
        ended = each(delays, lambda its, of_it: its.end_bar(bar_end, of_it))
        summed = self.aside.at_once(self._columns.sum_up, ended)
        for symbol in summed:
            self._unsaved.setdefault(symbol, before)
        closings = each(summed, lambda its, sums: its.measure(ended[its.symbol], sums))
        verdicts = self.aside.at_once(self._columns.judge, closings)
        each(
            verdicts,
            lambda its, verdict: self._conclude(its, closings[its.symbol], verdict, output),
        )

    def _resolve_all(self, until_ns: int, before: Position, output: Output) -> None:
        """Resolve the incidents whose quiet time is over, in the order of their ends."""
        with_incident = self.emission.with_incident
        for symbol in sorted(with_incident, key=lambda s: self.monitors[s].resolves_ns):
            self._contain(symbol, self._resolve, until_ns, before, output)

    def _conclude(
        self, monitor: SymbolMonitor, closing: Closing, verdict: Verdict | None, output: Output
    ) -> None:
        signal, alerts = monitor.conclude(closing, verdict)
        self._verdicts.apply(monitor, alerts)
        output.bars.append((closing.bar, signal))
        if self.emission.takes_signals_of(closing.bar.ends_at):
            output.signals.append(signal)
        self.emission.emit(monitor, alerts, output)

    def _resolve(
        self, monitor: SymbolMonitor, until_ns: int, before: Position, output: Output
    ) -> None:
        alerts = monitor.resolve(until_ns)
        self._verdicts.apply(monitor, alerts)
        if alerts:
            self._unsaved.setdefault(monitor.symbol, before)
        self.emission.emit(monitor, alerts, output)

    def _check_silence(
        self, symbols: Iterable[str], at_ns: int, before: Position, output: Output
    ) -> None:
        """Find which of these symbols are silent while others are active."""
        for monitor, alerts in check_silence(self.monitors, symbols, at_ns, self._contain):
            self._unsaved.setdefault(monitor.symbol, before)
            self.emission.emit(monitor, alerts, output)

    def judge(self, feedback: Iterable[Feedback]) -> None:
        """Apply verdicts of operators, in their order; bars that close later feel them.

        A verdict that the state of its symbol contains already has no effect.
        """
        position = self.aligner.position()
        for its in feedback:
            if self._verdicts.take(its, self.monitors.get(its.symbol)):
                self._unsaved.setdefault(its.symbol, position)

    def open_alerts(self) -> list[Alert] | None:
        """Return the last alert of every open incident; None while that is unknown."""
        return self.emission.open_alerts(self.monitors, self.aligner.watermark_ns)

    # Snapshots.

    def changed(self) -> list[str]:
        """Return the symbols that changed since their last snapshot and have none in flight."""
        return [symbol for symbol in self._unsaved if symbol not in self._saving]

    def snapshot(self, symbol: str) -> Snapshot:
        """Return the current state of a symbol; ``saved`` or ``not_saved`` must follow."""
        self._saving[symbol] = self._unsaved.pop(symbol)
        position = self.aligner.position()
        open_bar = next((end for end, bar in self._open_bars.items() if symbol in bar), None)
        delays = self._arrivals.of(open_bar) if open_bar is not None else None
        state, switch = capture(self.monitors[symbol], open_bar, delays), self.switches.of(symbol)
        return Snapshot(symbol, position, state, switch)

    def saved(self, symbol: str) -> None:
        """Record that the snapshot in flight is stored."""
        del self._saving[symbol]

    def not_saved(self, symbol: str) -> None:
        """Record that the snapshot in flight was not stored: the symbol must still be saved."""
        position = self._saving.pop(symbol)
        if symbol in self.monitors:
            self._unsaved[symbol] = position

    def save_all(self) -> None:
        """Mark every symbol for saving: the existing snapshots are gone."""
        for symbol in self.monitors.keys() - self._saving.keys():
            self._unsaved.setdefault(symbol, self.aligner.position())

    def resume_position(self) -> Position:
        """Return the position from which the saved snapshots allow everything to be rebuilt."""
        return earliest(self.aligner.position(), (*self._unsaved.values(), *self._saving.values()))

    def revive(self, snapshot: Snapshot) -> SymbolMonitor:
        """Return a monitor that continues from a snapshot. Inconsistent content raises."""
        counts, columns = self.tally.market, self._columns
        return monitor_of(snapshot, self.parameters, self.detectors, counts, columns)

    def resume(
        self,
        start: Mapping[str, StreamPosition],
        snapshots: Iterable[Snapshot],
        published_until: PublishedUntil,
        published: Iterable[AlertKey] = (),
        monitors: Mapping[str, SymbolMonitor] | None = None,
    ) -> None:
        """Continue from the snapshots of another task, before anything is fed.

        Alerts in ``published``, and output up to ``published_until``, are not returned again.
        ``monitors`` are those that were made from the snapshots already.
        """
        revived = monitors or {}
        self.aligner.seek(start)
        for snapshot in sorted(snapshots, key=lambda snapshot: snapshot.state.progress.bar_index):
            symbol = snapshot.symbol
            monitor = revived[symbol] if symbol in revived else self.revive(snapshot)
            open_bar = snapshot.state.open_bar
            self.monitors[symbol] = monitor
            self._resuming.add(symbol, snapshot.position)
            if open_bar is not None:
                self._open_bars.setdefault(open_bar, {})[symbol] = None
                self._arrivals.restore(open_bar, snapshot.state.delays)
            if monitor.with_incident:
                self.emission.with_incident[symbol] = None
            self.switches.revive(symbol, snapshot.switch)
        self.switches.muted_until_ns = published_until.alerts_until_ns
        self.emission.published = frozenset(published)
        self.emission.until = published_until

    @property
    def resuming(self) -> bool:
        """Whether records are still read that were read before the restart."""
        return bool(self._resuming)
