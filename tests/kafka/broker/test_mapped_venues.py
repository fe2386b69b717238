"""Venues' own messages through ``foreshock run`` on a real Kafka: the alerts of plain events."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.settings.load import load_settings
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import DETECTION, Event, Venue, caught_up, foreshock, repeats
from tests.venues.written import WRITERS, with_what_is_left

pytestmark = pytest.mark.kafka

VENUES = Path(__file__).parents[3] / "deploy" / "venues"


LAST = {
    "orders": {"account": "last"},
    "cancels": {"account": "last"},
    "trades": {
        "maker_order_id": "999999998",
        "taker_order_id": "999999997",
        "maker_account": "last",
        "taker_account": "last",
    },
}
"""What the last events of the market lack."""


def completed(market: Market) -> Iterator[tuple[str, Any]]:
    """The events of the market, the last ones with what venues always publish."""
    numbers: dict[bytes, int] = {}
    for event in market.events:
        fields = {name: its for name, its in json.loads(event.value).items() if its is not None}
        if "sequence" not in fields:
            fields = LAST[event.stream] | fields | {"sequence": numbers[event.key] + 1}
            fields |= dict.fromkeys({"order_id", "trade_id"} & fields.keys(), "999999999")
        numbers[event.key] = fields["sequence"]
        yield event.stream, fields


def written(venue: str, market: Market) -> tuple[list[Event], dict[str, list[Any]]]:
    """The market as a venue's messages, and the plain events that they stand for by stream."""
    messages: list[Event] = []
    plain: dict[str, list[Any]] = {"orders": [], "cancels": [], "trades": []}
    for stream, event in with_what_is_left(completed(market)):
        for its in WRITERS[venue](stream, event):
            value = json.dumps(its.message).encode()
            key = event["symbol"].encode()
            messages.append(Event(its.topic, event["ts_event"], key, value))
            for name, stood_for in its.events:
                plain[name].append(stood_for)
    return messages, plain


def replayed(plain: dict[str, list[Any]], folder: Path, **settings: str) -> list[Any]:
    """The alerts of a replay of plain events."""
    for stream, events in plain.items():
        text = "".join(json.dumps(event) + "\n" for event in events)
        (folder / f"{stream}.ndjson").write_text(text, "utf-8")
    out = folder / "alerts"
    done = foreshock(
        "replay",
        folder,
        "--quiet",
        "--alerts",
        out,
        "--config",
        "/dev/null",
        **DETECTION,
        **settings,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("venue", WRITERS)
async def test_a_venue_has_the_alerts_of_the_events_that_its_messages_stand_for(
    kafka: str, tmp_path: Path, market: Market, venue: str
):
    messages, plain = written(venue, market)
    quantities = load_settings(VENUES / f"{venue}.toml", {}).quantities
    meant = {f"QUANTITIES__{n.upper()}": getattr(quantities, n) for n in ("cancels", "fills")}
    # After its last event, a replay resolves what is still open; a service waits for the clock.
    last = market.events[-1].ts_event
    alerts = [its for its in replayed(plain, tmp_path, **meant) if its["ts_event"] <= last]
    assert alerts
    topics = sorted({message.stream for message in messages})
    config = tmp_path / "venue.toml"
    async with Mapped(kafka, tmp_path, topics, venue, config) as its:
        service = its.start()
        await its.produce(messages)
        await service.wait_until("everything is read", caught_up(its.streams))
        await its.wait_for_alerts(alerts)
        metrics = await service.metrics()
        assert metrics.total("dead_letters_total") == 0
        assert metrics.total("unread_fields_total") == 0
        ignored = metrics.total("records_ignored_total")
        more = metrics.total("more_events_total")
        assert ignored == len(messages) + more - sum(map(len, plain.values()))
        await service.stop()
        assert repeats(await its.alerts()) == []


class Mapped(Venue):
    """A venue whose topics have its own messages."""

    def __init__(
        self, kafka: str, folder: Path, topics: list[str], venue: str, config: Path
    ) -> None:
        super().__init__(kafka, folder, topics, CONFIG=str(config))
        text = (VENUES / f"{venue}.toml").read_text("utf-8")
        config.write_text(text.replace('topics = ["', f'topics = ["{self.prefix}.'), "utf-8")
        self.streams = [
            topic.removeprefix(f"{self.prefix}.")
            for topic in sorted({t for m in load_settings(config, {}).mappings for t in m.topics})
        ]
