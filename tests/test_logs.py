"""The log: one line per event, for all loggers."""

import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from service import logs
from service.log_writer import LogWriter


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_json_is_an_object_a_line_with_its_time_in_utc(capsys: pytest.CaptureFixture[str]):
    logs.configure("info", "json")
    structlog.get_logger("consumer").info("assigned", partitions=[1, 2])
    (line,) = lines(capsys)
    entry = json.loads(line)
    assert entry["timestamp"].endswith("Z")
    del entry["timestamp"]
    assert entry == {
        "event": "assigned",
        "level": "info",
        "logger": "consumer",
        "partitions": [1, 2],
    }


def test_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]):
    logs.configure("info", "json")
    logging.getLogger("aiokafka.consumer").warning("lost %s", "market.orders")
    (line,) = lines(capsys)
    entry = json.loads(line)
    assert (entry["event"], entry["level"]) == ("lost market.orders", "warning")
    assert entry["logger"] == "aiokafka.consumer"


def test_a_line_with_a_whole_record_in_it_is_cut_and_stays_an_object(
    capsys: pytest.CaptureFixture[str],
):
    logs.configure("debug", "json")
    logging.getLogger("aiokafka.producer").error("sending %s", b"\x00" * 200_000)
    (line,) = lines(capsys)
    assert len(line) < 10_000
    assert json.loads(line)["event"].startswith("sending b'")


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]):
    logs.configure("info", "json")
    try:
        int("broken")
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("aiokafka").exception("failed too")
    entries = [json.loads(line) for line in lines(capsys)]
    assert all("ValueError: invalid literal" in entry["exception"] for entry in entries)


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]):
    logs.configure("warning", "json")
    structlog.get_logger("a").info("unimportant")
    logging.getLogger("b").info("unimportant")
    assert lines(capsys) == []


@pytest.mark.parametrize("format_", ["auto", "json"])
def test_auto_is_json_where_there_is_no_terminal(
    format_: logs.Format, capsys: pytest.CaptureFixture[str]
):
    logs.configure("info", format_)
    structlog.get_logger().info("hello")
    assert json.loads(lines(capsys)[0])["event"] == "hello"


def test_console_is_for_people(capsys: pytest.CaptureFixture[str]):
    logs.configure("info", "console")
    structlog.get_logger().info("hello", answer=42)
    (line,) = lines(capsys)
    assert "hello" in line
    assert "answer=42" in line
    assert "\x1b" not in line


def test_muted_loggers_speak_again_afterwards(capsys: pytest.CaptureFixture[str]):
    logs.configure("info", "json")
    with logs.muted("aiokafka"):
        logging.getLogger("aiokafka.client").error("noise")
    logging.getLogger("aiokafka.client").error("news")
    assert [json.loads(line)["event"] for line in lines(capsys)] == ["news"]


def test_what_others_wrote_cannot_forge_a_line_or_move_the_cursor(
    capsys: pytest.CaptureFixture[str],
):
    logs.configure("info", "console")
    structlog.get_logger("http").info("request", path="/\x1b[2J\nforged \u202ecod.exe")
    logging.getLogger("other").warning("two\nlines\x07")
    written = lines(capsys)
    assert len(written) == 2
    assert all(line.isprintable() for line in written)
    assert "\\x1b[2J\\nforged \\u202ecod.exe" in written[0].replace("\\\\", "\\")


def background(stream, **bounds) -> LogWriter:
    writer = LogWriter(stream, lambda lines: f"{lines} dropped", **bounds)
    writer.setFormatter(logging.Formatter("%(message)s"))
    return writer


def say(writer: LogWriter, text: str) -> None:
    writer.emit(logging.makeLogRecord({"msg": text, "levelno": logging.INFO}))


def test_a_log_that_nobody_reads_makes_nobody_wait_and_says_later_what_is_missing():
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb") as pipe:
        writer = background(stream, max_waiting_bytes=100_000)
        for number in range(1_000):  # more than a pipe and the queue hold
            say(writer, f"{number:>5} " + "x" * 1_000)
        assert not writer.drain(0.01)
        dropped = writer.dropped
        assert 500 < dropped < 1_000
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.extend(iter(pipe.readline, b"end\n")))
        reader.start()
        assert writer.drain(30)
        say(writer, "end")
        reader.join(30)
    assert writer.dropped == dropped
    assert sum(line.endswith(b"x\n") for line in read) + dropped == 1_000
    assert sum(int(line.split()[0]) for line in read if line.endswith(b" dropped\n")) == dropped


def test_a_log_that_cannot_be_written_is_counted_and_ends_nothing():
    with Path("/dev/full").open("w") as full:
        writer = background(full)
        say(writer, "one")
        say(writer, "two")
        assert writer.drain(30)
        assert writer.dropped == 2


def test_a_log_in_the_background_is_whole_once_it_is_drained(capfd: pytest.CaptureFixture[str]):
    logs.configure("info", "json", in_background=True)
    for number in range(100):
        structlog.get_logger("consumer").info("assigned", number=number)
    logs.drain(30)
    entries = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [entry["number"] for entry in entries] == list(range(100))
    assert logs.dropped_lines() == 0
