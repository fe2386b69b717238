"""The yearly review: what it counts, what it admits not to know, and that it repeats itself."""

import json
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from msgspec.structs import replace

from detectors.incidents.alerts import Alert
from service.cli.main import main
from service.outputs.journal import HEARTBEAT_SECONDS, JournalEntry, judging_settings
from service.pipeline.feedback import Feedback, encode
from service.pipeline.written import MAX_RECORD_BYTES
from service.review.build import Gap, review
from service.review.material import Material, Refused, Source, from_topics
from service.review.page import page
from service.scorecard.statistics import share
from service.settings.types import DetectionSettings, OverrideSettings, Settings
from tests.steps import alert

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
JAN = 1_767_225_600 * SECOND  # 2026-01-01
FEB, MAR = JAN + 31 * DAY, JAN + 59 * DAY
HEARTBEAT = round(HEARTBEAT_SECONDS) * SECOND


def incident(number: int, at: int, detector: str = "cancel_burst", **changes: object) -> Alert:
    return replace(
        alert(number, at=at + SECOND, starts_at=at, **changes),
        alert_id=f"{number:032x}",
        detector=detector,
    )


def judged(number: int, verdict: str, note: str = "") -> Feedback:
    return Feedback(f"{number:032x}", "S", "cancel_burst", verdict, MAR + DAY, note, "desk")


def material(**parts: object) -> Material:
    empty = Material([], [], None, None, [Source("alerts", "topic a", 1, 0, JAN)])
    return replace(empty, **parts)


ALERTS = [
    incident(1, JAN + DAY),
    incident(1, JAN + DAY, severity="critical"),
    incident(1, JAN + DAY),  # told again after a crash
    incident(2, JAN + 2 * DAY),
    incident(3, FEB + DAY),
    incident(4, FEB + DAY, "thin_book"),
    incident(5, FEB + DAY, "drift", severity="info"),
    incident(6, FEB + DAY, "feed_integrity"),
    incident(7, MAR, "thin_book"),  # after the period
]
FEEDBACK = [judged(1, "false"), judged(1, "true", "a <b>note</b>"), judged(2, "false"),
            judged(7, "true")]  # fmt: skip


def test_alarms_are_counted_by_detector_and_month_with_the_last_verdict():
    found = review(material(alerts=ALERTS, feedback=FEEDBACK), JAN, MAR)
    rows = {(row.kind, row.detector): row for row in found.rows}
    assert rows.keys() == {
        ("alarm", "cancel_burst"), ("alarm", "thin_book"), ("alarm", "all"),
        ("change", "drift"), ("feed", "feed_integrity"),
    }  # fmt: skip
    burst = rows["alarm", "cancel_burst"]
    assert (burst.opened, burst.critical) == (3, 1)
    assert (burst.judged_true, burst.judged_false, burst.unjudged) == (1, 1, 1)
    assert burst.precision == share(1, 2)
    assert rows["alarm", "thin_book"].precision is None
    assert rows["alarm", "all"].opened == 4
    months = {(row.month, row.detector): row.opened for row in found.months}
    assert months["2026-01", "cancel_burst"] == 2
    assert months["2026-02", "cancel_burst"] == 1
    assert [its.verdict for its in found.judgements] == ["true", "false"]
    assert [its.severity for its in found.judgements] == ["critical", "warning"]


def test_the_last_record_of_an_alert_counts_as_in_the_service():
    earlier = replace(judged(1, "false"), judged_at=MAR)
    found = review(material(alerts=ALERTS, feedback=[judged(1, "true"), earlier]), JAN, MAR)
    assert [its.verdict for its in found.judgements] == ["false"]


async def test_feedback_that_the_service_refuses_is_not_counted(monkeypatch: pytest.MonkeyPatch):
    good, ahead = judged(1, "true"), replace(judged(2, "true"), judged_at=MAR + 9 * DAY)

    def record(key: str, value: bytes | None) -> SimpleNamespace:
        written_ms = (MAR + DAY) // 1_000_000
        return SimpleNamespace(key=key.encode(), value=value, timestamp=written_ms, headers=())

    on_topic = [
        record(good.alert_id, encode(good)),
        record("another key", encode(judged(3, "true"))),
        record(ahead.alert_id, encode(ahead)),
        record(good.alert_id, encode(good) + b" " * MAX_RECORD_BYTES),
        record("4", None),  # deletes a record: no verdict, and nothing unreadable
    ]

    async def read(*_: object) -> dict[str, list[SimpleNamespace]]:
        return {"feedback": on_topic}

    monkeypatch.setattr("service.review.material.read_records", read)
    found = await from_topics(Settings(), JAN)
    assert found.feedback == [good]
    (source,) = (source for source in found.sources if source.name == "feedback")
    assert (source.records, source.unreadable) == (4, 3)


