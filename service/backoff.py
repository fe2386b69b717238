"""The waits between retries."""

import random
from collections.abc import Iterator


def delays(
    rng: random.Random, first_seconds: float = 0.5, max_seconds: float = 30.0
) -> Iterator[float]:
    """Yield waits whose limit doubles up to a maximum, each drawn between zero and its limit.

    The draw ("full jitter") prevents many clients that lost one broker from reconnecting together.

    Examples
    --------
    >>> waits = delays(random.Random(1), first_seconds=1.0, max_seconds=4.0)
    >>> all(0 <= next(waits) <= limit for limit in (1, 2, 4, 4, 4))
    True
    """
    limit = first_seconds
    while True:
        yield rng.uniform(0.0, limit)
        limit = min(max_seconds, 2.0 * limit)
