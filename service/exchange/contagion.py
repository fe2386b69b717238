"""Ground truth of contagion: whom another symbol's price forced, and cascades that followed one."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from service.exchange.measures import Truth
from service.exchange.venue.cross_margin import Forced

FOLLOWS_NS = 600_000_000_000
"""A cascade follows another one of the same venue if its onset is within this time after it."""

LEAST_SHARED = 0.2
"""Share of a cascade's notional that accounts forced by the first symbol must have for it to have
spread through them."""


class ContagionMeter:
    """Collects forced steps of cross-margin accounts and cascades; labels them at the end."""

    def __init__(self) -> None:
        self._steps: defaultdict[tuple[str, str], list[Forced]] = defaultdict(list)
        self._cascades: list[Truth] = []

    def note(self, forced: Iterable[Forced], truths: Iterable[Truth]) -> None:
        """Take forced steps, and ground truth of which only the cascades count."""
        for step in forced:
            self._steps[step.symbol, step.account].append(step)
        self._cascades += [truth for truth in truths if truth.kind == "cascade"]

    def truths(self) -> Iterator[Truth]:
        """Yield the labels: ``forced`` for each account and symbol, then ``contagion``."""
        for (symbol, account), steps in sorted(self._steps.items()):
            # An account that is liquidated again is forced anew, perhaps by another symbol.
            for parent in dict.fromkeys(step.parent for step in steps):
                its = [step for step in steps if step.parent == parent]
                notional = sum(step.notional for step in its)
                yield Truth(
                    kind="forced",
                    symbol=symbol,
                    starts_at=its[0].now,
                    ends_at=its[-1].now,
                    strength=round(its[0].share, 3),
                    accounts=(account,),
                    liquidated_notional=round(notional, 2),
                    liquidation_steps=len(its),
                    parent_symbol=parent,
                    parent_alone=its[0].alone,
                )
        for cascade in self._cascades:
            first = self._before(cascade)
            if first is not None:
                shared = self._shared(first, cascade)
                yield Truth(
                    kind="contagion",
                    symbol=cascade.symbol,
                    starts_at=cascade.starts_at,
                    ends_at=cascade.ends_at,
                    strength=round(shared, 3),
                    liquidated_notional=cascade.liquidated_notional,
                    parent_symbol=first.symbol,
                    channel="shared_accounts" if shared >= LEAST_SHARED else "co_movement",
                )

    def _before(self, cascade: Truth) -> Truth | None:
        """The first cascade that this one followed, if it was in another symbol."""
        before = [
            truth
            for truth in self._cascades
            if 0 < cascade.starts_at - truth.starts_at <= FOLLOWS_NS
        ]
        if any(truth.symbol == cascade.symbol for truth in before):
            return None  # the symbol was under stress already
        return min(before, key=lambda truth: truth.starts_at, default=None)

    def _shared(self, first: Truth, cascade: Truth) -> float:
        """The share of a cascade's notional of accounts that the first symbol forced."""
        forced = sum(
            step.notional
            for (symbol, _), steps in self._steps.items()
            for step in steps
            if symbol == cascade.symbol
            and step.parent == first.symbol
            and first.starts_at <= step.now <= cascade.ends_at
        )
        return min(forced / (cascade.liquidated_notional or 1.0), 1.0)
