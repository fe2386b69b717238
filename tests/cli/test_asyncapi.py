"""The AsyncAPI document is that of the message types, under the names of the settings."""

import json
from pathlib import Path
from typing import Any

import msgspec
import yaml

from service.cli.asyncapi import asyncapi, to_yaml
from service.kafka.cluster.topics import wanted_topics
from service.pipeline.wire import STREAMS
from service.settings.types import (
    FieldSettings,
    OutputSettings,
    Settings,
    TopicSettings,
    WireSettings,
)
from tests.pipeline.events import by_stream, market
from tests.schemas import problems

COMMITTED = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if "$ref" in part else []
        return own + [ref for inner in part.values() for ref in references(inner)]
    if isinstance(part, list):
        return [ref for inner in part for ref in references(inner)]
    return []


def resolve(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_the_committed_document_is_current():
    assert COMMITTED.read_text() == to_yaml(asyncapi(Settings())), "run make asyncapi"


def test_it_has_every_topic_and_whatever_it_refers_to():
    document = asyncapi(Settings())
    topics = {topic.name: topic for topic in wanted_topics(Settings())}
    assert {channel["address"] for channel in document["channels"].values()} == topics.keys()
    for operation in document["operations"].values():
        channel = resolve(document, operation["channel"]["$ref"])
        action = "receive" if topics[channel["address"]].is_input else "send"
        assert operation["action"] == action
    named = references(document)
    assert all(resolve(document, reference) for reference in named)
    messages = {f"#/components/messages/{name}" for name in document["components"]["messages"]}
    assert messages <= set(named)
    assert yaml.safe_load(to_yaml(document)) == document


def test_names_and_units_are_those_of_the_settings():
    settings = Settings(
        topics=TopicSettings(orders="venue.orders", positions=""),
        outputs=OutputSettings(killswitch="", switchlog=""),
        wire=WireSettings(time_unit="ms", fields=FieldSettings(orders={"order_id": "oid"})),
    )
    document = asyncapi(settings)
    assert document["channels"]["orders"]["address"] == "venue.orders"
    assert {"positions", "killswitch"}.isdisjoint(document["channels"])
    assert {"Position", "KillSwitch"}.isdisjoint(document["components"]["schemas"])
    order = document["components"]["schemas"]["Order"]
    assert "oid" in order["required"]
    assert "order_id" not in order["properties"]
    now_ms = {"ts_event": 1_700_000_000_000, "symbol": "S", "oid": "1", "side": "buy"}
    assert problems(document, "orders", now_ms | {"price": 1, "quantity": 1}) == []
    assert problems(document, "orders", now_ms | {"price": 1, "quantity": 1, "ts_event": 1})


def test_what_is_decoded_is_what_the_schemas_allow():
    document = asyncapi(Settings())
    for stream, events in by_stream(market(seed=1, seconds=20)).items():
        assert stream in STREAMS
        for event in events:
            assert problems(document, stream, json.loads(msgspec.json.encode(event))) == []
    margin = {"ts_event": 1_700_000_000 * 10**9, "symbol": "S"}
    tiers = [{"up_to_notional": "5e4", "maintenance_rate": 0.01}, {"maintenance_rate": "0.02"}]
    assert problems(document, "margins", margin | {"tiers": tiers}) == []
    assert problems(document, "margins", margin | {"tiers": [{"maintenance_rate": 1}]})
    trade = {"ts_event": 1_700_000_000 * 10**9, "symbol": "S", "trade_id": "1", "side": "buy"}
    assert problems(document, "trades", trade | {"price": "1.50", "quantity": 2}) == []
    for wrong in (
        {"price": "much"},
        {"price": -1},
        {"side": "up"},
        {"symbol": ""},
        {"ts_event": 1},
    ):
        assert problems(document, "trades", trade | {"price": 1, "quantity": 2} | wrong), wrong
