"""An operator judges alerts with the real command and on the console; the service takes it on."""

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from detectors.catalogue import ALARMING
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import REQUIRED, Metrics, Service, Venue, caught_up, foreshock, until

pytestmark = pytest.mark.kafka

NOTE = "quotes were pulled"


def bars(metrics: Metrics) -> dict[str, float]:
    """The highest bar of each detector."""
    return {name: metrics.total("false_alarm_detector_bar", detector=name) for name in ALARMING}


async def judged(venue: Venue, *arguments: str) -> str:
    """Run ``foreshock feedback``; what it prints."""
    done = await asyncio.to_thread(foreshock, "feedback", *arguments, **venue.settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def alarm(venue: Venue) -> dict[str, Any]:
    """The first alert of an alarm."""
    alerts = await venue.alerts()
    return next(a for a in alerts if a["detector"] in ALARMING and a["status"] == "firing")


def post(service: Service, body: dict[str, Any], **headers: str) -> tuple[int, str]:
    """Judge on the console, as its page does; the status and the answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{service.port}/feedback",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def test_a_verdict_is_credited_once_and_outlives_a_restart(
    kafka: str, tmp_path: Path, market: Market
):
    # One symbol, so that the highest bar of a detector is that of the symbol.
    symbol = next(a["symbol"] for a in market.alerts if a["detector"] in ALARMING)
    its = [event for event in market.events if event.key == symbol.encode()]
    async with Venue(kafka, tmp_path, REQUIRED, TIME__IDLE_AFTER_MS="60000") as venue:
        service = venue.start()
        await venue.produce(its)
        await service.wait_until("everything is read", caught_up(REQUIRED))
        alert = await alarm(venue)
        before = bars(await service.metrics())
        assert max(before.values()) > 0.0

        said = await judged(venue, alert["alert_id"], "true", "--note", NOTE)
        assert f"{alert['alert_id']} is true" in said
        await service.wait_until(
            "the verdict is applied",
            lambda m: m.total("feedback_total", detector=alert["detector"], verdict="true") == 1,
        )
        metrics = await service.metrics()
        credited = bars(metrics)
        assert all(credited[name] <= before[name] for name in ALARMING)
        assert sum(credited.values()) < sum(before.values())
        assert metrics.total("feedback_judged_alerts", verdict="true") == 1
        (record,) = await venue.records("feedback")
        assert record.key == alert["alert_id"].encode()
        feedback = json.loads(record.value)
        assert (feedback["symbol"], feedback["verdict"]) == (symbol, "true")
        assert (feedback["detector"], feedback["note"]) == (alert["detector"], NOTE)

        # What is no feedback is a dead letter, and stops nothing.
        bad = json.dumps(feedback | {"verdict": "maybe"}).encode()
        await venue.send("feedback", record.key, bad)

        async def letters() -> list[Any]:
            return await venue.records("deadletters")

        (letter,) = await until(letters, "the record is a dead letter")
        headers = dict(letter.headers)
        assert (letter.value, headers["foreshock.reason"]) == (bad, b"unknown_verdict")
        assert b'it must be one of "false", "true"' in headers["foreshock.detail"]
        assert (await service.metrics()).total("dead_letters_total", reason="unknown_verdict") == 1

        await service.stop()
        service = venue.start()
        await service.wait_until("it is back", caught_up(REQUIRED))
        metrics = await service.metrics()
        assert metrics.total("feedback_judged_alerts", verdict="true") == 1
        assert metrics.total("feedback_total") == 0
        assert bars(metrics) == pytest.approx(credited)
        (line,) = service.log("a record that is no feedback or command is on its topic")
        assert line["reason"] == "unknown_verdict"

        await judged(venue, alert["alert_id"], "false")
        await service.wait_until(
            "the credit is taken back", lambda m: m.total("feedback_total", verdict="false") == 1
        )
        assert bars(await service.metrics()) == pytest.approx(before)
        await service.stop()
        assert len(await letters()) == 1


async def test_the_console_judges_and_the_review_tells_of_it(
    kafka: str, tmp_path: Path, market: Market
):
    async with Venue(kafka, tmp_path, REQUIRED, TIME__IDLE_AFTER_MS="60000") as venue:
        service = venue.start()
        await venue.produce(market.events)
        await service.wait_until("everything is read", caught_up(REQUIRED))
        await venue.wait_for_alerts(market.alerts)
        alert = await alarm(venue)
        body = {"alert_id": alert["alert_id"], "verdict": "true", "note": NOTE}
        origin = f"http://127.0.0.1:{service.port}"
        refused = await asyncio.to_thread(post, service, body, Origin="http://elsewhere.example")
        assert refused[0] == 403
        assert await venue.records("feedback") == []
        given = await asyncio.to_thread(post, service, body, Origin=origin)
        assert given == (200, "judged true\n")

        async def logged() -> list[dict[str, Any]]:
            return service.log("feedback given")

        # The log is written beside the answer.
        (line,) = await until(logged, "the verdict is logged")
        assert (line["alert_id"], line["remote"]) == (alert["alert_id"], "127.0.0.1")
        await service.stop()

        files = [tmp_path / name for name in ("a.json", "b.json", "a.html", "b.html")]
        for json_file, html_file in ((files[0], files[2]), (files[1], files[3])):
            done = await asyncio.to_thread(
                foreshock,
                *("review", "--from", "2000-01-01", "--to", "2100-01-01"),
                *("--json", json_file, "--html", html_file),
                **venue.settings,
            )
            assert done.returncode == 0, done.stderr
        assert files[0].read_bytes() == files[1].read_bytes()
        assert files[2].read_bytes() == files[3].read_bytes()
    review = json.loads(files[0].read_bytes())
    total = next(row for row in review["rows"] if row["detector"] == "all")
    opened = {a["alert_id"] for a in market.alerts if a["detector"] in ALARMING}
    assert total["opened"] == len(opened)
    assert (total["judged_true"], total["judged_false"]) == (1, 0)
    assert [its["note"] for its in review["judgements"]] == [NOTE]
    assert [its["false_alarms_per_day"] for its in review["settings"]] == [1000.0]
    assert review["settings"][0]["occasion"] == "started"
    assert review["gaps"] == []
    assert review["dead_letters"] == {}


async def test_what_cannot_be_judged_is_told_in_a_sentence(kafka: str, tmp_path: Path):
    unknown = "0" * 32
    async with Venue(kafka, tmp_path, REQUIRED) as venue:
        done = await asyncio.to_thread(foreshock, "feedback", unknown, "true", **venue.settings)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"ALERT_ID {unknown}: none of the 0 records on the topic" in done.stderr
        nowhere = {**venue.settings, "OUTPUTS__FEEDBACK": "no.such.topic"}
        done = await asyncio.to_thread(foreshock, "review", "--from", "2026-01-01",
                                       "--to", "2026-02-01", **nowhere)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "No alert was read" in done.stdout
