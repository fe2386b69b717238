"""What the wire accepts, what it refuses, and what the refusal tells."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.market_data.events import Kind, Order
from service.pipeline.rejection import TimeUnit
from service.pipeline.wire import ALL_STREAMS, Decoder

NOW = 1_700_000_000_000_000_000  # 2023-11-14
AHEAD = 60_000_000_000
LIMIT = 1_048_576

RECORDS = {
    "orders": {"order_id": "o1", "side": "buy", "price": 101.5, "quantity": 2},
    "cancels": {"order_id": "o1"},
    "trades": {"trade_id": "t1", "price": 101.5, "quantity": 2, "side": "sell"},
    "references": {"mark_price": 101.5},
    "margins": {"max_leverage": 50},
    "positions": {"account": "a1", "quantity": -3, "entry_price": 100},
    "statuses": {"state": "halted", "until": NOW + 1},
    "accounts": {"account": "a1", "equity": -5},
    "liquidations": {"liquidation_id": "l1", "account": "a1", "phase": "start", "mark_price": 9},
    "insurance": {"balance": 12.5, "delta": "-0.5", "cause": "loss"},
    "acks": {"order_id": "o1", "received_at": NOW - 5, "rejected_at": NOW, "reason": "margin"},
    "fees": {"maker_rate": "-0.0001", "taker_rate": 0.0005, "effective_at": NOW + 1},
}


def record(stream: str = "orders", without: Sequence[str] = (), **changes: Any):
    fields = {"ts_event": NOW, "symbol": "BTC-PERP", **RECORDS[stream], **changes}
    return json.dumps({name: fields[name] for name in fields if name not in without}).encode()


def raw(**texts: str):
    """An order whose named fields are the given JSON texts, whether they are JSON or not."""
    value = record(**dict.fromkeys(texts, "REPLACED"))
    for text in texts.values():
        value = value.replace(b'"REPLACED"', text.encode("latin-1"), 1)
    return value


def decoder(
    stream: str = "orders", fields: dict[str, str] | None = None, time_unit: TimeUnit = "ns"
):
    return Decoder(stream, fields or {}, time_unit, LIMIT)


def arrived(values: Sequence[Any]):
    """The timestamps in the log of records that arrive now."""
    return [NOW // 1_000_000] * len(values)


def decode(value: Any, stream: str = "orders", **options: Any):
    return decoder(stream, **options).decode([value], arrived([value]))


def accepted(value: Any, stream: str = "orders", **options: Any):
    decoded = decode(value, stream, **options)
    assert decoded.rejections == []
    return decoded.events[0]


def refused(value: Any, stream: str = "orders", **options: Any):
    decoded = decode(value, stream, **options)
    assert decoded.events == []
    return decoded.rejections[0]


@pytest.mark.parametrize("stream", ALL_STREAMS)
def test_every_stream_decodes_into_its_event(stream: str):
    event = accepted(record(stream), stream)
    assert type(event) is ALL_STREAMS[stream]
    assert event.ts_event == NOW
    if stream != "accounts":
        assert event.symbol == "BTC-PERP"
    kinds = [kind for kind in Kind if kind is not Kind.LATE]
    assert event.kind == kinds[list(ALL_STREAMS).index(stream)]


@pytest.mark.parametrize(
    ("value", "price"),
    [
        (record(price="101.5"), 101.5),
        (record(price="1e2"), 100.0),
        (record(price=7), 7.0),
        (record(price=None, type="market"), None),
        (record(without=["price"], type="market"), None),
        (record(price=5, type="market"), 5.0),
        (record(surprise={"nested": [1, 2]}), 101.5),
        (record(account=None, leverage=None, type=None, reduce_only=None), 101.5),
        (record() + b"\n", 101.5),
        (record(price="101." + "5" * 10_000), 101.55555555555556),
        (record(price=1e-30), 1e-30),
        (record(price=1e15), 1e15),
        (record(symbol='<b>"Übung"</b> 🚀'), 101.5),
        (record(note="[" * 5_000), 101.5),
        (raw(price="1, ".rstrip(" ") + '"price": 2'), 2.0),
    ],
)
def test_what_the_format_allows_is_accepted(value: Any, price: float | None):
    assert accepted(value).price == price


def test_integers_may_be_strings_too():
    event = accepted(record(ts_event=str(NOW), sequence="7"))
    assert (event.ts_event, event.sequence) == (NOW, 7)


@pytest.mark.parametrize(("text", "flag"), [("true", True), ('"true"', True), ("0", False)])
def test_booleans_may_be_spelt_as_encoders_do(text: str, flag: bool):
    assert accepted(raw(reduce_only=text)).reduce_only is flag


def test_the_string_null_is_null_except_as_a_name():
    event = accepted(raw(leverage='"null"', account='"null"'))
    assert (event.leverage, event.account) == (None, "null")


def test_nothing_is_written_for_an_empty_batch():
    decoded = decoder().decode([], [])
    assert (decoded.events, decoded.rejections) == ([], [])


BAD = {
    "no record": (None, "empty", "no value"),
    "an empty record": (b"", "empty", "no value"),
    "only spaces": (b" \n", "empty", "no value"),
    "over 1 MiB": (record(note="x" * LIMIT), "too_large", "wire.max_record_bytes allows 1048576"),
    "not JSON": (b"hello", "not_json", "near hello"),
    "cut short": (record()[:-5], "not_json", "truncated"),
    "two events": (record() + record(), "not_json", "trailing"),
    "a byte order mark": (b"\xef\xbb\xbf" + record(), "not_json", "invalid character (byte 0)"),
    "nested too deeply": (b'{"a":' * 5_000, "not_json", "nested too deeply"),
    "a lone surrogate": (raw(symbol='"\\ud800"'), "not_json", "surrogate"),
    "an array": (b"[" + record() + b"]", "not_an_object", "not a JSON object"),
    "a string": (b'"order"', "not_an_object", '"order" is not a JSON object'),
    "null": (b"null", "not_an_object", "not a JSON object"),
    "no symbol": (
        record(without=["symbol"]),
        "missing_field",
        "symbol is missing; it must be text",
    ),
    "symbol null": (record(symbol=None), "missing_field", "symbol is missing"),
    "no time": (record(without=["ts_event"]), "missing_field", "a whole number of ns since 1970"),
    "no quantity": (record(without=["quantity"]), "missing_field", "a number from 1e-30"),
    "a limit order without price": (record(without=["price"]), "missing_field", "price is missing"),
    "a limit order, price null": (record(price=None), "missing_field", "price is missing"),
    "a limit order, price 'null'": (record(price="null"), "missing_field", "price is missing"),
    "symbol a number": (record(symbol=5), "wrong_type", "symbol is 5; it must be text of 1 to 64"),
    "price a word": (record(price="cheap"), "wrong_type", 'price is "cheap"; it must be a number'),
    "price with a comma": (record(price="1,5"), "wrong_type", 'price is "1,5"'),
    "price with a space": (record(price=" 1"), "wrong_type", 'price is " 1"'),
    "price hexadecimal": (record(price="0x10"), "wrong_type", 'price is "0x10"'),
    "price an empty string": (record(price=""), "wrong_type", 'price is ""'),
    "price an object": (record(price={"a": 1}), "wrong_type", "price is {"),
    "price true": (
        record(price=True),
        "wrong_type",
        "price is true; it must be a number from 1e-30",
    ),
    "quantity true": (record(quantity=True), "wrong_type", "quantity is true"),
    "sequence true": (record(sequence=True), "wrong_type", "sequence is true"),
    "time with a fraction": (raw(ts_event=f"{NOW}.5"), "wrong_type", "a whole number of ns"),
    "time as text": (record(ts_event="2023-11-14"), "wrong_type", 'ts_event is "2023-11-14"'),
    "time true": (record(ts_event=True), "wrong_type", "ts_event is true"),
    "reduce_only yes": (record(reduce_only="yes"), "wrong_type", "it must be true or false"),
    "an unknown side": (record(side="B"), "unknown_side", 'side is "B"; it must be one of "buy"'),
    "side in capitals": (record(side="BUY"), "unknown_side", 'one of "buy", "sell"'),
    "side a number": (record(side=1), "wrong_type", "side is 1"),
    "an unknown type": (record(type="stop"), "unknown_order_type", 'one of "limit", "market"'),
    "symbol empty": (record(symbol=""), "wrong_length", "text of 1 to 64 characters"),
    "symbol over-long": (record(symbol="x" * 65), "wrong_length", "text of 1 to 64 characters"),
    "account over-long": (record(account="é" * 65), "wrong_length", "account is"),
    "symbol with a control character": (record(symbol="A\x1b[2J"), "not_printable", "A\\x1b[2J;"),
    "symbol on two lines": (
        record(symbol="A\nB"),
        "not_printable",
        "symbol is A\\nB; a symbol must not",
    ),
    "symbol that turns the text": (
        record(symbol="A\u202eB"),
        "not_printable",
        "A\\u202eB; a symbol must not",
    ),
    "symbol with nothing to see": (record(symbol="\u200b"), "not_printable", "is \\u200b;"),
    "symbol that stands for all": (record(symbol="*"), "reserved_symbol", "is *; in alerts"),
    "symbol with our separator": (record(symbol="A\x1f0\x1f0"), "not_printable", "\\x1f0"),
    "symbol not UTF-8": (raw(symbol='"\xff"'), "not_utf8", "\\xff is not UTF-8"),
    "price zero": (record(price=0), "out_of_range", "price is 0; it must be a number from 1e-30"),
    "quantity zero": (record(quantity="0.000"), "out_of_range", 'quantity is "0.000"'),
    "price negative": (record(price=-1.5), "out_of_range", "price is -1.5"),
    "price the least float": (raw(price="5e-324"), "out_of_range", "price is 5e-324"),
    "price the largest float": (raw(price="1.7976931348623157e308"), "out_of_range", "e308"),
    "price minus zero": (raw(price="-0.0"), "out_of_range", "price is -0.0"),
    "price of 10,000 digits": (record(price="9" * 10_000), "out_of_range", 'price is "9999'),
    "time of 10,000 digits": (raw(ts_event="9" * 10_000), "in_the_future", "ts_event is 9999"),
    "sequence of 10,000 digits": (record(sequence="9" * 10_000), "out_of_range", "sequence is"),
    "price too large": (record(price=1e16), "out_of_range", "from 1e-30 to 1e+15"),
    "price NaN": (raw(price="NaN"), "not_json", 'price": NaN'),
    "price Infinity": (raw(price="Infinity"), "not_json", "not JSON"),
    "price a NaN string": (record(price="nan"), "out_of_range", 'price is "nan"'),
    "price an inf string": (record(price="inf"), "out_of_range", 'price is "inf"'),
    "price a -inf string": (record(price="-Infinity"), "out_of_range", 'price is "-Infinity"'),
    "price 1e999": (raw(price="1e999"), "out_of_range", "price is 1e999; it must be a number"),
    "price a 1e999 string": (record(price="1e999"), "out_of_range", 'price is "1e999"'),
    "leverage infinite": (record(leverage="inf"), "out_of_range", 'leverage is "inf"'),
    "sequence negative": (record(sequence=-1), "out_of_range", "a whole number from 0"),
    "time before 2000": (
        record(ts_event=946_684_799_999_999_999),
        "too_old",
        "(1999-12-31T23:59:59Z)",
    ),
    "time zero": (record(ts_event=0), "too_old", "the year 2000 and 60 s after the record"),
    "time negative": (record(ts_event=-NOW), "too_old", "the year 2000 and 60 s after the record"),
    "the last nanosecond of 64 bits": (record(ts_event=2**63 - 1), "in_the_future", "(2262-04-11"),
    "time in ms": (record(ts_event=NOW // 10**6), "too_old", 'set wire.time_unit = "ms"'),
    "time in s": (record(ts_event=str(NOW // 10**9)), "too_old", 'set wire.time_unit = "s"'),
    "time over a minute ahead": (
        record(ts_event=NOW + AHEAD + 10**6),
        "in_the_future",
        "(2023-11-14T22:14:20Z)",
    ),
    "time past 64 bits": (record(ts_event=10**30), "in_the_future", f"ts_event is {10**30} ns;"),
    "an enum that quotes an error": (
        record(side="x - at `$.nowhere`"),
        "unknown_side",
        'side is "x - at `$.nowhere`"',
    ),
}


@pytest.mark.parametrize(("value", "reason", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_with_its_reason(value: Any, reason: str, words: str):
    rejection = refused(value)
    assert (rejection.reason, rejection.index) == (reason, 0)
    assert words in rejection.detail
    assert len(rejection.detail) < 400


@pytest.mark.parametrize(
    ("stream", "field", "value", "reason"),
    [
        ("trades", "price", None, "missing_field"),
        ("trades", "liquidation", "maybe", "wrong_type"),
        ("references", "funding_rate", "nan", "out_of_range"),
        ("references", "open_interest", "nan", "out_of_range"),
        ("references", "open_interest", -1, "out_of_range"),
        ("margins", "mark_window_ns", 1.5, "wrong_type"),
        ("margins", "max_leverage", 0, "out_of_range"),
        ("positions", "quantity", "inf", "out_of_range"),
        ("positions", "entry_price", 0, "out_of_range"),
        ("positions", "account", "", "wrong_length"),
        ("positions", "margin_mode", "shared", "unknown_value"),
        ("positions", "margin", "-inf", "out_of_range"),
        ("margins", "mark_method", "twap", "unknown_value"),
        ("margins", "mark_clamp", 5, "out_of_range"),
        ("margins", "effective_at", 5, "out_of_range"),
        ("accounts", "account", None, "missing_field"),
        ("accounts", "account", "a\u202eb", "not_printable"),
        ("accounts", "equity", "nan", "out_of_range"),
        ("accounts", "maintenance_requirement", -1, "out_of_range"),
        ("accounts", "segment", "whale", "unknown_value"),
        ("liquidations", "symbol", "*", "reserved_symbol"),
        ("liquidations", "phase", "stop", "unknown_value"),
        ("liquidations", "phase", None, "missing_field"),
        ("liquidations", "quantity_filled", -1, "out_of_range"),
        ("liquidations", "mark_price", 0, "out_of_range"),
        ("insurance", "balance", -1, "out_of_range"),
        ("insurance", "cause", "theft", "unknown_value"),
        ("acks", "order_id", None, "missing_field"),
        ("acks", "symbol", "*", "reserved_symbol"),
        ("acks", "received_at", 5, "out_of_range"),
        ("acks", "request", "modify", "unknown_value"),
        ("acks", "trigger_price", 0, "out_of_range"),
        ("fees", "maker_rate", None, "missing_field"),
        ("fees", "liquidation_rate", -0.1, "out_of_range"),
        ("references", "index_sources", [], "wrong_length"),
    ],
)
def test_the_other_streams_refuse_alike(stream: str, field: str, value: Any, reason: str):
    rejection = refused(record(stream, **{field: value}), stream)
    assert rejection.reason == reason
    assert rejection.detail.startswith(field)


def test_exactly_as_far_ahead_as_allowed_is_accepted():
    assert accepted(record(ts_event=NOW + AHEAD)).ts_event == NOW + AHEAD


def test_a_record_is_judged_by_its_own_timestamp_and_not_by_its_neighbours():
    dated = [record(ts_event=NOW), record(ts_event=NOW + 2 * AHEAD), record(ts_event=NOW + AHEAD)]
    at_ms = NOW // 10**6
    minute_ms = AHEAD // 10**6
    decoded = decoder().decode(dated, [at_ms, at_ms, at_ms])
    assert [(r.index, r.reason) for r in decoded.rejections] == [(1, "in_the_future")]
    assert "2023-11-14T22:13:20Z" in decoded.rejections[0].detail
    later = decoder().decode(dated, [at_ms, at_ms + minute_ms, at_ms + minute_ms])
    assert later.rejections == []


def test_a_bad_record_costs_only_itself():
    values = [record(order_id=f"o{n}") for n in range(6)]
    values[1] = b"{"
    values[4] = None
    decoded = decoder().decode(values, arrived(values))
    assert [event.order_id for event in decoded.events] == ["o0", "o2", "o3", "o5"]
    assert [(r.index, r.reason) for r in decoded.rejections] == [(1, "not_json"), (4, "empty")]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.none()
        | st.binary(max_size=40)
        | st.dictionaries(
            st.sampled_from(["ts_event", "symbol", "order_id", "side", "price", "quantity"]),
            st.sampled_from([NOW, "BTC", "buy", 1.5, "2", -1, True])
            | st.text(max_size=70)
            | st.none(),
        ).map(lambda fields: json.dumps(fields).encode())
        | st.just(record()),
        max_size=8,
    ),
    st.sampled_from(sorted(ALL_STREAMS)),
    st.sampled_from(["ns", "us", "ms", "s"]),
    st.sampled_from([{}, {"symbol": "sym", "ts_event": "T"}]),
)
def test_no_bytes_raise_and_every_record_is_accounted_for(
    values: list[bytes | None], stream: str, unit: TimeUnit, fields: dict[str, str] | None
):
    decoded = decoder(stream, fields, unit).decode(values, arrived(values))
    assert len(decoded.events) + len(decoded.rejections) == len(values)
    indexes = [rejection.index for rejection in decoded.rejections]
    assert indexes == sorted(set(indexes))


@pytest.mark.parametrize("position", [0, 63, 64, 149])
def test_a_batch_is_as_its_records_one_by_one(position: int):
    values = [record(order_id=f"o{n}") for n in range(149)]
    values.insert(position, record(price=0))
    one_by_one = [event for value in values for event in decode(value).events]
    decoded = decoder().decode(values, arrived(values))
    assert decoded.events == one_by_one
    assert [rejection.index for rejection in decoded.rejections] == [position]


MAPPING = {"ts_event": "T", "order_id": "oid", "quantity": "sz", "symbol": "coin"}


def mapped(**changes: Any):
    fields = {"T": NOW, "coin": "BTC-PERP", "oid": "o1", "side": "buy", "price": "3", "sz": "2"}
    return json.dumps({**fields, **changes}).encode()


def test_mapped_names_decode_into_our_fields():
    event = accepted(mapped(), fields=MAPPING)
    assert isinstance(event, Order)
    assert event.kind is Kind.ORDER
    ours = Order(ts_event=NOW, symbol="BTC-PERP", order_id="o1", side="buy", price=3, quantity=2)
    assert msgspec.structs.astuple(event) == msgspec.structs.astuple(ours)


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"oid": None}, "missing_field", "oid (order_id) is missing"),
        ({"sz": 0}, "out_of_range", "sz (quantity) is 0; it must be a number from 1e-30"),
        ({"T": 5}, "too_old", "T (ts_event) is 5 ns"),
        ({"T": NOW + 2 * AHEAD}, "in_the_future", "T (ts_event) is"),
        ({"price": None}, "missing_field", "price is missing"),
        ({"side": "?"}, "unknown_side", 'side is "?"'),
    ],
)
def test_a_refusal_names_the_venues_field_and_ours(changes: Any, reason: str, words: str):
    rejection = refused(mapped(**changes), fields=MAPPING)
    assert rejection.reason == reason
    assert words in rejection.detail


def test_our_own_name_is_no_longer_read_once_it_is_mapped():
    assert refused(record(), fields=MAPPING).reason == "missing_field"


@pytest.mark.parametrize(("unit", "scale"), [("us", 10**3), ("ms", 10**6), ("s", 10**9)])
def test_events_carry_nanoseconds_whatever_the_unit(unit: TimeUnit, scale: int):
    values = [record(ts_event=NOW // scale), record(ts_event=NOW // scale - 1)]
    for batch in (values, [*values, b""]):
        decoded = decoder(time_unit=unit).decode(batch, arrived(batch))
        assert [event.ts_event for event in decoded.events] == [NOW, NOW - scale]


@pytest.mark.parametrize(
    ("ts_event", "unit", "reason", "words"),
    [
        (946_684_799_999, "ms", "too_old", "1999-12-31"),
        (NOW, "ms", "in_the_future", 'It looks like ns: set wire.time_unit = "ns"'),
        (NOW // 10**9, "ms", "too_old", 'It looks like s: set wire.time_unit = "s"'),
        ((NOW + AHEAD) // 10**6 + 1, "ms", "in_the_future", "ms (2023-11-14T"),
    ],
)
def test_the_bounds_of_time_hold_in_every_unit(
    ts_event: int, unit: TimeUnit, reason: str, words: str
):
    rejection = refused(record(ts_event=ts_event), time_unit=unit)
    assert rejection.reason == reason
    assert words in rejection.detail


def test_both_times_of_a_status_are_in_the_venues_unit():
    value = record("statuses", ts_event=NOW // 10**6, until=NOW // 10**6 + 5)
    status = accepted(value, "statuses", time_unit="ms")
    assert (status.ts_event, status.until) == (NOW, NOW + 5 * 10**6)
    assert accepted(record("statuses", without=["until"]), "statuses")
    rejection = refused(
        record("statuses", ts_event=NOW // 10**6, until=NOW), "statuses", time_unit="ms"
    )
    assert rejection.reason == "out_of_range"


def test_a_fund_may_be_that_of_the_whole_venue_and_an_account_may_have_any_name():
    assert accepted(record("insurance", symbol="*"), "insurance").symbol == "*"
    assert accepted(record("accounts", account="*"), "accounts").account == "*"


def test_a_position_may_have_lost_more_than_its_margin():
    position = accepted(record("positions", margin=-12.5, margin_mode="isolated"), "positions")
    assert position.margin == -12.5


def test_the_step_of_a_liquidation_may_have_the_venues_name():
    value = record("liquidations", without=["phase"], kind="slice")
    event = accepted(value, "liquidations", fields={"phase": "kind"})
    assert (event.phase, event.kind) == ("slice", Kind.LIQUIDATION)


def test_the_times_of_a_change_of_margins_are_in_the_venues_unit():
    now_ms = NOW // 10**6
    value = record("margins", ts_event=now_ms, announced_at=now_ms - 1, effective_at=now_ms + 10**9)
    margin = accepted(value, "margins", time_unit="ms")
    assert (margin.announced_at, margin.effective_at) == (NOW - 10**6, NOW + 10**15)
    unknown = record("margins", ts_event=now_ms, announced_at=None)
    assert accepted(unknown, "margins", time_unit="ms").announced_at is None


TIERS = [
    {"up_to_notional": 50_000, "initial_rate": 0.01, "maintenance_rate": "0.005"},
    {"up_to_notional": 250_000, "maintenance_rate": 0.01},
    {"maintenance_rate": 0.025},
]


def tiers(number: int, **changes: Any):
    """The record of a margin whose tier of this number is changed."""
    changed = [dict(tier) for tier in TIERS]
    changed[number] |= changes
    return record("margins", tiers=changed)


def test_tiers_decode_in_their_order():
    margin = accepted(record("margins", tiers=TIERS), "margins")
    assert [tier.up_to_notional for tier in margin.tiers] == [50_000, 250_000, None]
    assert [tier.maintenance_rate for tier in margin.tiers] == [0.005, 0.01, 0.025]
    flat = tiers(1, maintenance_rate=0.005, initial_rate=0.01)
    assert accepted(flat, "margins").tiers[1].initial_rate == 0.01


@pytest.mark.parametrize(
    ("value", "reason", "sentence"),
    [
        (
            tiers(1, up_to_notional=50_000),
            "unordered_tiers",
            "tiers[1].up_to_notional is 50000; it must be above that of the tier before it, 50000",
        ),
        (
            tiers(0, up_to_notional=None),
            "unordered_tiers",
            "tiers[0].up_to_notional is missing; only the last tier may have no bound",
        ),
        (
            tiers(1, maintenance_rate=0.4),
            "unordered_tiers",
            (
                "tiers[2].maintenance_rate is 0.025; it must be at least that of the tier before "
                "it, 0.4"
            ),
        ),
        (
            tiers(1, initial_rate=0.009),
            "unordered_tiers",
            "tiers[1].initial_rate is 0.009; it must be at least the maintenance rate, 0.01",
        ),
        (
            tiers(0, initial_rate=0.5).replace(
                b'"maintenance_rate": 0.025', b'"maintenance_rate": 0.025, "initial_rate": 0.1'
            ),
            "unordered_tiers",
            "tiers[2].initial_rate is 0.1; it must be at least that of the tiers before it, 0.5",
        ),
        (
            tiers(1, maintenance_rate=1.5),
            "out_of_range",
            "tiers[1].maintenance_rate is 1.5; it must be a number above 0 and below 1",
        ),
        (
            tiers(2, maintenance_rate=None),
            "missing_field",
            "tiers[2].maintenance_rate is missing; it must be a number above 0 and below 1",
        ),
        (
            record("margins", tiers=[{"up_to_notional": 5}]),
            "missing_field",
            "tiers[0].maintenance_rate is missing; it must be a number above 0 and below 1",
        ),
        (
            tiers(0, up_to_notional="much"),
            "wrong_type",
            'tiers[0].up_to_notional is "much"; it must be a number from 1e-30 to 1e+15',
        ),
        (record("margins", tiers=[7]), "wrong_type", "tiers[0] is 7; it must be an object"),
        (
            record("margins", tiers=[]),
            "wrong_length",
            "tiers is []; it must be a list of 1 or more objects",
        ),
        (
            record("margins", tiers={}),
            "wrong_type",
            "tiers is {}; it must be a list of 1 or more objects",
        ),
    ],
)
def test_tiers_that_break_a_rule_are_refused_by_tier_and_field(
    value: bytes, reason: str, sentence: str
):
    rejection = refused(value, "margins")
    assert (rejection.reason, rejection.detail) == (reason, sentence)


def test_refused_tiers_are_named_as_the_venue_names_them():
    value = record("margins", without=["tiers"], brackets=[*TIERS, {"maintenance_rate": 0.001}])
    rejection = refused(value, "margins", fields={"tiers": "brackets"})
    assert rejection.detail.startswith("brackets (tiers)[2].up_to_notional is missing")


def test_an_unknown_trading_state_is_refused_with_the_known_ones():
    rejection = refused(record("statuses", state="asleep"), "statuses")
    assert rejection.reason == "unknown_state"
    assert rejection.detail.startswith('state is "asleep"; it must be one of "auction"')
