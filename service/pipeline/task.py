"""One partition: its topics aligned, its symbols watched, and what must be kept of both.

Nothing here waits or does I/O: records' events go in, alerts, signals and snapshots come out, and
the shell around it moves them. Replay from files and a Kafka consumer share it.
"""

import sys
from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter

from msgspec import Struct

from detectors.detector import Detector
from detectors.incidents.alerts import Alert
from detectors.incidents.kill_switch import kill_switch
from detectors.incidents.kind import of_market
from detectors.judging.peers import HOUR_NS, PeerPriors, priors_from_peers
from detectors.market_data.events import Event
from detectors.parameters import Parameters
from detectors.state import SymbolState, capture, revive
from detectors.symbol import SymbolMonitor
from service.pipeline.admission import IDLE_NS, Admitted, BookRoom, expendable, newcomers
from service.pipeline.align import Aligner, Position, StreamPosition
from service.pipeline.arrivals import Arrivals, moving_since
from service.pipeline.output import AlertKey, Output, PublishedUntil, Tally, alert_key

_ts_event = attrgetter("ts_event")


class Snapshot(Struct, frozen=True):
    """A symbol's state, and how far the partition had come with it."""

    symbol: str
    position: Position
    state: SymbolState


class PartitionTask:
    """Watches the symbols of one partition number.

    Parameters
    ----------
    streams
        The topics that are read, in the order that decides between events of the same time.
    parameters
        How symbols are watched.
    detectors
        The detectors that watch them.
    max_disorder_ns
        How much older than its topic's newest an event may be without being late.
    max_symbols
        The most symbols watched from one bar to the next. ``service.pipeline.admission`` decides
        which ones.
    max_orders, max_waiting
        See ``BookRoom`` and ``Aligner``.
    tally
        Where to count.
    borrowed
        What a new symbol borrows while it has too few peers here to learn from.
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
        priors: PeerPriors | None = None,
    ) -> None:
        self.aligner = Aligner(streams, max_disorder_ns, max_waiting)
        self.parameters = parameters
        self.detectors = detectors
        self.max_symbols = max_symbols
        self._book_room = BookRoom(max_orders)
        self.tally = tally
        self._default_priors: PeerPriors = priors or {}
        self._peer_priors: tuple[int, PeerPriors] = (-1, {})
        # In the order of the last bar with events; within one, of the first event.
        self.monitors: dict[str, SymbolMonitor] = {}
        # The symbols with events in each bar that is still open, by the bar's end.
        self._open_bars: dict[int, dict[str, None]] = {}
        self._arrivals = Arrivals(parameters.bar_ns)
        self._with_incident: dict[str, None] = {}
        # Where each symbol that changed since its last snapshot could be rebuilt from.
        self._unsaved: dict[str, Position] = {}
        self._saving: dict[str, Position] = {}
        self._resumed: dict[str, Position] = {}
        self._published: frozenset[AlertKey] = frozenset()
        self._published_until = PublishedUntil()
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
    ) -> None:
        """Take the events of the records [first_offset, next_offset) of a topic.

        ``offsets`` are the events' own, needed only where records between them held no event.
        ``arrived_ms`` are the records' timestamps in the log, in milliseconds; where there is no
        log, nothing is said of delays.
        """
        own = offsets if offsets is not None else range(first_offset, next_offset)
        if self._resumed:
            self._feed_again(stream, events, first_offset, next_offset, own)
        else:
            self.aligner.feed(stream, events, first_offset=first_offset, next_offset=next_offset)
        if arrived_ms is not None and events:
            self._arrivals.note(stream, events, own, arrived_ms, self.aligner.fed_places)

    def _feed_again(
        self,
        stream: str,
        events: Sequence[Event],
        first_offset: int,
        next_offset: int,
        own: Sequence[int],
    ) -> None:
        """Take records of which some may have been read before the restart."""
        resumed = self._resumed

        def replayed(i: int, place_ns: int) -> int | None:
            position = resumed.get(events[i].symbol)
            if position is None or place_ns >= position.watermark_ns:
                return place_ns
            # A topic that came after the snapshot was not read for it.
            its = position.streams.get(stream)
            if its is not None and own[i] < its.read:
                return None
            # Time must not go back for a state that is past this already: the event is late.
            return position.watermark_ns

        self.tally.skipped += self.aligner.feed(
            stream, events, first_offset=first_offset, next_offset=next_offset, replayed=replayed
        )
        self._forget_passed()

    def advance(self) -> Output:
        """Apply what the alignment releases and close the bars that are over."""
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
                self._newest_bar = bar_end
                self._evict(output)
            open_bar = self._open_bars.setdefault(bar_end, {})
            touched = Admitted(partial(self._admit, bar_end // HOUR_NS, open_bar))
            for event in run:
                touched[event.symbol].apply(event)
            self.tally.released += len(run)
            self.tally.unwatched += touched.refused
            open_bar.update(dict.fromkeys(touched))
            for symbol in touched:
                self._unsaved.setdefault(symbol, before)
            for symbol in self._book_room.trim(self.monitors, len(run)):
                self._unsaved.setdefault(symbol, before)
            start = stop
        self._close_bars(watermark_ns, before, output)
        self._forget_passed()
        return output

    def _admit(self, hour: int, open_bar: Container[str], symbol: str) -> SymbolMonitor | None:
        """The monitor of a symbol with an event in the open bar; None where there is no room."""
        monitor = self.monitors.get(symbol)
        if monitor is None:
            if len(self.monitors) >= self.max_symbols + newcomers(self.max_symbols):
                return None
            monitor = SymbolMonitor(
                symbol,
                self.parameters,
                self.detectors,
                self.tally.market,
                self._priors_from_peers(hour),
            )
        elif symbol not in open_bar:
            del self.monitors[symbol]
        self.monitors[symbol] = monitor
        return monitor

    def _priors_from_peers(self, hour: int) -> PeerPriors:
        """The priors of a symbol that is admitted in an hour, from the symbols that are watched."""
        if self._peer_priors[0] != hour:
            recorded = {symbol: monitor.hourly_priors for symbol, monitor in self.monitors.items()}
            pooled = priors_from_peers(recorded, hour)
            self._peer_priors = (hour, {**self._default_priors, **pooled})
        return self._peer_priors[1]

    def _evict(self, output: Output) -> None:
        """Forget the symbols that are beyond the bound as a bar begins."""
        idle_bar = (self._newest_bar - IDLE_NS) // self.parameters.bar_ns
        for symbol in expendable(self.monitors, self.max_symbols, idle_bar):
            del self.monitors[symbol]
            for bar in self._open_bars.values():
                bar.pop(symbol, None)
            self._unsaved.pop(symbol, None)
            self.tally.evicted_symbols += 1
            output.forgotten.append(symbol)

    def _close_bars(self, until_ns: int, before: Position, output: Output) -> None:
        """Close every open bar that ends by ``until_ns``, and resolve what has been quiet.

        Both change a symbol that may have been saved since its last event: ``before`` is from where
        the change could be made again.
        """
        for bar_end in sorted(end for end in self._open_bars if end <= until_ns):
            symbols = self._open_bars.pop(bar_end)
            delays = self._arrivals.take(bar_end)
            # Those that come back now have been silent until a bar ago.
            self._check_silence(symbols, bar_end - self.parameters.bar_ns, before, output)
            for symbol in symbols:
                monitor = self.monitors[symbol]
                self._unsaved.setdefault(symbol, before)
                signal, alerts = monitor.close_bar(bar_end, delays)
                assert monitor.bar is not None
                output.bars.append((monitor.bar, signal))
                if bar_end > self._published_until.signals_until_ns:
                    output.signals.append(signal)
                self._trip(monitor, bar_end, alerts, output)
                self._emit(monitor, alerts, output)
            self._check_silence(self.monitors, bar_end, before, output)
        for symbol in list(self._with_incident):
            monitor = self.monitors[symbol]
            alerts = monitor.resolve(until_ns)
            if alerts:
                self._unsaved.setdefault(symbol, before)
                self._trip(monitor, None, alerts, output)
            self._emit(monitor, alerts, output)

    def _check_silence(
        self, symbols: Iterable[str], at_ns: int, before: Position, output: Output
    ) -> None:
        """Find which of these symbols are silent while others move."""
        monitors = self.monitors
        due = [its for s in symbols if (its := monitors[s]).feed.checks.due_ns <= at_ns]
        if not due:
            return
        since_ns = moving_since(monitors.values(), at_ns)
        for monitor in due:
            alerts = monitor.feed.check_silence(at_ns, since_ns)
            if monitor.feed.active:
                self._unsaved.setdefault(monitor.symbol, before)
                self._emit(monitor, alerts, output)

    def _trip(
        self, monitor: SymbolMonitor, bar_end: int | None, alerts: list[Alert], output: Output
    ) -> None:
        """Turn the kill switch, after a bar or after what has resolved: a feed is no reason to."""
        market = [alert for alert in alerts if of_market(alert.detector)]
        if bar_end is None and not market:
            return
        ts_event = bar_end if bar_end is not None else market[-1].ts_event
        switch = kill_switch(
            monitor.symbol, monitor.incidents.open, ts_event, market, monitor.incidents.quiet_ns
        )
        if switch is not None and switch.ts_event > self._published_until.alerts_until_ns:
            output.switches.append(switch)

    def _emit(self, monitor: SymbolMonitor, alerts: list[Alert], output: Output) -> None:
        if monitor.with_incident:
            self._with_incident[monitor.symbol] = None
        else:
            self._with_incident.pop(monitor.symbol, None)
        for alert in alerts:
            key = alert_key(alert)
            if key in self._published or alert.ts_event <= self._published_until.alerts_until_ns:
                self.tally.withheld_alerts += 1
            else:
                output.alerts.append(alert)

    def open_alerts(self) -> list[Alert] | None:
        """The last alert of every incident that is open.

        None while it is not known: what was published before a restart is still being made again.
        """
        if self.aligner.watermark_ns < self._published_until.alerts_until_ns:
            return None
        alerts = [a for symbol in self._with_incident for a in self.monitors[symbol].open_alerts]
        # Its end may be out already, and be made again only by what is read next.
        ended = {its_id for its_id, status, _ in self._published if status == "resolved"}
        return [alert for alert in alerts if alert.alert_id not in ended]

    # What must be kept.

    def changed(self) -> list[str]:
        """The symbols that changed since their last snapshot and have none under way."""
        return [symbol for symbol in self._unsaved if symbol not in self._saving]

    def snapshot(self, symbol: str) -> Snapshot:
        """A symbol's state as it is now; ``saved`` or ``not_saved`` must follow."""
        self._saving[symbol] = self._unsaved.pop(symbol)
        position = self.aligner.position()
        open_bar = next((end for end, its in self._open_bars.items() if symbol in its), None)
        delays = self._arrivals.of(open_bar) if open_bar is not None else None
        return Snapshot(symbol, position, capture(self.monitors[symbol], open_bar, delays))

    def saved(self, symbol: str) -> None:
        """The snapshot that was under way is kept for good."""
        del self._saving[symbol]

    def not_saved(self, symbol: str) -> None:
        """The snapshot that was under way came to nothing: the symbol is to be saved still."""
        position = self._saving.pop(symbol)
        if symbol in self.monitors:
            self._unsaved[symbol] = position

    def save_all(self) -> None:
        """Every symbol is to be saved anew: the snapshots that there were are gone."""
        here = self.aligner.position()
        for symbol in self.monitors.keys() - self._saving.keys():
            self._unsaved.setdefault(symbol, here)

    def resume_position(self) -> Position:
        """From where, with the snapshots that were saved, everything could be rebuilt."""
        here = self.aligner.position()
        watermark_ns = here.watermark_ns
        streams = dict(here.streams)
        for position in (*self._unsaved.values(), *self._saving.values()):
            watermark_ns = min(watermark_ns, position.watermark_ns)
            for stream, its in position.streams.items():
                if its.start < streams[stream].start:
                    streams[stream] = its
        return Position(watermark_ns, streams)

    def resume(
        self,
        start: Mapping[str, StreamPosition],
        snapshots: Iterable[Snapshot],
        muted: PublishedUntil,
        published: Iterable[AlertKey] = (),
    ) -> None:
        """Take up where a task left off, before anything is fed.

        What is ``published`` or ``muted`` is out already and is not given out again.
        """
        self.aligner.seek(start)
        for snapshot in sorted(snapshots, key=lambda its: its.state.progress.bar_index):
            symbol = snapshot.symbol
            monitor = revive(
                symbol, snapshot.state, self.parameters, self.detectors, self.tally.market
            )
            open_bar = snapshot.state.open_bar
            self.monitors[symbol] = monitor
            self._resumed[symbol] = snapshot.position
            if open_bar is not None:
                self._open_bars.setdefault(open_bar, {})[symbol] = None
                self._arrivals.restore(open_bar, snapshot.state.delays)
            if monitor.with_incident:
                self._with_incident[symbol] = None
        self._published = frozenset(published)
        self._published_until = muted

    @property
    def resuming(self) -> bool:
        """Whether records are still being read that were read before."""
        return bool(self._resumed)

    def _forget_passed(self) -> None:
        """Drop the positions of a restart once every topic has been read beyond them.

        Time too: a topic that was silent may yet bring something from before.
        """
        if not self._resumed:
            return
        here_ns = self.aligner.watermark_ns
        if all(position.watermark_ns <= here_ns for position in self._resumed.values()) and all(
            its.read <= self.aligner.read(stream)
            for position in self._resumed.values()
            for stream, its in position.streams.items()
            if self.aligner.reads(stream)
        ):
            self._resumed = {}
