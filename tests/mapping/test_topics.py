"""Which topics a configuration with mappings reads, and what is said if they are not there."""

from pathlib import Path

from service.kafka.cluster.topics import Topic, examine, wanted_topics
from service.settings.assembly import input_topics, risk_topics, stream_topics
from tests.mapping.configured import settings
from tests.mapping.test_mapping import ENVELOPE, FULL, ORDERS, POSITIONS

ONE = FULL + ENVELOPE
MANY = ONE.replace('["md"]', '["md.*", "extra"]')


def topics(*names: str, partitions: int = 3) -> dict[str, Topic]:
    return {name: Topic(name, partitions, {}) for name in names}


def test_one_topic_takes_the_place_of_three(tmp_path: Path):
    its = settings(ONE, tmp_path)
    inputs = input_topics(its, ["md", "market.orders", "market.positions", "other"])
    assert inputs == {"positions": "market.positions", "topic:md": "md"}
    assert stream_topics(its, inputs) == {
        "positions": "market.positions",
        "orders": "md",
        "cancels": "md",
        "trades": "md",
    }


def test_a_pattern_stands_for_the_topics_that_exist_and_have_no_other_use(tmp_path: Path):
    text = MANY + '\n[outputs]\nalerts = "md.alerts"\n[topics]\npositions = "md.positions"\n'
    existing = ["md.BTC", "md.ETH", "extra", "md.alerts", "md.positions", "__md.x", "venue"]
    assert list(input_topics(settings(text, tmp_path), existing).values()) == [
        "md.positions",
        "extra",
        "md.BTC",
        "md.ETH",
    ]


def test_a_topic_of_a_mapping_that_is_missing_is_a_problem(tmp_path: Path):
    problems = examine(settings(ONE, tmp_path), {}).problems
    assert any("the topic md (mappings[0].topics) does not exist" in its for its in problems)
    assert not any("market.orders" in its for its in problems)


def test_a_pattern_that_fits_no_topic_is_a_problem(tmp_path: Path):
    its = settings(ONE.replace('["md"]', '["md.*"]'), tmp_path)
    problems = examine(its, topics("venue")).problems
    assert any('no topic matches mappings[0].topics = ["md.*"]' in its for its in problems)
    assert not any("no topic matches" in its for its in examine(its, topics("md.BTC")).problems)


def test_topics_of_mappings_need_the_same_number_of_partitions(tmp_path: Path):
    found = topics("md.BTC", "extra") | topics("md.ETH", partitions=4)
    problems = examine(settings(MANY, tmp_path), found).problems
    assert any("md.ETH has 4" in its for its in problems)


def test_a_topic_is_wanted_once(tmp_path: Path):
    names = [its.name for its in wanted_topics(settings(MANY, tmp_path), ["md.BTC", "extra"])]
    assert sorted(names) == sorted(set(names))
    assert {"md.BTC", "extra"} <= set(names)


def test_the_risk_of_positions_reads_the_topics_of_its_streams(tmp_path: Path):
    text = ORDERS + POSITIONS.replace('"md"', '"md.positions"')
    its = settings(text, tmp_path)
    existing = ["md", "md.positions", "market.references", "market.positions"]
    assert risk_topics(its, existing) == {
        "references": "market.references",
        "topic:md.positions": "md.positions",
    }
