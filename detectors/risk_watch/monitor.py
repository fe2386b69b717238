"""Follows the risk of liquidations of a venue in event time."""

from collections.abc import Iterable
from zlib import crc32

from msgspec.structs import replace

from detectors.incidents.alerts import Alert
from detectors.incidents.kind import CASCADE, CONTAGION
from detectors.incidents.market_wide import MARKET
from detectors.incidents.suppression import (
    NEVER,
    ReasonKind,
    Suppression,
    limits,
    maintenance_reason,
)
from detectors.incidents.suppressor import SuppressedAlarms
from detectors.market_data.book_summary import BookSummary, joined
from detectors.market_data.events import Margin, Position, Reference
from detectors.market_data.risk_events import Account, Insurance, Liquidation
from detectors.risk.ladder import Side
from detectors.risk.reduction import Reduction
from detectors.risk.venue_margins import backed_positions
from detectors.risk_watch.assessment import Assessment, Learned, assess
from detectors.risk_watch.cascade import Cascade
from detectors.risk_watch.co_movement import CoMovement
from detectors.risk_watch.contagion import Contagion, ToldSpread
from detectors.risk_watch.flow_history import SPAN_SECONDS, SPANS
from detectors.risk_watch.holdings import Holdings, is_cross
from detectors.risk_watch.liquidation_flow import Forced
from detectors.risk_watch.memory import Memory, learned_of, memory_is_due, memory_of
from detectors.risk_watch.output import RiskOutput
from detectors.risk_watch.predecessor import Predecessor
from detectors.risk_watch.records import RiskRecord
from detectors.risk_watch.report import risk_record
from detectors.risk_watch.settlement import of_face_values
from detectors.risk_watch.spread import spread_of
from detectors.risk_watch.withdrawals import SIDES, sigmas_of

SECOND_NS = 1_000_000_000
SPAN_NS = SPAN_SECONDS * SECOND_NS

RECORD_SECONDS = 10
"""A symbol's records are published in this interval, and with each alert. Each symbol has a second
of its own in it, so that the work is spread."""

WHOLE = Reduction("full")
"""Whole positions are closed: an upper bound where the venue's own rule is not known."""

RiskInput = Position | Margin | Reference | Account | Insurance | Liquidation


