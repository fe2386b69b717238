"""What messages of a venue's own shape become, by the rules of ``[[mappings]]``."""

from pathlib import Path
from typing import Any

import pytest

from detectors.market_data.events import Kind
from service.settings.assembly import decoders
from tests.mapping.configured import (
    NOW_MS,
    TOPIC,
    decode,
    decoder,
    event,
    rejection,
    settings,
)

MS = 1_700_000_000_123
NS = 1_700_000_000_123_000_000

ORDERS = """
[[mappings]]
stream = "orders"
topics = ["md"]
time_unit = "ms"
[mappings.fields]
ts_event = "t"
symbol = "s"
order_id = "i"
side = "d"
price = "p"
quantity = "q"
"""
ORDER = {"t": MS, "s": "BTC", "i": 7, "d": "buy", "p": "1.5", "q": 2}


def with_field(name: str, rule: str, text: str = ORDERS) -> str:
    """The configuration with another rule for one field."""
    lines = [line for line in text.splitlines() if not line.startswith(f"{name} = ")]
    return "\n".join([*lines, f"{name} = {rule}"])


def of_order(directory: Path, name: str, rule: str, **changes: Any) -> Any:
    found = event(decoder(with_field(name, rule), directory), {**ORDER, **changes})
    return getattr(found, name)


def test_fields_have_other_names_and_ids_may_be_integers(tmp_path: Path):
    order = event(decoder(ORDERS, tmp_path), ORDER)
    assert (order.kind, order.ts_event, order.symbol) == (Kind.ORDER, NS, "BTC")
    assert (order.order_id, order.side, order.price, order.quantity) == ("7", "buy", 1.5, 2.0)
    assert order.account is None


