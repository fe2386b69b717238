"""How long to wait before trying again."""

import random
from collections.abc import Iterator


def delays(
    rng: random.Random, first_seconds: float = 0.5, most_seconds: float = 30.0
) -> Iterator[float]:
    """Waits that double up to a limit, each drawn between nothing and that.

    The draw ("full jitter") keeps many clients that lost one broker from coming back as one.

    Examples
    --------
    >>> waits = delays(random.Random(1), first_seconds=1.0, most_seconds=4.0)
    >>> all(0 <= next(waits) <= limit for limit in (1, 2, 4, 4, 4))
    True
    """
    limit = first_seconds
    while True:
        yield rng.uniform(0.0, limit)
        limit = min(most_seconds, 2.0 * limit)
