"""A replay's report: one file that tells everything, is not fooled, and stays small."""

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cli.main import main
from service.presentation.series import COLUMNS
from service.report.envelope import Envelope
from tests.report.conftest import HOSTILE


def rows(report: Path) -> list[list[str]]:
    """The cells of every row of every table, as text."""
    found = re.findall(r"<tr>(.*?)</tr>", report.read_text("utf-8"), re.DOTALL)
    return [
        [unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<td.*?</td>", row)]
        for row in found
    ]


def test_it_says_what_was_read_and_what_came_of_it(report: Path):
    page = re.sub(r"<(script|style).*?</\1>", "", report.read_text("utf-8"), flags=re.DOTALL)
    text = unescape(page)
    assert re.search(r"[1-9]\d* incidents? in 1 symbol", text)
    assert "incidents per symbol-day over" in text
    assert "the false-alarm budget is 1 per symbol-day" in text
    assert "orders.ndjson" in text
    assert "not_json" in text
    assert "fingerprint" in text
    assert "all relevant settings have their defaults" in text
    listed = rows(report)
    incident = next(row for row in listed if row and row[0] == "show")
    assert incident[1] == HOSTILE[0]
    assert "%" in incident[7], "the evidence, with its shares"
    named = {row[0] for row in listed if row}
    assert named >= {HOSTILE[0], HOSTILE[1]}
    assert not any(name.startswith("A") and name.endswith("B") for name in named), "dead letters"


def test_recorded_flow_becomes_a_report_of_reasonable_size(data_dir: Path, tmp_path: Path):
    out = tmp_path / "report.html"
    day = data_dir / "aapl-2012-06-21-day-top"
    assert main(["replay", str(day), "--report", str(out), "--quiet"]) == 0
    assert out.stat().st_size < 7_000_000, "most of it is the plotting library"
    assert "the lowest and highest value of every" in out.read_text("utf-8")


def test_without_an_event_there_is_a_report_that_says_so(tmp_path: Path):
    for stream in ("orders", "cancels", "trades"):
        (tmp_path / f"{stream}.ndjson").touch()
    out = tmp_path / "report.html"
    assert main(["replay", str(tmp_path), "--report", str(out), "--quiet"]) == 0
    assert "No incident." in out.read_text("utf-8")


def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path: Path, capsys):
    for stream in ("orders", "cancels", "trades"):
        (tmp_path / f"{stream}.ndjson").touch()
    out = tmp_path / "nowhere" / "report.html"
    assert main(["replay", str(tmp_path), "--report", str(out), "--quiet"]) == 1
    assert "nowhere" in capsys.readouterr().err


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 400))
def test_no_extreme_is_lost_and_the_size_is_bounded(seed: int, count: int):
    rng = np.random.default_rng(seed)
    bars = np.cumsum(rng.integers(1, 50, count))
    values = rng.standard_normal(count).astype(np.float32)
    envelope = Envelope(buckets=16)
    for bar, value in zip(bars.tolist(), values.tolist(), strict=True):
        envelope.add(bar, [value] * len(COLUMNS))
    points, drawn = envelope.points()
    assert len(points) <= 32
    assert (drawn[:, 0].min(), drawn[:, 0].max()) == (values.min(), values.max())
    assert (np.diff(points) > 0).all()
    assert points[0] <= bars[0]
    assert points[-1] <= bars[-1] + envelope.bars_per_bucket


def data(report: Path) -> dict:
    text = report.read_text("utf-8")
    return json.loads(text.split('id="data">')[1].split("</script>")[0])


def test_what_is_drawn_is_what_the_signals_say(report: Path, tmp_path: Path):
    signals = tmp_path / "signals.ndjson"
    day = report.parent / "day"
    assert main(["replay", str(day), "--signals", str(signals), "--quiet"]) == 0
    told = [json.loads(line) for line in signals.read_text().splitlines()]
    for drawn in data(report)["symbols"]:
        its = [signal for signal in told if signal["symbol"] == drawn["symbol"]]
        assert drawn["bars"]["ts_ms"] == [signal["ts_event"] // 1_000_000 for signal in its]
        stress = drawn["bars"]["columns"]["stress_ratio"]
        for shown, signal in zip(stress, its, strict=True):
            expected = signal["stress_ratio"]
            assert shown == (None if expected is None else pytest.approx(expected, rel=1e-3))
