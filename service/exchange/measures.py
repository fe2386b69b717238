"""Ground truth: the injected episodes, and the cascades and withdrawals that the meters measure."""

from collections import deque

import msgspec

from service.exchange.rules import Rules

MEASURED = ("cascade", "makers_left", "forced", "contagion")
"""The kinds of ground truth that the meters measure: spontaneous events of the market. All others
are injected."""

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
        The scenario that injected it, or one of `MEASURED`.
    symbol
        The symbol that it affects.
    starts_at, ends_at
        Nanoseconds since the epoch, UTC. A cascade starts at its onset.
    strength
        The scenario's strength. For a cascade: the peak drawdown. For a makers' withdrawal: the
        largest missing share of their quotes.
    accounts
        The accounts that caused the episode, if particular accounts did.
    peak_drawdown_ratio
        Cascades: the mark price's largest move against the liquidated accounts since the onset.
    liquidated_notional
        Cascades: notional liquidated from onset to end, in the quote currency.
    liquidation_steps
        Cascades: the number of liquidation steps.
    parent_symbol
        The symbol whose price caused it. ``forced``: it cost the account most slack in the minutes
        before. ``contagion``: it had a cascade first.
    parent_alone
        ``forced``: whether the account would have stayed above maintenance without the parent's
        price move.
    channel
        ``contagion``: ``shared_accounts`` or ``co_movement``.
    breach
        ``breach``: the rule that the venue breaks, a name of `service.exchange.breaches.BREACHES`.
        Its ``strength`` is by how much, and its symbol is ``*``.
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
    parent_symbol: str | None = None
    parent_alone: bool | None = None
    channel: str | None = None
    breach: str | None = None


def broken(rules: Rules, start_ns: int, end_ns: int) -> Truth:
    """The ground truth of a venue that breaks a rule all the time."""
    return Truth(
        kind="breach",
        symbol="*",
        starts_at=start_ns,
        ends_at=end_ns,
        strength=rules.amount,
        breach=rules.breach,
    )


class WithdrawalMeter:
    """Measures when makers have left a market by themselves and its book is thin.

    A withdrawal starts when the makers would show less than `LEFT_SHARE` of their calm depth near
    the mid price. It ends when they would show more than `BACK_SHARE`.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._since_ns: int | None = None
        self._lowest_share = 1.0

    def watch(self, now: int, depth_share: float) -> Truth | None:
        """Update with the makers' current share of their calm depth.

        Returns the withdrawal when it has ended, otherwise None.
        """
        if self._since_ns is None:
            if depth_share < LEFT_SHARE:
                self._since_ns, self._lowest_share = now, depth_share
            return None
        self._lowest_share = min(self._lowest_share, depth_share)
        return self.close(now) if depth_share > BACK_SHARE else None

    def close(self, now: int) -> Truth | None:
        """End and return the current withdrawal, or return None if there is none."""
        if self._since_ns is None:
            return None
        since, self._since_ns = self._since_ns, None
        return Truth(
            kind="makers_left",
            symbol=self.symbol,
            starts_at=since,
            ends_at=now,
            strength=round(1.0 - self._lowest_share, 3),
        )


class CascadeMeter:
    """Measures when liquidations in one contract have become a cascade.

    A cascade: within `WINDOW_NS`, liquidations on one side hit at least `MIN_ACCOUNTS` accounts,
    close at least `MIN_OPEN_SHARE` of the open interest, and make up at least `MIN_TRADED_SHARE` of
    the traded volume. The mark price also moves against the liquidated accounts by at least
    `MIN_DRAWDOWN` before the end. The onset is the first liquidation of that window. The end is the
    last liquidation before `QUIET_NS` without any.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._steps: deque[tuple[int, str, int, float, float]] = deque()
        self._volumes: deque[list[float]] = deque()
        self._onset_ns: int | None = None
        self._side = 0
        self._last_ns = 0
        self._onset_mark = 0.0
        self._drawdown = 0.0
        self._step_count = 0
        self._notional = 0.0

    def traded(self, now: int, notional: float) -> None:
        """Record a trade of this notional, liquidations included."""
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
        """Record a liquidation step.

        ``side`` is the side of the liquidation order, ``mark`` the mark price, ``open_notional``
        the open interest after the step. Notionals are in the quote currency.
        """
        if self._onset_ns is not None:
            if side == self._side:
                self._last_ns = now
                self._step_count += 1
                self._notional += notional
            return
        steps = self._steps
        steps.append((now, account, side, notional, mark))
        while steps[0][0] <= now - WINDOW_NS:
            steps.popleft()
        same_side = [step for step in steps if step[2] == side]
        liquidated = sum(step[3] for step in same_side)
        volume = sum(volume for _, volume in self._volumes)
        if (
            len({step[1] for step in same_side}) >= MIN_ACCOUNTS
            and liquidated >= MIN_OPEN_SHARE * (open_notional + liquidated)
            and liquidated >= MIN_TRADED_SHARE * volume
        ):
            self._onset_ns, self._last_ns = same_side[0][0], now
            self._side, self._onset_mark = side, same_side[0][4]
            self._step_count, self._notional = len(same_side), liquidated
            self._drawdown = side * (mark / self._onset_mark - 1)
            steps.clear()

    def watch(self, now: int, mark: float) -> Truth | None:
        """Update with the mark price.

        Returns the cascade once `QUIET_NS` have passed without a liquidation, otherwise None.
        """
        if self._onset_ns is None:
            return None
        self._drawdown = max(self._drawdown, self._side * (mark / self._onset_mark - 1))
        return self.close() if now - self._last_ns >= QUIET_NS else None

    def close(self) -> Truth | None:
        """End and return the current cascade, or return None if there is none."""
        if self._onset_ns is None:
            return None
        onset, self._onset_ns = self._onset_ns, None
        if self._drawdown < MIN_DRAWDOWN:
            return None
        drawdown = round(self._drawdown, 5)
        return Truth(
            kind="cascade",
            symbol=self.symbol,
            starts_at=onset,
            ends_at=self._last_ns,
            strength=drawdown,
            peak_drawdown_ratio=drawdown,
            liquidated_notional=round(self._notional, 2),
            liquidation_steps=self._step_count,
        )