def entry(
    at: int, occasion: str, settings: Settings | None = None, name: str = "a"
) -> JournalEntry:
    content = judging_settings(settings) if settings is not None else {}
    return JournalEntry(at, name, occasion, "0.1.0", content)


def beats(begin: int, count: int, name: str = "a") -> list[JournalEntry]:
    return [entry(begin + i * HEARTBEAT, "running", name=name) for i in range(1, count + 1)]


def test_settings_in_force_and_their_changes_come_from_the_journal():
    quiet = Settings(
        detection=DetectionSettings(false_alarms_per_day=0.5),
        overrides=(OverrideSettings(symbols=("BTC-*",), false_alarms_per_day=2.0),),
    )
    journal = [
        entry(JAN - 9 * DAY, "started", quiet),
        entry(JAN - DAY, "started", Settings()),
        entry(JAN + DAY, "started", Settings(), "b"),
        entry(JAN + 2 * DAY, "reloaded", quiet),
        entry(MAR, "reloaded", Settings()),
    ]
    found = review(material(journal=journal), JAN, MAR).settings
    assert [its.at for its in found] == [JAN - DAY, JAN + 2 * DAY]
    assert [its.false_alarms_per_day for its in found] == [1.0, 0.5]
    assert found[0].changes == []
    assert found[1].overrides == {"BTC-*": 2.0}
    assert "detection.false_alarms_per_day: 1.0 -> 0.5" in found[1].changes
    assert any(change.startswith("overrides[0]: none -> ") for change in found[1].changes)


def test_settings_are_compared_with_those_of_the_same_instance():
    one, two = Settings(), Settings(detection=DetectionSettings(false_alarms_per_day=2.0))
    new = Settings(detection=DetectionSettings(false_alarms_per_day=3.0))
    journal = [
        entry(JAN - DAY, "started", new, "old-1"),
        entry(JAN - DAY + SECOND, "stopped", name="old-1"),
        entry(JAN - 5 * SECOND, "started", one, "a-1"),
        entry(JAN - 4 * SECOND, "started", two, "b-1"),
        entry(JAN - 3 * SECOND, "started", two, "c-1"),
        entry(JAN + DAY, "started", one, "a-2"),  # a restart without a change, beside b
        entry(JAN + 2 * DAY, "started", two, "b-2"),
        entry(JAN + 3 * DAY, "reloaded", new, "a-2"),
        entry(JAN + 4 * DAY, "started", new, "b-3"),
        entry(JAN + 5 * DAY, "started", new, "d-1"),  # a new host
    ]
    found = review(material(journal=journal), JAN, MAR).settings
    budget = "detection.false_alarms_per_day"
    assert [(its.instance, its.changes) for its in found] == [
        ("a-1", []),
        ("b-1", []),
        ("a-2", [f"{budget}: 1.0 -> 3.0"]),
        ("b-3", [f"{budget}: 2.0 -> 3.0"]),
    ]


def test_downtime_is_when_no_instance_ran():
    crashed, stopped = JAN + 2 * HEARTBEAT, JAN + 20 * HEARTBEAT
    journal = [
        entry(JAN, "started", Settings()),
        *beats(JAN, 2),  # then it is killed
        entry(JAN + 10 * HEARTBEAT, "started", Settings()),
        *beats(JAN + 10 * HEARTBEAT, 9),
        entry(stopped, "stopped"),
        entry(stopped + 60 * SECOND, "started", Settings()),
        *beats(stopped + 60 * SECOND, 3),
    ]
    found = review(material(journal=journal), JAN, MAR)
    assert found.gaps == [
        Gap(crashed, JAN + 10 * HEARTBEAT),
        Gap(stopped, stopped + 60 * SECOND),
    ]
    assert found.down_seconds == 8 * HEARTBEAT_SECONDS + 60
    # Another instance that ran meanwhile closes the gaps.
    other = [entry(JAN, "started", Settings(), "b"), *beats(JAN, 30, "b")]
    assert review(material(journal=[*journal, *other]), JAN, MAR).gaps == []


