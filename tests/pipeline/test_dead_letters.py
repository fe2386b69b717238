"""A dead letter: the record itself, where it came from and why, and never more than fits."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from service.pipeline.dead_letters import ROOMS, dead_letter
from service.pipeline.rejection import Rejection

MEBIBYTE = 1_048_576
SIZES = st.sampled_from(
    [
        0,
        1,
        500,
        2_000,
        2_813,
        4_000,
        30_000,
        65_000,
        500_000,
        *range(MEBIBYTE - 1_500, MEBIBYTE, 100),
    ]
)
NOT_JSON = Rejection(0, "not_json", "not JSON: é")


def made(key, value, rejection=NOT_JSON, **room):
    return dead_letter("market.orders", 3, 42, 1_700_000_000_123, rejection, key, value, **room)


def size(letter):
    """As aiokafka reckons it."""
    return DefaultRecordBatchBuilder.estimate_size_in_bytes(*letter)


def test_a_dead_letter_is_the_record_itself_and_where_it_came_from():
    letter = made(b"AAA", b"\xff{")
    assert letter.key == b"AAA"
    assert letter.value == b"\xff{"
    assert dict(letter.headers) == {
        "foreshock.topic": b"market.orders",
        "foreshock.partition": b"3",
        "foreshock.offset": b"42",
        "foreshock.timestamp_ms": b"1700000000123",
        "foreshock.reason": b"not_json",
        "foreshock.detail": "not JSON: é".encode(),
        "foreshock.size": b"2",
    }


def test_a_record_without_a_value_becomes_an_empty_dead_letter():
    letter = made(None, None)
    assert letter.key is None
    assert letter.value == b""
    assert dict(letter.headers)["foreshock.size"] == b"0"


def test_a_dead_letter_fits_where_its_record_did_not():
    letter = made(b"AAA", b"x" * 5 * MEBIBYTE)
    assert MEBIBYTE - 2_048 < size(letter) < MEBIBYTE
    assert letter.key == b"AAA"
    assert dict(letter.headers)["foreshock.size"] == str(5 * MEBIBYTE).encode()


def test_a_key_leaves_room_for_the_value():
    letter = made(b"k" * 2 * MEBIBYTE, b"not JSON")
    assert letter.value == b"not JSON"
    assert dict(letter.headers)["foreshock.key_size"] == str(2 * MEBIBYTE).encode()
    letter = made(b"k" * 2_000, b"x" * (MEBIBYTE - 100))
    assert letter.key == b"k" * 2_000
    assert "foreshock.key_size" not in dict(letter.headers)


@pytest.mark.parametrize("room", ROOMS)
@given(key=st.none() | SIZES, value=st.none() | SIZES, detail=SIZES)
def test_whatever_is_too_large_the_dead_letter_has_its_room(room, key, value, detail):
    letter = made(
        None if key is None else b"k" * key,
        None if value is None else b"v" * value,
        Rejection(0, "not_json", "d" * detail),
        room=room,
    )
    # Its place and the reason take a little also where there is no room for anything.
    assert size(letter) <= (room or 1_024)
    place = dict(letter.headers)
    assert place["foreshock.topic"] == b"market.orders"
    assert place["foreshock.offset"] == b"42"
    assert place["foreshock.reason"] == b"not_json"