@pytest.mark.parametrize(
    ("unit", "time", "ns"),
    [
        ("ns", NS + 7, NS + 7),
        ("us", NS // 1_000, NS),
        ("ms", str(MS), NS),
        ("s", NS // 1_000_000_000, NS - 123_000_000),
        ("s", 1_700_000_000.123, NS),
        ("s", "1700000000.123000007", NS + 7),
        ("iso", "2023-11-14T22:13:20.123Z", NS),
        ("iso", "2023-11-14T22:13:20.123000007Z", NS + 7),
        ("iso", "2023-11-15T00:13:20.123+02:00", NS),
        ("iso", "2023-11-14 22:13:20Z", NS - 123_000_000),
    ],
)
def test_times_have_the_unit_of_their_stream(tmp_path: Path, unit: str, time: Any, ns: int):
    text = ORDERS.replace('time_unit = "ms"', f'time_unit = "{unit}"')
    assert event(decoder(text, tmp_path), {**ORDER, "t": time}).ts_event == ns


def test_a_time_may_count_from_a_moment_of_its_own(tmp_path: Path):
    rule = '{path = "t", unit = "s", since = 2023-11-14T00:00:00-05:00}'
    assert of_order(tmp_path, "ts_event", rule, t="34200.004") == (
        1_699_938_000_000_000_000 + 34_200_004_000_000
    )


@pytest.mark.parametrize(
    ("theirs", "ours"), [("B", "buy"), (1, "buy"), ("1", "buy"), ("S", "sell")]
)
def test_values_are_replaced_and_a_number_is_its_text(tmp_path: Path, theirs: Any, ours: str):
    rule = '{path = "d", values = {B = "buy", 1 = "buy", S = "sell"}}'
    assert of_order(tmp_path, "side", rule, d=theirs) == ours


def test_a_value_for_all_others(tmp_path: Path):
    rule = '{path = "d", values = {B = "buy", "*" = "sell"}}'
    assert of_order(tmp_path, "side", rule, d="ask") == "sell"


def test_flags_may_be_texts(tmp_path: Path):
    text = ORDERS + 'reduce_only = {path = "f", values = {CLOSE = true, OPEN = false}}'
    assert event(decoder(text, tmp_path), {**ORDER, "f": "CLOSE"}).reduce_only is True


@pytest.mark.parametrize("nothing", ["", "0", 0, None])
def test_some_values_mean_that_a_field_is_absent(tmp_path: Path, nothing: Any):
    text = ORDERS + 'account = {path = "a", absent = ["", 0]}'
    assert event(decoder(text, tmp_path), {**ORDER, "a": nothing}).account is None


@pytest.mark.parametrize("nothing", ["0.00000000", 0.0, "0", "-0"])
def test_a_number_is_absent_however_it_is_written(tmp_path: Path, nothing: Any):
    rule = '{path = "p", absent = [0]}'
    text = with_field("price", rule) + '\ntype = {value = "market"}'
    assert event(decoder(text, tmp_path), {**ORDER, "p": nothing}).price is None


def test_integers_may_be_scaled(tmp_path: Path):
    rule = '{path = "q", divisor = 1e18}'
    assert of_order(tmp_path, "quantity", rule, q="1500000000000000000") == 1.5
    assert of_order(tmp_path, "quantity", rule, q=1500000000000000000) == 1.5


def test_a_quantity_may_be_a_difference_without_the_noise_of_binary_fractions(tmp_path: Path):
    rule = '{path = "q", minus = "done"}'
    assert of_order(tmp_path, "quantity", rule, q="0.3", done=0.1) == 0.2
    assert of_order(tmp_path, "quantity", rule, q="0.3") == 0.3


def test_contracts_become_base_units_by_symbol(tmp_path: Path):
    rule = '{path = "q", contract_size = {"BTC*" = 0.01, "*" = 10}}'
    assert of_order(tmp_path, "quantity", rule, q=300) == 3
    assert of_order(tmp_path, "quantity", rule, q=300, s="ETH") == 3000


def test_contracts_of_an_inverse_symbol_are_worth_quote_currency(tmp_path: Path):
    rule = '{path = "q", contract_size = 10, inverse = true}'
    assert of_order(tmp_path, "quantity", rule, q=500, p=20_000) == 0.25


def test_a_side_may_be_the_makers(tmp_path: Path):
    rule = '{path = "d", values = {true = "sell", false = "buy"}, opposite = true}'
    assert of_order(tmp_path, "side", rule, d=True) == "buy"


def test_a_path_leads_into_objects_and_lists(tmp_path: Path):
    found = of_order(tmp_path, "price", '"levels.1.px"', levels=[{"px": 1}, {"px": "2.5"}])
    assert found == 2.5


def test_a_constant_and_the_front_of_a_channel(tmp_path: Path):
    assert of_order(tmp_path, "type", '{value = "limit"}') == "limit"
    rule = '{path = "channel", after = "live_orders_"}'
    assert of_order(tmp_path, "symbol", rule, channel="live_orders_btcusd") == "btcusd"


def test_the_symbol_may_be_the_key_and_an_id_the_offset(tmp_path: Path):
    text = with_field("order_id", '"@offset"', with_field("symbol", '"@key"'))
    order = event(decoder(text, tmp_path), ORDER, key=b"ETH")
    assert (order.symbol, order.order_id) == ("ETH", "5")


ENVELOPE = """
[[mappings]]
stream = "trades"
topics = ["md"]
time_unit = "ms"
events = "data.fills"
when = {"$.channel" = "trades"}
[mappings.fields]
ts_event = "t"
symbol = "$.instrument.name"
trade_id = "n"
side = "d"
price = "p"
quantity = "q"
"""
FILL = {"t": MS, "n": 1, "d": "sell", "p": 2, "q": 3}


def envelope(*fills: Any, **changes: Any) -> Any:
    message = {"channel": "trades", "instrument": {"name": "ETH"}, "data": {"fills": list(fills)}}
    return {**message, **changes}


def test_an_envelope_holds_a_list_of_events_and_their_symbol(tmp_path: Path):
    two = envelope(FILL, {**FILL, "n": 2})
    decoded = decode(decoder(ENVELOPE, tmp_path), two, envelope(), envelope({**FILL, "n": 3}))
    assert [(trade.symbol, trade.trade_id) for trade in decoded.events] == [
        ("ETH", "1"),
        ("ETH", "2"),
        ("ETH", "3"),
    ]
    assert (decoded.places, decoded.ignored, decoded.rejections) == ([0, 0, 2], 1, [])


def test_one_event_with_a_fault_keeps_the_others_of_its_message(tmp_path: Path):
    bad = envelope(FILL, {**FILL, "d": "up"}, {**FILL, "n": 3})
    decoded = decode(decoder(ENVELOPE, tmp_path), bad, envelope({**FILL, "n": 4}))
    assert [trade.trade_id for trade in decoded.events] == ["1", "3", "4"]
    assert decoded.places == [0, 0, 1]
    (refused,) = decoded.rejections
    assert (refused.index, refused.reason) == (0, "unknown_side")
    assert refused.detail.startswith('data.fills[1]: d (side) is "up"; it must be one of "buy"')


FULL = (
    ORDERS.replace('topics = ["md"]', 'topics = ["md"]\nwhen = {type = ["open", "new*"]}')
    + """
[[mappings]]
stream = "cancels"
topics = ["md"]
time_unit = "ms"
when = {type = "done", reason = "canceled"}
fields = {ts_event = "t", symbol = "s", order_id = "i"}
"""
)


def test_a_field_decides_what_a_message_is_and_other_messages_are_ignored(tmp_path: Path):
    opened = {**ORDER, "type": "open"}
    canceled = {"type": "done", "reason": "canceled", "t": MS, "s": "BTC", "i": 7}
    decoded = decode(
        decoder(FULL, tmp_path),
        {**canceled, "i": 6},
        opened,
        {"type": "heartbeat"},
        {**canceled, "reason": "filled"},
        {**opened, "type": "newly"},
        canceled,
    )
    assert [(its.kind, its.order_id) for its in decoded.events] == [
        (Kind.CANCEL, "6"),
        (Kind.ORDER, "7"),
        (Kind.ORDER, "7"),
        (Kind.CANCEL, "7"),
    ]
    assert (decoded.places, decoded.ignored, decoded.rejections) == ([0, 1, 4, 5], 2, [])


def test_a_condition_may_exclude_values(tmp_path: Path):
    text = ORDERS.replace('topics = ["md"]', 'topics = ["md"]\nwhen = {kind = ["!stop*", "!x"]}')
    kinds = ["limit", "stop_limit", "x", None]
    decoded = decode(decoder(text, tmp_path), *({**ORDER, "kind": kind} for kind in kinds))
    assert (decoded.places, decoded.ignored) == ([0, 3], 2)


def test_a_message_without_a_time_takes_that_of_its_record(tmp_path: Path):
    text = with_field("ts_event", '{path = "@timestamp", unit = "ms"}')
    assert event(decoder(text, tmp_path), ORDER).ts_event == NOW_MS * 1_000_000


def test_messages_with_and_without_a_list_share_a_topic(tmp_path: Path):
    text = FULL + ENVELOPE
    opened = {**ORDER, "type": "open", "data": "no list here"}
    decoded = decode(decoder(text, tmp_path), envelope(FILL), opened, {"channel": "pong"})
    assert [its.kind for its in decoded.events] == [Kind.TRADE, Kind.ORDER]
    assert (decoded.places, decoded.ignored, decoded.rejections) == ([0, 1], 1, [])


@pytest.mark.parametrize("value", ["x", -1, [1], {"a": 1}, 1e9])
def test_an_optional_field_that_cannot_be_read_is_absent_and_counted(tmp_path: Path, value: Any):
    text = ORDERS + 'leverage = "lev"'
    orders = [ORDER, {**ORDER, "lev": value}, {**ORDER, "lev": 5}]
    decoded = decode(decoder(text, tmp_path), *orders)
    assert [order.leverage for order in decoded.events] == [None, None, 5]
    assert (decoded.unread, decoded.rejections) == ({"orders.leverage": 1}, [])


@pytest.mark.parametrize(
    ("changes", "reason", "sentence"),
    [
        ({"d": "up"}, "unknown_side", 'd (side) is "up"; it must be one of "buy", "sell"'),
        ({"q": "many"}, "wrong_type", 'q (quantity) is "many"; it must be a number from 1e-30'),
        ({"q": 0}, "out_of_range", "q (quantity) is 0; it must be a number from 1e-30 to 1e+15"),
        ({"q": None}, "missing_field", "q (quantity) is missing; it must be a number"),
        ({"p": None}, "missing_field", "p (price) is missing"),
        ({"i": "x" * 65}, "wrong_length", "i (order_id) is"),
        ({"i": True}, "wrong_type", "i (order_id) is true; it must be text"),
        ({"t": "soon"}, "wrong_type", 't (ts_event) is "soon"; it must be a time in ms'),
        ({"t": 1_700_000_000}, "too_old", "t (ts_event) is 1700000000; it must be a time in ms"),
        ({"t": MS * 2}, "in_the_future", "t (ts_event)"),
        ({"s": "a\u202eb"}, "not_printable", "s (symbol)"),
        ({"s": "*"}, "reserved_symbol", "s (symbol)"),
    ],
)
def test_a_required_field_that_cannot_be_read_makes_a_dead_letter(
    tmp_path: Path, changes: Any, reason: str, sentence: str
):
    refused = rejection(decoder(ORDERS, tmp_path), {**ORDER, **changes})
    assert refused.reason == reason
    assert refused.detail.startswith(sentence)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "not_json"),
        (b"[1]", "not_an_object"),
        (b'{"s": "\xff"}', "not_utf8"),
        (b"7", "not_an_object"),
    ],
)
def test_what_is_no_object_is_a_dead_letter(tmp_path: Path, value: bytes, reason: str):
    assert rejection(decoder(ORDERS, tmp_path), value).reason == reason


