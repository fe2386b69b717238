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

SYMBOLS = (b"BTC-PERP", b"ETH-PERP")
"""The symbols of the market that each venue has."""

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


def completed(market: Market, venue: str) -> Iterator[tuple[str, Any]]:
    """The events of the market in a venue's symbols, the last with what venues always publish."""
    numbers: dict[bytes, int] = {}
    for event in market.events:
        if event.key not in SYMBOLS:
            continue
        fields = {name: its for name, its in json.loads(event.value).items() if its is not None}
        if "sequence" not in fields:
            fields = LAST[event.stream] | fields | {"sequence": numbers[event.key] + 1}
            fields |= dict.fromkeys({"order_id", "trade_id"} & fields.keys(), "999999999")
        numbers[event.key] = fields["sequence"]
        if venue != "deribit":  # its mapping names the instruments
            fields |= {"symbol": f"{venue}-{fields['symbol']}"}
        yield event.stream, fields


def written(venue: str, market: Market) -> tuple[list[Event], dict[str, list[Any]]]:
    """The market as a venue's messages, and the plain events that they stand for by stream."""
    messages: list[Event] = []
    plain: dict[str, list[Any]] = {"orders": [], "cancels": [], "trades": []}
    for stream, event in with_what_is_left(completed(market, venue)):
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


def meanings() -> dict[str, list[str]]:
    """The venues by what their quantities mean: one service has one meaning."""
    found: dict[str, list[str]] = {}
    for venue in WRITERS:
        its = load_settings(VENUES / f"{venue}.toml", {}).quantities
        found.setdefault(f"{its.orders}, {its.cancels}, {its.fills}", []).append(venue)
    return found


@pytest.mark.parametrize("meaning", meanings())
async def test_venues_have_the_alerts_of_the_events_that_their_messages_stand_for(
    kafka: str, tmp_path: Path, market: Market, meaning: str
):
    venues = meanings()[meaning]
    messages: list[Event] = []
    plain: dict[str, list[Any]] = {"orders": [], "cancels": [], "trades": []}
    symbols: dict[str, set[str]] = {}
    for venue in venues:
        its_messages, its_plain = written(venue, market)
        messages += its_messages
        for stream, events in its_plain.items():
            plain[stream] += events
        symbols[venue] = {event["symbol"] for event in its_plain["orders"]}
    messages.sort(key=lambda message: message.ts_event)
    for events in plain.values():
        events.sort(key=lambda event: event["ts_event"])
    names = zip(("orders", "cancels", "fills"), meaning.split(", "), strict=True)
    meant = {f"QUANTITIES__{name.upper()}": its for name, its in names}
    # After its last event, a replay resolves what is still open; a service waits for the clock.
    # Which alert about several symbols at once is the first depends on the order of partitions.
    last = market.events[-1].ts_event
    alerts = [
        its
        for its in replayed(plain, tmp_path, **meant)
        if its["ts_event"] <= last and its["symbol"] != "*"
    ]
    alarming = {alert["symbol"] for alert in alerts}
    assert [venue for venue in venues if not alarming & symbols[venue]] == []
    topics = sorted({message.stream for message in messages})
    config = tmp_path / "venues.toml"
    async with Mapped(kafka, tmp_path, topics, venues, config, **meant) as its:
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
    """Venues whose topics have their own messages."""

    def __init__(
        self,
        kafka: str,
        folder: Path,
        topics: list[str],
        venues: list[str],
        config: Path,
        **settings: str,
    ) -> None:
        super().__init__(kafka, folder, topics, CONFIG=str(config), **settings)
        texts = [(VENUES / f"{venue}.toml").read_text("utf-8") for venue in venues]
        mappings = "\n".join(text[text.index("[[mappings]]") :] for text in texts)
        config.write_text(mappings.replace('topics = ["', f'topics = ["{self.prefix}.'), "utf-8")
        self.streams = [
            topic.removeprefix(f"{self.prefix}.")
            for topic in sorted({t for m in load_settings(config, {}).mappings for t in m.topics})
        ]
