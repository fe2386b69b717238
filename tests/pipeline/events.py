"""A small, dense market to test with: one that makes alarms, bars and incidents in minutes."""

import random

from detectors.market_data.events import Cancel, Order, Trade

BEGIN = 1_767_225_600_000_000_000
SECOND = 1_000_000_000


def market(seed, seconds, symbols=("AAA", "BBB"), rate=8):
    """Orders, cancels and trades of some symbols in event-time order, with a shock near the end."""
    rng = random.Random(seed)
    events = []
    resting = {symbol: {} for symbol in symbols}
    sequence = 0
    for second in range(seconds):
        for symbol in symbols:
            shock = symbol == symbols[0] and second == seconds * 3 // 4
            times = sorted(rng.randrange(SECOND) for _ in range(rate))
            for offset in times:
                sequence += 1
                at = BEGIN + second * SECOND + offset
                events += _one(rng, symbol, at, sequence, resting[symbol])
            if shock:
                for order_id in list(resting[symbol])[:-1]:
                    sequence += 1
                    at = BEGIN + second * SECOND + SECOND - 1
                    events.append(
                        Cancel(ts_event=at, sequence=sequence, symbol=symbol, order_id=order_id)
                    )
                    del resting[symbol][order_id]
    events.sort(key=lambda e: (e.ts_event, e.sequence))
    return events


def _one(rng, symbol, at, sequence, resting):
    account = f"account-{rng.randrange(6)}"
    if len(resting) > 30 and rng.random() < 0.5:
        order_id = rng.choice(list(resting))
        side = resting.pop(order_id)
        if rng.random() < 0.2:
            taker = "buy" if side == "sell" else "sell"
            return [
                Trade(
                    ts_event=at,
                    sequence=sequence,
                    symbol=symbol,
                    trade_id=f"t{sequence}",
                    price=100.0,
                    quantity=100.0,
                    side=taker,
                    maker_order_id=order_id,
                )
            ]
        return [Cancel(ts_event=at, sequence=sequence, symbol=symbol, order_id=order_id)]
    side = rng.choice(["buy", "sell"])
    away = 0.01 * rng.randrange(1, 20)
    resting[f"o{sequence}"] = side
    return [
        Order(
            ts_event=at,
            sequence=sequence,
            symbol=symbol,
            order_id=f"o{sequence}",
            account=account,
            side=side,
            price=100.0 - away if side == "buy" else 100.0 + away,
            quantity=float(rng.randrange(1, 5)),
            leverage=float(rng.choice([2, 3, 5])),
        )
    ]


def by_stream(events):
    """The events of each topic, in order."""
    names = {Order: "orders", Cancel: "cancels", Trade: "trades"}
    streams = {name: [] for name in names.values()}
    for event in events:
        streams[names[type(event)]].append(event)
    return streams