def test_a_record_beyond_the_limit_is_a_dead_letter(tmp_path: Path):
    text = "[wire]\nmax_record_bytes = 1024\n" + ORDERS
    assert rejection(decoder(text, tmp_path), {**ORDER, "x": "y" * 2000}).reason == "too_large"


def test_a_tombstone_is_ignored(tmp_path: Path):
    decoded = decode(decoder(ORDERS, tmp_path), None, ORDER, b"")
    assert (len(decoded.events), decoded.ignored, decoded.rejections) == (1, 2, [])


POSITIONS = """
[[mappings]]
stream = "positions"
topics = ["md"]
time_unit = "ms"
[mappings.fields]
ts_event = "t"
symbol = "s"
account = "a"
quantity = {path = "size", sign = "d", negative = ["Sell"]}
entry_price = "entry"
"""


@pytest.mark.parametrize("entry", ["0", 0, "", None])
def test_a_flat_position_needs_no_entry_price(tmp_path: Path, entry: Any):
    flat = {"t": MS, "s": "BTC", "a": 1, "size": "0", "d": "", "entry": entry}
    assert event(decoder(POSITIONS, tmp_path), flat).quantity == 0


def test_a_position_takes_its_sign_from_another_field(tmp_path: Path):
    short = {"t": MS, "s": "BTC", "a": 1, "size": "2", "d": "Sell", "entry": "9"}
    assert event(decoder(POSITIONS, tmp_path), short).quantity == -2
    assert rejection(decoder(POSITIONS, tmp_path), {**short, "entry": 0}).reason == "out_of_range"


