"""Events as ten venues would publish them: the messages, and the plain events that they stand for.

The shapes are those of the venues' public documentation; all values are of the tests. A venue that
publishes less than an event has stands for an event with less. One that tells both users of a match
stands for two trades, each of which names its own order.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

Event = dict[str, Any]


class Written(NamedTuple):
    """A message on a topic of a venue, and the plain events that it stands for, by stream."""

    topic: str
    message: Any
    events: Sequence[tuple[str, Event]]


Writer = Callable[[str, Event], Sequence[Written]]

OTHER = {"buy": "sell", "sell": "buy"}


def with_what_is_left(events: Iterable[tuple[str, Event]]) -> Iterator[tuple[str, Event]]:
    """The events; a cancel of a whole order has what was ``left`` of it."""
    resting: dict[tuple[str, str], float] = {}
    for stream, event in events:
        if stream == "orders":
            resting[event["symbol"], event["order_id"]] = event["quantity"]
        elif stream == "trades":
            for name in ("maker_order_id", "taker_order_id"):
                key = (event["symbol"], event[name])
                resting[key] = round(resting.get(key, 0.0) - event["quantity"], 9)
        else:
            key = (event["symbol"], event["order_id"])
            left = resting.pop(key, 0.0)
            if "quantity" in event:
                resting[key] = round(left - event["quantity"], 9)
            elif left > 0:
                yield stream, event | {"left": left}
                continue
        yield stream, event


def only(event: Event, *names: str, **changes: Any) -> Event:
    return {name: event[name] for name in names if name in event} | changes


def in_ms(event: Event) -> Event:
    return event | {"ts_event": event["ts_event"] // 1_000_000 * 1_000_000}


def iso(ns: int) -> str:
    whole = datetime.fromtimestamp(ns // 1_000_000_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns % 1_000_000_000:09}Z"


def is_limit(event: Event) -> bool:
    return event.get("type", "limit") == "limit"


def coinbase(stream: str, event: Event) -> Sequence[Written]:
    its = {
        "time": iso(event["ts_event"]),
        "product_id": event["symbol"],
        "sequence": event["sequence"],
    }
    base = ("ts_event", "sequence", "symbol")
    if stream == "orders" and is_limit(event):
        message = its | {
            "type": "open",
            "order_id": event["order_id"],
            "user_id": event["account"],
            "price": str(event["price"]),
            "remaining_size": str(event["quantity"]),
            "side": event["side"],
        }
        plain = only(event, *base, "order_id", "account", "side", "price", "quantity")
    elif stream == "cancels" and "quantity" not in event:
        message = its | {
            "type": "done",
            "reason": "canceled",
            "order_id": event["order_id"],
            "user_id": event["account"],
            "remaining_size": "1",
        }
        plain = only(event, *base, "order_id", "account")
    elif stream == "trades":
        message = its | {
            "type": "match",
            "trade_id": int(event["trade_id"]),
            "maker_order_id": event["maker_order_id"],
            "taker_order_id": event["taker_order_id"],
            "maker_user_id": event["maker_account"],
            "taker_user_id": event["taker_account"],
            "price": str(event["price"]),
            "size": str(event["quantity"]),
            "side": OTHER[event["side"]],
        }
        plain = {name: value for name, value in event.items() if name != "liquidation"}
    else:
        return [Written("coinbase.full", its | {"type": "received"}, [])]
    return [Written("coinbase.full", message, [(stream, plain)])]


def bitstamp(stream: str, event: Event) -> Sequence[Written]:
    event = event | {"ts_event": event["ts_event"] // 1_000 * 1_000}
    micro, symbol = str(event["ts_event"] // 1_000), event["symbol"]
    if stream == "trades":
        buys = event["side"] == "buy"
        data = {
            "id": int(event["trade_id"]),
            "price_str": str(event["price"]),
            "amount_str": str(event["quantity"]),
            "type": 0 if buys else 1,
            "microtimestamp": micro,
            "buy_order_id": int(event["taker_order_id" if buys else "maker_order_id"]),
            "sell_order_id": int(event["maker_order_id" if buys else "taker_order_id"]),
        }
        message = {"event": "trade", "channel": f"live_trades_{symbol}", "data": data}
        names = ("trade_id", "price", "quantity", "side", "maker_order_id", "taker_order_id")
        plain = only(event, "ts_event", "symbol", *names)
        return [Written("bitstamp.live_trades", message, [(stream, plain)])]
    data = {"id_str": event["order_id"], "microtimestamp": micro}
    message = {"channel": f"live_orders_{symbol}", "data": data}
    if stream == "cancels":
        message["event"] = "order_deleted"
        plain = only(event, "ts_event", "symbol", "order_id")
        return [Written("bitstamp.live_orders", message, [(stream, plain)])]
    if not is_limit(event):
        return []
    data |= {
        "order_type": 0 if event["side"] == "buy" else 1,
        "price_str": str(event["price"]),
        "amount_str": str(event["quantity"]),
    }
    message["event"] = "order_created"
    plain = only(event, "ts_event", "symbol", "order_id", "side", "price", "quantity")
    return [Written("bitstamp.live_orders", message, [(stream, plain)])]


def halves(event: Event, *names: str) -> tuple[Event, Event]:
    """The trade as its maker and as its taker tell it."""
    base = only(event, "ts_event", "symbol", "trade_id", "price", "quantity", "side", *names)
    maker = base | {"maker_order_id": event["maker_order_id"]}
    taker = base | {"taker_order_id": event["taker_order_id"]}
    return maker, taker


def private_halves(event: Event) -> tuple[Event, Event]:
    """The trade as the accounts of its maker and of its taker tell it."""
    maker, taker = halves(event)
    maker["maker_account"] = event["maker_account"]
    taker["taker_account"] = event["taker_account"]
    taker["liquidation"] = event.get("liquidation", False)
    return maker, taker


def binance(stream: str, event: Event) -> Sequence[Written]:
    event = in_ms(event)
    ms = event["ts_event"] // 1_000_000

    def update(execution: str, side: str, order: str, **more: Any) -> Any:
        its = {"s": event["symbol"], "S": side.upper(), "x": execution, "i": int(order), "c": "web"}
        return {"e": "ORDER_TRADE_UPDATE", "T": ms, "E": ms, "o": {**its, "o": "LIMIT", **more}}

    topic = "binance.order_updates"
    if stream == "orders":
        kind = event.get("type", "limit")
        message = update(
            *("NEW", event["side"], event["order_id"]),
            p=str(event["price"]) if kind == "limit" else "0",
            q=str(event["quantity"]),
            z="0",
            o=kind.upper(),
            R=event.get("reduce_only", False),
        )
        plain = only(event, "ts_event", "symbol", "order_id", "side", "price", "quantity")
        plain |= {"type": kind, "reduce_only": event.get("reduce_only", False)}
        return [Written(topic, message, [(stream, plain)])]
    if stream == "cancels":
        message = update("CANCELED", "buy", event["order_id"])
        plain = only(event, "ts_event", "symbol", "order_id")
        return [Written(topic, message, [(stream, plain)])]
    maker, taker = halves(event)
    fill = {"t": int(event["trade_id"]), "L": str(event["price"]), "l": str(event["quantity"])}
    side = event["side"]
    return [
        Written(
            topic,
            update("TRADE", OTHER[side], event["maker_order_id"], m=True, **fill),
            [(stream, maker)],
        ),
        Written(
            topic,
            update("TRADE", side, event["taker_order_id"], m=False, **fill),
            [(stream, taker)],
        ),
    ]


def deribit(stream: str, event: Event) -> Sequence[Written]:
    """In USD: the quantities come back through the price, to the last bit but a few."""
    if event["symbol"] not in ("BTC-PERP", "ETH-PERP"):
        return []
    event = in_ms(event) | {"symbol": f"{event['symbol']}ETUAL"}
    ms = event["ts_event"] // 1_000_000

    def message(data: Any) -> Any:
        return {
            "jsonrpc": "2.0",
            "method": "subscription",
            "params": {"channel": "x", "data": data},
        }

    order = {"instrument_name": event["symbol"], "last_update_timestamp": ms}
    if stream == "cancels":
        data = order | {"order_id": event["order_id"], "order_state": "cancelled"}
        plain = only(event, "ts_event", "symbol", "order_id")
        return [Written("deribit.user_orders", message(data), [(stream, plain)])]
    if stream == "orders":
        if not is_limit(event):
            return []
        amount = event["quantity"] * event["price"]
        data = order | {
            "order_id": event["order_id"],
            "order_state": "open",
            "order_type": "limit",
            "direction": event["side"],
            "price": event["price"],
            "amount": amount,
            "filled_amount": 0.0,
            "reduce_only": False,
        }
        plain = only(event, "ts_event", "symbol", "order_id", "side", "price")
        plain |= {"type": "limit", "reduce_only": False, "quantity": amount / event["price"]}
        return [Written("deribit.user_orders", message(data), [(stream, plain)])]
    amount = event["quantity"] * event["price"]
    maker, taker = halves(event | {"quantity": amount / event["price"]}, "sequence")
    fill = {
        "timestamp": ms,
        "trade_seq": event["sequence"],
        "trade_id": event["trade_id"],
        "instrument_name": event["symbol"],
        "price": event["price"],
        "amount": amount,
    }
    made = fill | {
        "order_id": event["maker_order_id"], "liquidity": "M", "direction": OTHER[event["side"]],
    }  # fmt: skip
    took = fill | {
        "order_id": event["taker_order_id"], "liquidity": "T", "direction": event["side"],
    }  # fmt: skip
    if event.get("liquidation"):
        took["liquidation"] = "T"
        taker["liquidation"] = True
    return [
        Written("deribit.user_trades", message([made]), [(stream, maker)]),
        Written("deribit.user_trades", message([took]), [(stream, taker)]),
    ]


def bybit(stream: str, event: Event) -> Sequence[Written]:
    event = in_ms(event)
    ms = str(event["ts_event"] // 1_000_000)
    if stream == "trades":
        maker, taker = halves(event, "sequence")
        fill = {
            "symbol": event["symbol"],
            "execId": event["trade_id"],
            "execPrice": str(event["price"]),
            "execQty": str(event["quantity"]),
            "execTime": ms,
            "seq": event["sequence"],
            "execType": "Trade",
        }
        made = fill | {
            "isMaker": True,
            "orderId": event["maker_order_id"],
            "side": OTHER[event["side"]].title(),
        }
        took = fill | {
            "isMaker": False,
            "orderId": event["taker_order_id"],
            "side": event["side"].title(),
            "execType": "BustTrade" if event.get("liquidation") else "Trade",
        }
        taker["liquidation"] = event.get("liquidation", False)
        message = {"topic": "execution", "data": [made, took]}
        return [Written("bybit.executions", message, [(stream, maker), (stream, taker)])]
    order = {"symbol": event["symbol"], "orderId": event["order_id"], "updatedTime": ms}
    plain = only(event, "ts_event", "symbol", "order_id")
    if stream == "cancels":
        order["orderStatus"] = "Cancelled"
    else:
        kind, reduces = event.get("type", "limit"), event.get("reduce_only", False)
        order |= {
            "orderStatus": "New",
            "side": event["side"].title(),
            "orderType": kind.title(),
            "price": str(event["price"]) if kind == "limit" else "",
            "leavesQty": str(event["quantity"]),
            "reduceOnly": reduces,
        }
        plain |= only(event, "side", "price", "quantity", type=kind, reduce_only=reduces)
    return [Written("bybit.orders", {"topic": "order", "data": [order]}, [(stream, plain)])]


def hyperliquid(stream: str, event: Event) -> Sequence[Written]:
    event = in_ms(event)
    ms = event["ts_event"] // 1_000_000
    if stream == "trades":
        maker, taker = halves(event)
        fill = {
            "coin": event["symbol"],
            "px": str(event["price"]),
            "sz": str(event["quantity"]),
            "time": ms,
            "tid": int(event["trade_id"]),
        }
        sides = {"buy": "B", "sell": "A"}
        made = fill | {"side": sides[OTHER[event["side"]]], "oid": int(event["maker_order_id"])}
        took = fill | {"side": sides[event["side"]], "oid": int(event["taker_order_id"])}
        if event.get("liquidation"):
            took["liquidation"] = {"method": "market"}
            taker["liquidation"] = True
        maker["maker_account"] = event["maker_account"]
        taker["taker_account"] = event["taker_account"]
        return [
            Written(
                "hyperliquid.user_fills",
                {
                    "channel": "userFills",
                    "data": {"user": user, "fills": [its | {"crossed": crossed}]},
                },
                [(stream, plain)],
            )
            for user, its, crossed, plain in (
                (event["maker_account"], made, False, maker),
                (event["taker_account"], took, True, taker),
            )
        ]
    if stream == "orders" and not is_limit(event):
        return []
    order = {"coin": event["symbol"], "oid": int(event["order_id"])}
    plain = only(event, "ts_event", "symbol", "order_id")
    if stream == "orders":
        side = "B" if event["side"] == "buy" else "A"
        order |= {"side": side, "limitPx": str(event["price"]), "sz": str(event["quantity"])}
        plain |= only(event, "side", "price", "quantity")
    status = "open" if stream == "orders" else "canceled"
    update = {"order": order, "status": status, "statusTimestamp": ms}
    message = {"channel": "orderUpdates", "data": [update]}
    return [Written("hyperliquid.order_updates", message, [(stream, plain)])]


def dydx(stream: str, event: Event) -> Sequence[Written]:
    def message(kind: str, *its: Any) -> Any:
        return {"channel": "v4_subaccounts", "contents": {kind: list(its)}}

    time = iso(event["ts_event"])
    if stream == "trades":
        maker, taker = private_halves(event)
        fill = {
            "id": event["trade_id"],
            "ticker": event["symbol"],
            "price": str(event["price"]),
            "size": str(event["quantity"]),
            "createdAt": time,
            "type": "LIMIT",
        }
        made = fill | {
            "liquidity": "MAKER",
            "side": OTHER[event["side"]].upper(),
            "orderId": event["maker_order_id"],
            "subaccountId": event["maker_account"],
        }
        took = fill | {
            "liquidity": "TAKER",
            "side": event["side"].upper(),
            "orderId": event["taker_order_id"],
            "subaccountId": event["taker_account"],
            "type": "LIQUIDATED" if event.get("liquidation") else "LIMIT",
        }
        both = [(stream, maker), (stream, taker)]
        return [Written("dydx.subaccounts", message("fills", made, took), both)]
    order = {
        "id": event["order_id"],
        "ticker": event["symbol"],
        "subaccountId": event["account"],
        "updatedAt": time,
        "status": "CANCELED",
    }
    plain = only(event, "ts_event", "symbol", "order_id", "account")
    if stream == "orders":
        if not is_limit(event):
            return []
        reduces = event.get("reduce_only", False)
        order |= {
            "status": "OPEN",
            "totalFilled": "0",
            "side": event["side"].upper(),
            "price": str(event["price"]),
            "size": str(event["quantity"]),
            "type": "LIMIT",
            "reduceOnly": reduces,
        }
        plain |= only(event, "side", "price", "quantity", type="limit", reduce_only=reduces)
    return [Written("dydx.subaccounts", message("orders", order), [(stream, plain)])]


def okx(stream: str, event: Event) -> Sequence[Written]:
    event = in_ms(event)
    ms = str(event["ts_event"] // 1_000_000)

    def message(account: str, **its: Any) -> Any:
        arg = {"channel": "orders", "instType": "SWAP", "uid": account}
        return {"arg": arg, "data": [{"instId": event["symbol"], "uTime": ms, **its}]}

    if stream == "trades":
        maker, taker = private_halves(event)
        fill = {
            "tradeId": event["trade_id"],
            "fillPx": str(event["price"]),
            "fillSz": str(event["quantity"]),
            "fillTime": ms,
            "state": "filled",
        }
        made = message(
            event["maker_account"],
            **fill,
            ordId=event["maker_order_id"],
            side=OTHER[event["side"]],
            execType="M",
            category="normal",
        )
        took = message(
            event["taker_account"],
            **fill,
            ordId=event["taker_order_id"],
            side=event["side"],
            execType="T",
            category="full_liquidation" if event.get("liquidation") else "normal",
        )
        return [
            Written("okx.orders", made, [(stream, maker)]),
            Written("okx.orders", took, [(stream, taker)]),
        ]
    plain = only(event, "ts_event", "symbol", "order_id", "account")
    if stream == "cancels":
        canceled = message(event["account"], ordId=event["order_id"], state="canceled")
        return [Written("okx.orders", canceled, [(stream, plain)])]
    kind, reduces = event.get("type", "limit"), event.get("reduce_only", False)
    live = message(
        event["account"],
        ordId=event["order_id"],
        state="live",
        side=event["side"],
        ordType="post_only" if kind == "limit" else "market",
        px=str(event["price"]) if kind == "limit" else "",
        sz=str(event["quantity"]),
        lever=str(event.get("leverage", "")),
        reduceOnly=json.dumps(reduces),
    )
    plain |= only(event, "side", "price", "quantity", "leverage", type=kind, reduce_only=reduces)
    return [Written("okx.orders", live, [(stream, plain)])]


def databento(stream: str, event: Event) -> Sequence[Written]:
    record = {
        "hd": {"ts_event": str(event["ts_event"]), "rtype": 160, "instrument_id": 1},
        "sequence": event["sequence"],
        "symbol": event["symbol"],
    }
    sides = {"buy": "B", "sell": "A"}
    base = ("ts_event", "sequence", "symbol")
    topic = "databento.mbo"
    if stream == "trades":
        fill = record | {
            "action": "F",
            "side": sides[OTHER[event["side"]]],
            "price": round(event["price"] * 1e9),
            "size": event["quantity"],
            "order_id": event["maker_order_id"],
        }
        plain = only(event, *base, "quantity", "side", "maker_order_id")
        plain |= {"trade_id": str(event["sequence"]), "price": round(event["price"] * 1e9) / 1e9}
        gone = only(event, *base, "quantity", order_id=event["maker_order_id"])
        return [
            Written(topic, fill | {"action": "T", "order_id": "0"}, []),
            Written(topic, fill, [(stream, plain)]),
            Written(topic, fill | {"action": "C"}, [("cancels", gone)]),
        ]
    if stream == "cancels":
        size = event.get("quantity", event.get("left"))
        if size is None:
            return []
        gone = record | {"action": "C", "order_id": event["order_id"], "size": size}
        plain = only(event, *base, "order_id", quantity=size)
        return [Written(topic, gone, [(stream, plain)])]
    if not is_limit(event):
        return []
    added = record | {
        "action": "A",
        "side": sides[event["side"]],
        "price": str(round(event["price"] * 1e9)),
        "size": event["quantity"],
        "order_id": event["order_id"],
    }
    plain = only(event, *base, "order_id", "side", "quantity")
    plain["price"] = round(event["price"] * 1e9) / 1e9
    return [Written(topic, added, [(stream, plain)])]


WRITERS: dict[str, Writer] = {
    "coinbase-full": coinbase,
    "bitstamp": bitstamp,
    "binance": binance,
    "deribit": deribit,
    "bybit": bybit,
    "hyperliquid": hyperliquid,
    "dydx": dydx,
    "okx": okx,
    "databento-mbo": databento,
}
"""By the name of the file in deploy/venues. LOBSTER has files only: see test_lobster.py."""
