"""A batch as a whole becomes the same as its messages one by one."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.mapping.decoder import MappedDecoder
from service.mapping.reader import Batch
from tests.mapping.configured import NOW_MS, decode, decoder, encoded
from tests.mapping.test_mapping import ENVELOPE, FULL, MS

MORE = """
account = {path = "a", absent = ["", 0]}
leverage = {path = "lev", divisor = 100}
"""

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(
        [MS, "", "0", "buy", "sell", "1.5", "x" * 70, "open", "done", "canceled", 1.5, "1e400"]
    ),
    st.just([1]),
    st.just({"b": 1}),
)
good = {"type": "open", "t": MS, "s": "BTC", "i": 7, "d": "buy", "p": "1.5", "q": 2, "lev": 500}
messages = st.one_of(
    st.just(good),
    st.fixed_dictionaries({}, optional=dict.fromkeys([*good, "a", "reason"], values)).map(
        lambda some: {**good, **some}
    ),
    st.lists(st.dictionaries(st.sampled_from("tndpq"), values), max_size=2).map(
        lambda fills: {"channel": "trades", "instrument": {"name": "E"}, "data": {"fills": fills}}
    ),
    st.just({"channel": "trades", "data": None}),
)


@pytest.fixture(scope="module")
def its(tmp_path_factory: pytest.TempPathFactory) -> MappedDecoder[Any]:
    directory: Path = tmp_path_factory.mktemp("mapping")
    orders, cancels = FULL.split('\n[[mappings]]\nstream = "cancels"')
    text = orders + MORE + '\n[[mappings]]\nstream = "cancels"' + cancels + ENVELOPE
    return decoder(text, directory)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(messages, min_size=1, max_size=8))
def test_a_batch_becomes_what_its_messages_become_alone(its: MappedDecoder[Any], batch: list[Any]):
    decoded = decode(its, *batch)
    events: list[Any] = []
    refused: list[int] = []
    for index, message in enumerate(batch):
        found, refusals = its.explain(Batch([encoded(message)], [NOW_MS], [None], [5 + index]))
        events += [outcome.event for outcome in found if outcome.event is not None]
        refused += [index] if refusals else []
    assert decoded.events == events
    assert [its.index for its in decoded.rejections] == refused
