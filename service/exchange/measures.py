"""Ground truth: what was provoked, and what a cascade was, measured from the mechanism."""

from collections import deque

import msgspec

WINDOW_NS = 60_000_000_000
MIN_ACCOUNTS = 5
MIN_TRADED_SHARE = 0.25
MIN_OPEN_SHARE = 0.02
MIN_DRAWDOWN = 0.005
QUIET_NS = 120_000_000_000
LEFT_SHARE = 0.5
BACK_SHARE = 0.7
_BUCKET_NS = 1_000_000_000


class Truth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One episode that took place, as written to ``truth.ndjson``.

    Attributes
    ----------
    kind
        Which scenario provoked it; "cascade" and "makers_left" are never provoked but measured.
    symbol
        Where.
    starts_at, ends_at
        Nanoseconds since the epoch, UTC. A cascade starts at its onset.
    strength
        As the scenario was asked for; for a cascade its peak drawdown, for makers that left the
        share of their quotes that was gone.
    accounts
        Whose doing it was, where that is so.
    peak_drawdown_ratio
        Cascades: the mark price's largest move against the liquidated since the onset.
    liquidated_notional
        Cascades: what was closed out from onset to end, in the quote currency.
    liquidation_steps
        Cascades: in how many steps.
    """

    kind: str
    symbol: str
    starts_at: int
    ends_at: int
    strength: float
    accounts: tuple[str, ...] = ()
    peak_drawdown_ratio: float | None = None
    liquidated_notional: float | None = None
    liquidation_steps: int | None = None


class WithdrawalMeter:
    """Tells when so many makers have left a market by themselves that its book is thin.

    That is when what makers would show near the middle falls below `LEFT_SHARE` of what they show
    in calm; it is over when it has been above `BACK_SHARE` again.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._since: int | None = None
        self._least = 1.0

    def watch(self, now: int, standing_share: float) -> Truth | None:
        """Follow the makers; return the withdrawal once it is over."""
        if self._since is None:
            if standing_share < LEFT_SHARE:
                self._since, self._least = now, standing_share
            return None
        self._least = min(self._least, standing_share)
        return self.close(now) if standing_share > BACK_SHARE else None

    def close(self, now: int) -> Truth | None:
        """The withdrawal that is under way, if one is."""
        if self._since is None:
            return None
        since, self._since = self._since, None
        return Truth(
            kind="makers_left",
            symbol=self.symbol,
            starts_at=since,
            ends_at=now,
            strength=round(1.0 - self._least, 3),
        )


class CascadeMeter:
    """Tells when liquidations in one contract have become a cascade.

    A cascade is when, within `WINDOW_NS`, liquidations on one side hit at least `MIN_ACCOUNTS`
    accounts, close at least `MIN_OPEN_SHARE` of the open interest, and make up at least
    `MIN_TRADED_SHARE` of everything traded, and the mark price moves against the liquidated by at
    least `MIN_DRAWDOWN` before it is over. Its onset is the first liquidation of that window; it
    ends with the last one before `QUIET_NS` without any.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._steps: deque[tuple[int, str, int, float, float]] = deque()
        self._volumes: deque[list[float]] = deque()
        self._onset: int | None = None
        self._side = 0
        self._last = 0
        self._mark = 0.0
        self._worst = 0.0
        self._count = 0
        self._notional = 0.0

    def traded(self, now: int, notional: float) -> None:
        """Note a trade of this notional, liquidations included."""
        bucket = now // _BUCKET_NS
        volumes = self._volumes
        if volumes and volumes[-1][0] == bucket:
            volumes[-1][1] += notional
        else:
            volumes.append([bucket, notional])
            while volumes[0][0] <= bucket - WINDOW_NS // _BUCKET_NS:
                volumes.popleft()

    def liquidated(
        self, now: int, account: str, side: int, notional: float, mark: float, open_notional: float
    ) -> None:
        """Note a liquidation step.

        ``side`` is the side it traded on, ``mark`` the mark price, ``open_notional`` the open
        interest after it; notionals are in the quote currency.
        """
        if self._onset is not None:
            if side == self._side:
                self._last = now
                self._count += 1
                self._notional += notional
            return
        steps = self._steps
        steps.append((now, account, side, notional, mark))
        while steps[0][0] <= now - WINDOW_NS:
            steps.popleft()
        same = [step for step in steps if step[2] == side]
        liquidated = sum(step[3] for step in same)
        volume = sum(volume for _, volume in self._volumes)
        if (
            len({step[1] for step in same}) >= MIN_ACCOUNTS
            and liquidated >= MIN_OPEN_SHARE * (open_notional + liquidated)
            and liquidated >= MIN_TRADED_SHARE * volume
        ):
            self._onset, self._last = same[0][0], now
            self._side, self._mark = side, same[0][4]
            self._count, self._notional = len(same), liquidated
            self._worst = side * (mark / self._mark - 1)
            steps.clear()

    def watch(self, now: int, mark: float) -> Truth | None:
        """Follow the mark price; return the cascade once it has been over for long enough."""
        if self._onset is None:
            return None
        self._worst = max(self._worst, self._side * (mark / self._mark - 1))
        return self.close() if now - self._last >= QUIET_NS else None

    def close(self) -> Truth | None:
        """The cascade that is under way, if one is; the meter is then ready for the next."""
        if self._onset is None:
            return None
        onset, self._onset = self._onset, None
        if self._worst < MIN_DRAWDOWN:
            return None
        drawdown = round(self._worst, 5)
        return Truth(
            kind="cascade",
            symbol=self.symbol,
            starts_at=onset,
            ends_at=self._last,
            strength=drawdown,
            peak_drawdown_ratio=drawdown,
            liquidated_notional=round(self._notional, 2),
            liquidation_steps=self._count,
        )
