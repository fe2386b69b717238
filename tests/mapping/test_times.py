"""Times of a batch, read at once, are those that are read one by one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.mapping.times import nanoseconds

DAY_AND_MORE = (datetime.fromisoformat("2023-11-14"), datetime.fromisoformat("2023-11-15T01:00"))
WHOLE = st.datetimes(*DAY_AND_MORE).map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%S"))


@given(
    wholes=st.lists(WHOLE, min_size=1, max_size=5),
    fraction=st.sampled_from(["", ".0", ".123456", ".000000007", ".9999999999"]),
)
@example(wholes=["2023-11-14T23:59:59", "2023-11-14T00:00:00"], fraction=".999999999")
def test_a_batch_has_the_times_of_its_texts(wholes: list[str], fraction: str):
    texts = [f"{whole}{fraction}Z" for whole in wholes]
    assert nanoseconds(texts, "iso") == [nanoseconds([text], "iso")[0] for text in texts]
    second = datetime.fromisoformat(wholes[0]).replace(tzinfo=UTC)
    ns = int(fraction[1:10].ljust(9, "0")) if fraction else 0
    expected = (second - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * 10**9 + ns
    assert nanoseconds(texts, "iso")[0] == expected


GOOD = "2023-11-14T22:13:20.5Z"


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-14T24:13:20.5Z",
        "2023-11-14T22:60:20.5Z",
        "2023-11-14T22:13:6x.5Z",
        "2023-11-14T22:13:20x5Z",
        "2023-11-14T22:13:20.5z ",
        "2023-11-14T22-13:20.5Z",
        "2023-11-14T22:13:20.\N{ARABIC-INDIC DIGIT FIVE}Z",
        "2023-11-14T22:13:20.5",
    ],
)
def test_a_text_that_is_no_time_is_found_in_a_batch_too(text: str):
    for texts in ([text], [GOOD, text], [text, GOOD], [GOOD, text, GOOD]):
        with pytest.raises(ValueError, match=r"."):
            nanoseconds(texts, "iso")


def test_texts_of_other_lengths_do_not_pass_as_those_beside_them():
    texts = [GOOD[:-1], f"Z{GOOD}", GOOD]  # as long as three
    with pytest.raises(ValueError, match=r"."):
        nanoseconds(texts, "iso")
    assert nanoseconds([GOOD, None, f"{GOOD[:-1]}07Z"], "iso")[1] is None
