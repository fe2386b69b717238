"""Who is certainly below maintenance, since when, and whether the venue acts."""

import math
from array import array

import numpy as np

from detectors.audit.outcome import Case, Tally
from detectors.audit.references import EXCURSION_PROBABILITY
from detectors.risk.contract import Contract
from detectors.risk.liquidation import liquidation_prices
from detectors.risk.mark_path import excursion
from detectors.table import Flags, Floats, Ints, enlarged

SERVED_NS = 10_000_000_000
"""An account on which the venue acted so recently is being served, and does not wait."""

_MOST_SIZES = 100
_SECOND = 1e9
_FIRST_ROWS = 256
_MEMORY = 20.0
"""Steps of the mark price over which its variance is averaged."""


class Waiting:
    """Watches the isolated positions of one symbol at each reference.

    A position is certainly below maintenance between two references if it is below at every mark
    that may have held between them. It waits from the first of such references until the venue
    acts, it changes, or it is above again.

    Parameters
    ----------
    symbol
        Name in the cases.
    max_open_seconds
        A longer wait is a breach; infinite without a claim.

    Attributes
    ----------
    tally
        Waits; a position that is never certainly below is none.
    waits
        Length of each wait that ended with an action, in seconds.
    published
        Position records with a liquidation price, compared with the recomputed one.
    """

    __slots__ = (
        "_accounts", "_acted", "_chain", "_chain_sizes", "_chain_wait", "_entry", "_last_mark",
        "_last_ns", "_margin", "_max_open", "_new", "_price", "_quantity", "_reported", "_rows",
        "_serving", "_since", "_symbol", "_variance", "published", "published_error", "tally",
        "waits",
    )  # fmt: skip

    def __init__(self, symbol: str, max_open_seconds: float = math.inf) -> None:
        self._symbol = symbol
        self._max_open = max_open_seconds
        self._rows: dict[str, int] = {}
        self._accounts: list[str] = []
        self._quantity: Floats = np.zeros(_FIRST_ROWS)
        self._entry: Floats = np.ones(_FIRST_ROWS)
        self._margin: Floats = np.full(_FIRST_ROWS, math.nan)
        self._price: Floats = np.full(_FIRST_ROWS, math.nan)
        self._since: Ints = np.zeros(_FIRST_ROWS, np.int64)
        self._acted: Ints = np.zeros(_FIRST_ROWS, np.int64)
        self._chain: Ints = np.zeros(_FIRST_ROWS, np.int64)
        self._chain_sizes: dict[int, list[float]] = {}
        self._chain_wait: dict[int, float] = {}
        self._reported: Flags = np.zeros(_FIRST_ROWS, np.bool_)
        self._serving: set[int] = set()
        self._new: list[tuple[int, float, float, float, float, int]] = []
        self._last_mark = math.nan
        self._last_ns = 0
        self._variance = 0.0
        self.tally = Tally()
        self.waits = array("d")
        self.published = Tally()
        self.published_error = 0.0

    def put(
        self, account: str, quantity: float, entry: float, margin: float, published: float, ts: int
    ) -> None:
        """Take over a position record; ``margin`` and ``published`` are NaN if unknown.

        ``published`` is the venue's liquidation price. A margin of exactly 0 may stand for a
        negative one, so it counts as unknown.
        """
        row = self._rows.get(account)
        if row is None:
            row = self._rows[account] = len(self._accounts)
            self._accounts.append(account)
            if row == len(self._quantity):
                self._enlarge()
        known = math.nan if margin == 0.0 else margin
        self._new.append((row, quantity, entry, known, published, ts))

    def acted(self, account: str, ts_event: int, quantity: float) -> None:
        """Note that the venue acted on an account's position of a signed quantity, or tried to."""
        row = self._rows.get(account)
        if row is None:
            return
        waited = self.waited_seconds(account, ts_event)
        if waited:
            self.waits.append(waited)
        if ts_event - int(self._acted[row]) > SERVED_NS:
            self._chain[row] = ts_event
            self._chain_sizes[row] = []
            self._chain_wait[row] = waited
        sizes = self._chain_sizes[row]
        if abs(quantity) not in sizes and len(sizes) < _MOST_SIZES:
            sizes.append(abs(quantity))
        self._acted[row] = ts_event

    def serve(self, account: str, *, is_open: bool) -> None:
        """Note that a liquidation of the account is open, as the venue's records state.

        Such an account waits for nobody; it is still to be acted on in time.
        """
        row = self._rows.get(account)
        if row is not None:
            (self._serving.add if is_open else self._serving.discard)(row)

    def served(self, account: str) -> tuple[int, float, tuple[float, ...]]:
        """Return the time of the first of the latest actions, the wait before it, and the sizes.

        The latest actions are those that follow each other within `SERVED_NS`.

        An action that found no counterparty leaves no trade, but it belongs to the liquidation.
        The time is 0 without an action. Sizes are unsigned, one for each action that saw another.
        """
        row = self._rows.get(account)
        if row is None or not self._chain[row]:
            return 0, 0.0, ()
        return int(self._chain[row]), self._chain_wait[row], tuple(self._chain_sizes[row])

    def waited_seconds(self, account: str, ts_event: int) -> float:
        """Return how long an account has certainly been below maintenance."""
        row = self._rows.get(account)
        if row is None or row in self._serving or not self._since[row]:
            return 0.0
        if self._acted[row] >= self._since[row] - SERVED_NS:
            return 0.0
        return (ts_event - int(self._since[row])) / _SECOND

    def passed_over(self, account: str, ts_event: int, contract: Contract | None) -> list[str]:
        """Return who has certainly waited longer than an account by a second, and is worse off.

        Worse off is a lower ratio of equity to notional at the last mark.
        """
        row = self._rows.get(account)
        self.flush(contract)
        waiting = (self._since > 0) & (self._acted < self._since - SERVED_NS)
        if row is None or not waiting.any() or math.isnan(self._last_mark):
            return []
        waiting[list(self._serving)] = False
        rows = np.flatnonzero(waiting)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = self._ratio(rows)
            own = float(self._ratio(np.array([row]))[0])
            own_since = int(self._since[row]) or ts_event
            longer = self._since[rows] <= min(own_since, ts_event) - int(_SECOND)
            worse = ratio < own - 1e-6
        return [self._accounts[its] for its in rows[longer & worse].tolist() if its != row]

    def pause(self) -> None:
        """Forget all waits: nothing can be liquidated now."""
        self._since[:] = 0
        self._reported[:] = False

    def interrupt(self) -> None:
        """Begin anew with the next reference: the trading state has changed."""
        self.pause()
        self._last_mark = math.nan

    def reprice(self, contract: Contract) -> None:
        """Recompute all liquidation prices: the maintenance margins have changed."""
        self.flush(contract)
        rows = np.flatnonzero(self._quantity)
        if len(rows):
            self._price[rows] = liquidation_prices(
                contract, self._quantity[rows], self._entry[rows], self._margin[rows]
            )

    def on_reference(
        self, ts_event: int, mark: float, contract: Contract | None, *, is_open: bool
    ) -> None:
        """Find who was certainly below between the last reference and this one."""
        self.flush(contract)
        last, last_ns = self._last_mark, self._last_ns
        self._last_mark, self._last_ns = mark, ts_event
        if math.isnan(last):
            return
        span = max((ts_event - last_ns) / _SECOND, 1e-3)
        step = math.log(mark / last)
        self._variance += (step * step / span - self._variance) / _MEMORY
        if not is_open:
            self.pause()
            return
        beyond = excursion(
            step, max(self._variance, step * step / span) * span, EXCURSION_PROBABILITY
        )
        low, high = min(last, mark) * math.exp(-beyond), max(last, mark) * math.exp(beyond)
        with np.errstate(invalid="ignore"):
            below = ((self._quantity > 0.0) & (self._price >= high)) | (
                (self._quantity < 0.0) & (self._price <= low)
            )
        started = below & (self._since == 0)
        self._since[started] = last_ns
        self.tally.held(int(started.sum()))
        ended = ~below & (self._since > 0)
        self._since[ended] = 0
        self._reported[ended] = False
        if below.any() and math.isfinite(self._max_open):
            self._report(np.flatnonzero(below & ~self._reported), ts_event, mark)

    def _report(self, rows: Ints, ts_event: int, mark: float) -> None:
        latest = np.maximum(self._since[rows], self._acted[rows])
        open_seconds = (ts_event - latest) / _SECOND
        for row, seconds in zip(rows.tolist(), open_seconds.tolist(), strict=True):
            if seconds <= self._max_open:
                continue
            self._reported[row] = True
            money = abs(float(self._quantity[row])) * mark
            story = (
                f"{float(self._quantity[row]):g} with the liquidation price "
                f"{float(self._price[row]):.8g} was beyond it for {seconds:.1f} s without an "
                f"action; the mark price is {mark:.8g}"
            )
            self.tally.population -= 1  # counted when the wait began
            self.tally.breach(
                Case(ts_event, self._symbol, self._accounts[row], seconds, money, story)
            )

    def _ratio(self, rows: Ints) -> Floats:
        quantity, mark = self._quantity[rows], self._last_mark
        equity = self._margin[rows] + quantity * (mark - self._entry[rows])
        ratio: Floats = equity / (np.abs(quantity) * mark)
        return ratio

    def flush(self, contract: Contract | None) -> None:
        """Compute the liquidation prices of the records since the last time, with a contract."""
        if not self._new:
            return
        rows, quantity, entry, margin, published, times = map(
            np.array, zip(*self._new, strict=True)
        )
        self._new.clear()
        held = quantity != 0.0
        price: Floats = np.full(len(rows), math.nan)
        if contract is not None and held.any():
            price[held] = liquidation_prices(contract, quantity[held], entry[held], margin[held])
        self._compare(rows, quantity, entry, price, published, times)
        # Of several records of a position the last counts: assignment goes in order.
        self._quantity[rows] = quantity
        self._entry[rows] = entry
        self._margin[rows] = margin
        self._price[rows] = price
        self._since[rows] = 0
        self._reported[rows] = False

    def _compare(
        self,
        rows: Ints,
        quantity: Floats,
        entry: Floats,
        price: Floats,
        published: Floats,
        times: Ints,
    ) -> None:
        comparable = np.isfinite(price) & np.isfinite(published) & (quantity != 0.0)
        known = np.flatnonzero(comparable)
        if not len(known):
            return
        error = np.abs(price[known] - published[known]) / entry[known]
        self.published_error = max(self.published_error, float(error.max()))
        wrong = error > 1e-4
        self.published.held(int((~wrong).sum()))
        for place in known[wrong].tolist():
            off = abs(price[place] - published[place])
            story = (
                f"published liquidation price {published[place]:.8g} of {quantity[place]:g}; the "
                f"margin rules give {price[place]:.8g}"
            )
            money = float(off * abs(quantity[place]))
            account = self._accounts[int(rows[place])]
            size = float(off / entry[place])
            self.published.breach(
                Case(int(times[place]), self._symbol, account, size, money, story)
            )

    def _enlarge(self) -> None:
        length = (2 * len(self._quantity),)
        self._quantity = enlarged(self._quantity, length)
        self._entry = enlarged(self._entry, length, 1.0)
        self._margin = enlarged(self._margin, length, math.nan)
        self._price = enlarged(self._price, length, math.nan)
        self._since = enlarged(self._since, length)
        self._acted = enlarged(self._acted, length)
        self._chain = enlarged(self._chain, length)
        self._reported = enlarged(self._reported, length)