def test_the_prefix_of_a_schema_registry_is_removed(tmp_path: Path):
    its = decoder('[wire]\nframing = "confluent"\n' + ORDERS, tmp_path)
    framed = b'\0\0\0\0\x07{"t": 1700000000123, "s": "B", "i": 1, "d": "buy", "p": 1, "q": 1}'
    assert event(its, framed).symbol == "B"
    refused = rejection(its, ORDER)
    assert refused.reason == "not_json"
    assert "wire.framing" in refused.detail


def test_the_prefix_is_removed_from_plain_records_too(tmp_path: Path):
    its = settings('[wire]\nframing = "confluent"\ntime_unit = "ms"\n', tmp_path)
    plain = decoders(its, ["cancels"])["cancels"]
    record = b'{"ts_event": 1700000000123, "symbol": "B", "order_id": "1"}'
    decoded = plain.decode([b"\0\0\0\0\x07" + record, record], [NOW_MS] * 2)
    assert [event.symbol for event in decoded.events] == ["B"]
    assert [refused.reason for refused in decoded.rejections] == ["not_json"]


def test_a_topic_or_a_pattern_selects_the_entries(tmp_path: Path):
    text = ORDERS.replace('["md"]', '["md.*.full", "extra"]')
    for topic in ("md.BTC.full", "extra"):
        assert event(decoder(text, tmp_path, topic), ORDER).symbol == "BTC"
    assert TOPIC == "md"
