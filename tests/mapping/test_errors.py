"""Errors in ``[[mappings]]`` name the entry, the field and the value, and what would be right."""

from pathlib import Path

import pytest

from service.errors import ConfigurationError
from service.settings.load import effective, load
from tests.mapping.configured import settings
from tests.mapping.test_mapping import ENVELOPE, ORDERS, POSITIONS, with_field


def with_line(line: str, text: str = ORDERS) -> str:
    """The configuration with another line in front of the fields."""
    return text.replace("[mappings.fields]", f"{line}\n[mappings.fields]")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (with_line('topic = "x"'), "mappings[0].topic (FILE): unknown setting; did you mean"),
        (
            with_line('events = ""'),
            'mappings[0].events = "" (FILE): it must be the path of a field',
        ),
        (with_line('when = ["a"]'), "it must be a table of paths to a value"),
        (ORDERS.replace('stream = "orders"', 'stream = "order"'), 'it must be one of "accounts"'),
        (ORDERS.replace('topics = ["md"]', ""), "mappings[0].topics (FILE): it is missing"),
        (
            ORDERS + 'sid = "x"',
            "mappings[0].fields.sid: orders have no such field; did you mean side?",
        ),
        (
            ORDERS.replace('quantity = "q"', ""),
            "mappings[0].fields: quantity missing; orders need them",
        ),
        (with_field("side", "7"), "mappings[0].fields.side = 7: it must be a path, or a table"),
        (with_field("side", '""'), "mappings[0].fields.side: it must be the path of a field"),
        (
            with_field("side", '{path = "d", valves = {}}'),
            "side.valves: unknown setting; did you mean values?",
        ),
        (with_field("side", '{path = "d", opposite = 1}'), "side.opposite = 1: Expected `bool`"),
        (with_field("side", "{}"), "mappings[0].fields.side: give it either a path or a value"),
        (
            with_field("side", '{path = "d", values = {B = "bid"}}'),
            'values.B = "bid"; it must be one of "buy"',
        ),
        (with_field("side", '{value = "up"}'), 'value = "up"; it must be one of "buy"'),
        (with_field("side", '{path = "d", divisor = 2}'), "divisor is for numbers"),
        (with_field("price", '{path = "p", opposite = true}'), "opposite is for side"),
        (with_field("price", '{path = "p", unit = "ms"}'), "unit is for times"),
        (with_field("price", '{path = "p", after = "x"}'), "after is for names"),
        (with_field("price", '{path = "p", sign = "d"}'), "sign and negative belong together"),
        (
            with_field("order_id", '"@value"'),
            "@value is no path; there are @key, @offset, @timestamp",
        ),
        (with_field("order_id", '"d.id"'), "d is the path of a value, and of the object of d.id"),
        (
            ORDERS + POSITIONS.replace('"t"', '"t.ns"'),
            "t is the path of a value, and of the object of t.ns",
        ),
        (ENVELOPE.replace('"$.instrument.name"', '"$.data"'), "$.data is the path of a value"),
        ('[topics]\ncancels = "md"\n' + ORDERS, '"md" is the topic of topics.cancels'),
        ('[outputs]\nalerts = "md"\n' + ORDERS, '"md" is the topic of outputs.alerts'),
        (
            '[wire.fields.orders]\nprice = "x"\n' + ORDERS,
            "wire.fields.orders renames the same stream",
        ),
    ],
)
def test_an_error_says_where_it_is_and_what_would_be_right(
    tmp_path: Path, text: str, sentence: str
):
    with pytest.raises(ConfigurationError) as error:
        settings(text, tmp_path)
    assert sentence.replace("FILE", str(tmp_path / "foreshock.toml")) in str(error.value)


def test_the_effective_settings_are_a_file_with_the_same_mappings(tmp_path: Path):
    text = with_field("side", '{path = "d", values = {1 = "buy", "*" = "sell"}}', ENVELOPE)
    text += POSITIONS + ORDERS.replace('t"', 't"', 1)
    path = tmp_path / "one.toml"
    path.write_text(text, "utf-8")
    loaded = load(path, {})
    again = tmp_path / "two.toml"
    again.write_text(effective(loaded), "utf-8")
    assert load(again, {}).settings == loaded.settings


def test_the_stream_of_a_mapping_is_not_read_from_its_usual_topic(tmp_path: Path):
    its = settings('[topics]\norders = "md"\n' + ORDERS, tmp_path)  # not twice the same topic
    assert its.mappings[0].topics == ("md",)
