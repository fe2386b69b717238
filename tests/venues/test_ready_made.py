"""Each ready-made mapping turns its venue's messages into the events that they stand for."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.cli.main import main
from service.mapping.decoder import MappedDecoder
from service.pipeline.wire import STREAMS
from service.settings.assembly import mapped_decoder
from service.settings.load import load_settings
from tests.venues.written import WRITERS, with_what_is_left

ROOT = Path(__file__).parents[2]
VENUES = ROOT / "deploy" / "venues"
NAMES = sorted(path.stem for path in VENUES.glob("*.toml"))
KINDS = {kind.kind: name for name, kind in STREAMS.items()}


def fields(event: Any) -> dict[str, Any]:
    return {name: its for name, its in msgspec.structs.asdict(event).items() if its is not None}


@pytest.mark.parametrize("venue", NAMES)
def test_its_samples_become_events_and_nothing_in_them_is_lost(
    venue: str, capsys: pytest.CaptureFixture[str]
):
    samples = sorted((VENUES / "samples" / venue).iterdir())
    assert main(["map", str(VENUES / f"{venue}.toml"), *map(str, samples)]) == 0
    out = capsys.readouterr().out
    assert "0 rejected, 0 fields unreadable" in out
    for stream in ("orders", "cancels", "trades"):
        assert f" {stream}" in out.rpartition("messages:")[2]


@pytest.mark.parametrize("venue", WRITERS)
def test_its_messages_become_what_they_stand_for(
    venue: str, plain_events: list[tuple[str, dict[str, Any]]]
):
    settings = load_settings(VENUES / f"{venue}.toml", {})
    decoders: dict[str, MappedDecoder[Any]] = {}
    messages: dict[str, list[bytes]] = {}
    expected: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for stream, event in with_what_is_left(plain_events):
        for its in WRITERS[venue](stream, event):
            messages.setdefault(its.topic, []).append(json.dumps(its.message).encode())
            expected.setdefault(its.topic, []).extend(its.events)
    assert sum(map(len, expected.values())) > 500
    for topic, values in messages.items():
        decoders[topic] = mapped_decoder(settings, topic)
        now_ms = plain_events[-1][1]["ts_event"] // 1_000_000
        decoded = decoders[topic].decode(
            values, [now_ms] * len(values), [None] * len(values), range(len(values))
        )
        assert decoded.rejections == []
        assert decoded.unread == {}
        assert [(KINDS[its.kind], fields(its)) for its in decoded.events] == expected[topic]


def test_every_ready_made_mapping_has_samples_and_is_documented():
    assert {*WRITERS, "lobster"} == set(NAMES)
    page = (ROOT / "docs" / "connect.md").read_text("utf-8")
    for name in NAMES:
        assert f"venues/{name}.toml" in page
