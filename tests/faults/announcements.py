"""What the simulated venue announces, and records that are dated ahead.

The venue repeats the state of every symbol every three seconds. Without that, the topic would count
as idle.
"""

import random
from collections.abc import Iterator

from detectors.market_data.events import Order, Status
from tests.pipeline.events import BEGIN, SECOND

REPEATED_SECONDS = 3
CLEARED = "book_cleared"

PLANS: dict[str, tuple[tuple[int, str, int | None], ...]] = {
    "AAA": ((2, "auction", 5), (50, CLEARED, None), (54, "halted", None), (57, "open", None)),
    "BBB": ((1, "halted", 4), (53, "expired", None)),
    "CCC": ((3, CLEARED, None), (48, "auction", None), (51, "open", None), (55, "closed", None)),
}
"""Per symbol: the time in seconds, the state, and until when it lasts if the venue says that.

After a pause a symbol settles for 24 seconds. In between, the incidents of the market occur.
"""

STRANGERS = ("DATED0", "DATED1")
"""One symbol of each partition without a market; all of its events are dated ahead."""


def statuses(symbol: str, seconds: int) -> list[Status]:
    """The statuses of a symbol in event-time order."""
    announced = []
    plan = list(PLANS.get(symbol, ()))
    current: tuple[str, int | None] = ("open", None)
    for second in range(1, seconds):
        changes = [change for change in plan if change[0] == second]
        for _, state, until in changes:
            announced.append(_status(symbol, second, state, until))
            if state != CLEARED:
                current = (state, until)
        if current[0] != "open" and current[1] is not None and current[1] <= second:
            current = ("open", None)
        if not changes and second % REPEATED_SECONDS == 0:
            announced.append(_status(symbol, second, *current))
    return announced


def _status(symbol: str, second: int, state: str, until: int | None) -> Status:
    return Status(
        ts_event=BEGIN + second * SECOND,
        symbol=symbol,
        state=state,  # type: ignore[arg-type]
        until=None if until is None else BEGIN + until * SECOND,
    )


def dated_ahead(
    rng: random.Random, seconds: int, most_ahead: float
) -> Iterator[tuple[float, int, Order]]:
    """Orders that are dated ahead: when each is written, to which partition, and the order.

    Parameters
    ----------
    most_ahead
        How many seconds ahead an event is accepted; some events are dated further.
    """
    for number in range(seconds // 2):
        partition = rng.randrange(len(STRANGERS))
        at = rng.uniform(1, seconds)
        ahead = rng.choice((0.5, 3.0, 15.0, most_ahead - 1, most_ahead + 5, 80_000.0))
        order = Order(
            ts_event=BEGIN + round((at + ahead) * SECOND),
            symbol=STRANGERS[partition],
            order_id=f"ahead{number}",
            side="buy",
            price=1.0,
            quantity=1.0,
        )
        yield at, partition, order