class RiskMonitor:
    """The risk of liquidations of a venue.

    Events and summaries come in the order of event time. A second is closed when something of a
    later one comes. What is published depends on the events alone.

    Parameters
    ----------
    max_positions, rule
        See `Holdings`.
    with_records
        Whether records are wanted; without them the output has alerts only.
    suppression
        The maintenance windows, in which incidents are held back; overrides do not matter.
    suppressed_alarms
        Counts the seconds in which an incident of `cascade` was held back, and the ten seconds of
        `contagion`.

    Attributes
    ----------
    holdings
        The positions, accounts and terms.
    learned
        What is learned of each symbol's flow and depth.
    books
        The last summary of each symbol's book.
    assessments
        The state of each symbol and side when it last changed.
    records
        The last published record of each symbol and side; empty without ``with_records``.
    cascades
        The incidents of the detector `cascade`.
    together
        How the symbols follow each other.
    contagion
        The incident of the detector `contagion`, and the last state that it was shown.
    closed_ns
        The end of the last closed second; 0 before the first event.
    liquidated
        What was liquidated of all symbols since this monitor has published.
    """

    def __init__(
        self,
        max_positions: int = 1_000_000,
        rule: Reduction = WHOLE,
        *,
        with_records: bool = True,
        suppression: Suppression = NEVER,
        suppressed_alarms: SuppressedAlarms | None = None,
    ) -> None:
        self.with_records = with_records
        self.suppression = suppression
        self.suppressed_alarms = {} if suppressed_alarms is None else suppressed_alarms
        self.holdings = Holdings(max_positions, rule)
        self.learned: dict[str, Learned] = {}
        self.books: dict[str, BookSummary] = {}
        self.assessments: dict[str, dict[Side, Assessment]] = {}
        self.records: dict[str, dict[Side, RiskRecord]] = {}
        self.cascades: dict[str, Cascade] = {}
        self.together = CoMovement()
        self.contagion = Contagion()
        self._summaries: dict[str, BookSummary] = {}
        self._changed: dict[str, None] = {}
        # The symbols whose record is due at the end of the interval.
        self._unpublished: dict[str, None] = {}
        self.closed_ns = 0
        self.liquidated = Forced()
        self._before = Predecessor()
        self._withholds = False

    @property
    def published_ns(self) -> int:
        """Up to where another monitor has published all; 0 if none has."""
        return self._before.published_ns

    @property
    def newest_memories(self) -> list[Memory]:
        """The newest memory that another monitor published of each symbol."""
        return [*self._before.memories.values()]

    @property
    def open_alerts(self) -> list[Alert]:
        """The last alert of each open incident."""
        alerts = [*(its.alert for its in self.cascades.values()), self.contagion.alert]
        return [alert for alert in alerts if alert is not None]

    def take(self, event: RiskInput) -> RiskOutput:
        """Take an event, and return what the seconds before it give."""
        output = self.close_until(event.ts_event)
        holdings = self.holdings
        if isinstance(event, Position):
            holdings.put_position(event)
            self._touch(event.symbol, cross=is_cross(event))
        elif isinstance(event, Reference):
            holdings.put_reference(event)
            # What an account loses in one symbol, it lacks in the others.
            self._touch(event.symbol, cross=holdings.has_cross)
        elif isinstance(event, Margin):
            holdings.put_margin(event)
            self._touch(event.symbol)
        elif isinstance(event, Account):
            holdings.put_account(event)
            self._touch(None)
        elif isinstance(event, Insurance):
            holdings.put_fund(event)
        else:
            self._liquidation(event)
        return output

    def _liquidation(self, its: Liquidation) -> None:
        holdings = self.holdings
        if its.symbol not in self.learned:
            self.learned[its.symbol] = Learned()
        learned = self.learned[its.symbol]
        held = holdings.quantity(its.account, its.symbol)
        inverse = bool(holdings.of(its.symbol).inverse)
        learned.liquidations.put(its, held, inverse=inverse)
        if its.ts_event >= self.closed_ns:  # newer than the last reference
            holdings.put_prices(its.symbol, its.mark_price, its.index_price)
            self._touch(its.symbol, cross=holdings.has_cross)

    def summarise(self, symbol: str, ends_at: int, summary: BookSummary) -> RiskOutput:
        """Take the summary of the bar that ends at ``ends_at``; return what is before it."""
        output = self.close_until(ends_at - 1)
        summary = self.in_quote_currency(symbol, summary)
        before = self._summaries.get(symbol)
        self._summaries[symbol] = summary if before is None else joined(before, summary)
        return output

    def in_quote_currency(self, symbol: str, summary: BookSummary) -> BookSummary:
        """Return the summary of a symbol's bar with its amounts as notional in quote currency."""
        return of_face_values(summary) if self.holdings.of(symbol).inverse else summary

    def resume(
        self,
        records: Iterable[RiskRecord],
        alerts: Iterable[Alert],
        memories: Iterable[Memory] = (),
    ) -> None:
        """Continue where another monitor stopped: withhold all output up to what it published.

        Parameters
        ----------
        records, alerts, memories
            See `Predecessor`. The incidents that are open by the alerts stay open, and what was
            learned of the symbols goes on from their memories.
        """
        before = self._before = Predecessor(records, alerts, memories)
        self._withholds = True
        returns = {}
        for symbol, memory in before.memories.items():
            if memory.returns is not None:
                returns[symbol] = memory.returns
            learned = learned_of(memory)
            if learned is not None:
                self.learned[symbol] = learned
                cascade = self.cascades[symbol] = Cascade(symbol)
                cascade.near_since, cascade.told = dict(memory.near_since), memory.told
            elif symbol == MARKET:
                self.contagion.since = memory.spreads_since
                self.contagion.told = memory.told_spread
        self.together.restore(returns)

    def go_live(self) -> None:
        """Take over what was published before, if not yet: nothing is withheld from now on."""
        if not self._withholds:
            return
        self._withholds = False
        for symbol, alert in self._before.alerts.items():
            if alert.detector == CONTAGION:
                self.contagion.resume(alert)
            else:
                self.cascades.setdefault(symbol, Cascade(symbol)).resume(alert)
        for symbol, factor in self._before.factors.items():
            self.learned.setdefault(symbol, Learned()).forced.factor = factor
        self._unpublished = dict(self._changed)

    def close_until(self, ts_event: int) -> RiskOutput:
        """Close the seconds that end at ``ts_event`` or before."""
        output = RiskOutput()
        until = ts_event // SECOND_NS * SECOND_NS
        if not self.closed_ns:
            self.closed_ns = min(until, self._before.oldest_ns or until)
        if until - self.closed_ns > 2 * SPANS * SPAN_NS:  # what was learned is gone by then
            self._close(self.closed_ns + SECOND_NS, output)
            self.closed_ns = until - SPANS * SPAN_NS
        while self.closed_ns < until:
            self.closed_ns += SECOND_NS
            self._close(self.closed_ns, output)
        return output

    def _touch(self, symbol: str | None, *, cross: bool = False) -> None:
        """Note that a symbol has changed; a cross account or None changes all."""
        if symbol is not None:
            self._changed[symbol] = None
        if symbol is None or cross:
            self._changed |= dict.fromkeys(self.holdings.terms)

    def _close(self, ts_event: int, output: RiskOutput) -> None:
        for symbol in self.holdings.come_into_force(ts_event):
            self._touch(symbol)
        self._learn(ts_event)
        if self._changed:
            self._assess(ts_event)
        self._unpublished |= self._changed
        withheld = ts_event <= self._before.published_ns
        if not withheld:
            self.go_live()
        if withheld:
            self._note(ts_event)
        else:
            self._warn(ts_event, output)
        self._changed = {}
        if not withheld:
            second = ts_event // SECOND_NS % RECORD_SECONDS
            for symbol in [its for its in self._unpublished if record_second(its) == second]:
                self._publish(symbol, ts_event, output)
            self._remember(ts_event, output)

    def _remember(self, ts_event: int, output: RiskOutput) -> None:
        """Give the memories that are due, for a successor."""
        if not self.with_records:
            return
        for symbol, its in self.learned.items():
            if memory_is_due(symbol, ts_event):
                cascade = self.cascades.get(symbol)
                memory = memory_of(symbol, ts_event, its, cascade, self.together)
                output.memories += [memory] if memory is not None else []
        if memory_is_due(MARKET, ts_event):
            since, told = self.contagion.since, self.contagion.told
            kept = Memory(symbol=MARKET, ts_event=ts_event, spreads_since=since, told_spread=told)
            output.memories.append(kept)

    def _note(self, ts_event: int) -> None:
        """Let the incidents see a second whose output another monitor has published."""
        before, told = self._before, self._before.alerts
        for symbol, cascade in self.cascades.items():
            if ts_event > before.until(symbol):
                sides = self.assessments.get(symbol, {})
                cascade.note(ts_event, sides)
                if symbol in told and told[symbol].ts_event == ts_event:
                    cascade.note_told(sides, self.learned.get(symbol), self.holdings)
        if ts_event % SPAN_NS == 0 and before.spreads_again(ts_event):
            spread = spread_of(self.holdings, self.learned, self.together)
            self.contagion.note(ts_event, spread, self.holdings)
            if spread is not None and MARKET in told and told[MARKET].ts_event == ts_event:
                self.contagion.told = ToldSpread.of(spread)

    def _warn(self, ts_event: int, output: RiskOutput) -> None:
        for symbol, cascade in self.cascades.items():
            if cascade.watched or symbol in self._changed:
                sides = self.assessments.get(symbol, {})
                reason = self._maintenance(symbol, CASCADE, ts_event)
                if reason is None:
                    alerts = cascade.step(ts_event, sides, self.learned.get(symbol), self.holdings)
                else:
                    alerts = cascade.hold_back(ts_event, sides, reason)
                    self._count(CASCADE, cascade.suppressed)
                if alerts:
                    output.alerts += alerts
                    self._publish(symbol, ts_event, output)
        if ts_event % SPAN_NS == 0:
            spread = spread_of(self.holdings, self.learned, self.together)
            contagion = self.contagion
            reason = self._maintenance(MARKET, CONTAGION, ts_event)
            if reason is None:
                output.alerts += contagion.step(ts_event, spread, self.holdings)
            else:
                output.alerts += contagion.hold_back(ts_event, spread, self.holdings, reason)
                self._count(CONTAGION, contagion.suppressed)

    def _maintenance(self, symbol: str, detector: str, ts_event: int) -> str | None:
        """Return why a detector's incidents are held back in the second before ``ts_event``."""
        if not self.suppression.windows:
            return None
        return maintenance_reason(limits(self.suppression, symbol, detector), ts_event - SECOND_NS)

    def _count(self, detector: str, suppressed: str | None) -> None:
        if suppressed is not None:
            key: tuple[str, ReasonKind] = (detector, "maintenance")
            self.suppressed_alarms[key] = self.suppressed_alarms.get(key, 0) + 1

    def _learn(self, ts_event: int) -> None:
        summaries = self._summaries
        for symbol in summaries:
            if symbol not in self.learned:
                self.learned[symbol] = Learned()
        for symbol, its in self.learned.items():
            summary = its.liquidations.close_second(ts_event, summaries.get(symbol))
            forced = its.liquidations.next_second()
            if ts_event > self._before.published_ns:
                self.liquidated.join(forced)
            if ts_event % SPAN_NS == 0:
                its.liquidations.close_span()
            if ts_event <= self._before.until(symbol):
                continue  # it is known already
            flow = its.flow
            before = flow.mid
            flow.index = self.holdings.of(symbol).index
            if summary is not None:
                flow.add(summary)
                its.withdrawals.add(summary)
            its.forced.add(summary, before, flow.mid, flow.slope, flow.sigma_60s)
            if ts_event % SPAN_NS == 0:
                flow.close_span()
                its.withdrawals.close_span(sigmas_of(flow.minute_return, flow.sigma_60s))
                self._changed[symbol] = None
        self.together.add(ts_event, summaries)
        self.books |= summaries
        self._summaries = {}

    def _assess(self, ts_event: int) -> None:
        holdings = self.holdings
        backed = backed_positions(holdings.positions, holdings.markets())
        for symbol in self._changed:
            learned = self.learned.get(symbol)
            sides = {}
            for side in SIDES:
                its = assess(holdings, backed, learned, symbol, side, ts_event)
                if its is not None:
                    sides[side] = its
            self.assessments[symbol] = sides
            if symbol not in self.cascades:
                self.cascades[symbol] = Cascade(symbol)

    def _publish(self, symbol: str, ts_event: int, output: RiskOutput) -> None:
        self._unpublished.pop(symbol, None)
        if not self.with_records:
            return
        learned, book = self.learned.get(symbol), self.books.get(symbol)
        cascade = self.cascades.get(symbol)
        suppressed = cascade.suppressed if cascade is not None else None
        self.records[symbol] = records = {}
        for side, its in self.assessments.get(symbol, {}).items():
            record = risk_record(its, ts_event, self.holdings, learned, book)
            records[side] = replace(record, suppressed=suppressed)
        output.records += records.values()


def record_second(symbol: str) -> int:
    """Return the second of each interval in which the records of a symbol are published.

    >>> record_second("BTC-PERP"), record_second("ETH-PERP")
    (9, 7)
    """
    return crc32(symbol.encode()) % RECORD_SECONDS