def test_dead_letters_are_counted_by_month_topic_and_reason():
    refused = [Refused(at, "market.orders", "not_json") for at in (JAN, JAN + DAY, FEB, MAR)]
    found = review(material(dead_letters=refused), JAN, MAR).dead_letters
    assert found == {
        "2026-01": {"market.orders": {"not_json": 2}},
        "2026-02": {"market.orders": {"not_json": 1}},
    }


def test_it_says_what_it_cannot_know():
    nothing = review(material(sources=[]), JAN, MAR)
    said = " ".join(nothing.unknown)
    for words in ("No alert was read", "No journal was read", "No dead letters were read",
                  "thresholds of single statistics are not kept"):  # fmt: skip
        assert words in said
    assert (nothing.gaps, nothing.down_seconds, nothing.dead_letters) == (None, None, None)
    late = [entry(FEB, "started", Settings()), *beats(FEB, 2)]
    sources = [Source("alerts", "topic a", 9, 2, FEB)]
    said = " ".join(review(material(journal=late, sources=sources), JAN, MAR).unknown)
    assert "The oldest alert that was read is of 2026-02-01T00:00:00Z" in said
    assert "The journal begins at 2026-02-01T00:00:00Z" in said
    assert "The journal ends at 2026-02-01T00:10:00Z" in said
    assert "2 records of the topic a (alerts) were not readable." in said


def test_the_page_loads_nothing_and_shows_markup_as_text():
    text = page(review(material(alerts=ALERTS, feedback=FEEDBACK), JAN, MAR))
    assert "a &lt;b&gt;note&lt;/b&gt;" in text
    assert "<b>note" not in text
    for loading in ("src=", "<script", "@import", "url("):
        assert loading not in text


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    lines = {
        "alerts": [*map(msgspec.json.encode, ALERTS), b"no alert"],
        "feedback": [msgspec.json.encode(its) for its in FEEDBACK],
        "journal": [msgspec.json.encode(entry(JAN, "started", Settings()))],
    }
    for name, content in lines.items():
        (tmp_path / f"{name}.ndjson").write_bytes(b"\n".join(content) + b"\n")
    return [
        *("review", "--from", "2026-01-01", "--to", "2026-03-01"),
        *(part for name in lines for part in (f"--{name}", str(tmp_path / f"{name}.ndjson"))),
    ]


def test_the_same_files_give_the_same_review(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    outputs = []
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        html, file = tmp_path / run / "review.html", tmp_path / run / "review.json"
        assert main([*files, "--html", str(html), "--json", str(file)]) == 0
        outputs.append((html.read_bytes(), file.read_bytes()))
    assert outputs[0] == outputs[1]
    found = json.loads(outputs[0][1])
    assert (found["since"], found["until"]) == (JAN, MAR)
    assert found["sources"][0]["unreadable"] == 1
    printed = capsys.readouterr().out
    assert "cancel_burst" in printed
    assert "50% (9% to 91%)" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "soon", "--to", "2026-01-01"], "'soon' is not a date such as 2026-01-31"),
        (["--from", "2026-01-02", "--to", "2026-01-02"], "--from must be before --to"),
        (["--from", "2026-01-01", "--to", "2026-01-02", "--feedback", "x"], "need --alerts"),
        (["--from", "2026-01-01", "--to", "2026-01-02", "--alerts", "/no/such"],
         "--alerts /no/such: cannot read: No such file"),
        (["--from", "2026-01-01", "--to", "2026-01-02", "--html", "/no/such/file"],
         "--html /no/such/file: cannot write"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_the_option(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    try:
        code = main(["review", *arguments])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    assert code != 0
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["abc", "true"], 2, "'abc' is not an alert_id, which has 32 digits of 0 to 9 and a to f"),
        (["0" * 32, "yes"], 2, "invalid choice: 'yes' (choose from"),
        (["0" * 32, "true", "--note", "x" * 501], 2,
         "--note has 501 characters; it must have at most 500"),
        (["0" * 32, "true"], 1, "no Kafka broker answers at 127.0.0.1:1"),
    ],
)  # fmt: skip
def test_a_judgement_that_cannot_be_given_is_told_in_a_sentence(
    arguments: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("FORESHOCK_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    try:
        done = main(["feedback", *arguments])
    except SystemExit as stopped:
        done = int(stopped.code or 0)
    assert done == code
    assert said in capsys.readouterr().err
