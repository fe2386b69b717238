"""``foreshock whatif`` on a recorded session of the simulated exchange."""

import json
import re
from html.parser import HTMLParser

import pytest

from service.cli.main import main

SECONDS = 300
AT = 1_767_225_600_000_000_000 + 250 * 10**9


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whatif") / "session"
    simulated = ["--scenario", "calm", "--symbols", "2", "--duration", str(SECONDS), "--seed", "5"]
    assert main(["simulate", str(directory), *simulated]) == 0
    return directory


def whatif(capsys, directory, *arguments, at="+250s"):
    capsys.readouterr()
    status = main(["whatif", "--directory", str(directory), "--at", at, *arguments])
    assert status == 0
    return capsys.readouterr().out


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_first_generation_is_who_the_recorded_liquidation_prices_say(session, capsys):
    found = json.loads(whatif(capsys, session, "--shock", "BTC-PERP=-6%", "--format", "json"))
    assert found["ts_event"] == AT
    mark = [
        reference["mark_price"] for reference in lines(session / "references.ndjson")
        if reference["symbol"] == "BTC-PERP" and reference["ts_event"] <= AT
    ][-1]  # fmt: skip
    assert found["marks"]["BTC-PERP"] == mark
    held = {
        position["account"]: position for position in lines(session / "positions.ndjson")
        if position["symbol"] == "BTC-PERP" and position["ts_event"] <= AT
    }  # fmt: skip
    reached = [
        position["quantity"] * mark for position in held.values()
        if position["quantity"] > 0 and position["liquidation_price"] >= 0.94 * mark
    ]  # fmt: skip
    assert reached
    (longs,) = (its for its in found["after"]["sides"] if its["side"] == "long")
    assert longs["generations"][0] == pytest.approx(sum(reached))
    assert longs["accounts"]["p50"] >= len(reached)
    # Isolated accounts: the other symbol stands still.
    assert {its["symbol"] for its in found["after"]["sides"]} == {"BTC-PERP"}
    assert found["after"]["prices"]["ETH-PERP"]["p50"] == found["marks"]["ETH-PERP"]
    assert found["coverage_ratio"]["BTC-PERP"] == pytest.approx(1, abs=0.02)
    assert found["before"] == found["after"]


def test_what_is_recorded_later_does_not_matter(session, capsys, tmp_path):
    whole = whatif(capsys, session, "--shock", "*=-5%", "--format", "json")
    for path in session.glob("*.ndjson"):
        kept = []
        for line in path.read_text().splitlines():
            event = json.loads(line)
            late = event.get("ts_event", 0) > AT + 2 * 10**9
            if late and path.stem == "positions":
                event["quantity"] *= 7
            kept.append(json.dumps(event))
        (tmp_path / path.name).write_text("\n".join(kept) + "\n")
    assert whatif(capsys, tmp_path, "--shock", "*=-5%", "--format", "json") == whole
    absolute = whatif(
        capsys, session, "--shock", "*=-5%", "--format", "json", at="2026-01-01T00:04:10Z"
    )
    assert absolute == whole


def test_before_and_after_stand_beside_each_other(session, capsys):
    changes = ["--depth", "*=x0.4", "--maintenance", "BTC-PERP=x2", "--step", "25%"]
    shown = whatif(
        capsys, session, "--shock", "*=-4%", *changes, "--mark-window", "60s", "--format", "json"
    )
    found = json.loads(shown)
    assert found["depth"] == {"*": 0.4}
    assert found["maintenance"] == {"BTC-PERP": 2.0}
    assert (found["step_ratio"], found["mark_window_seconds"]) == (0.25, 60.0)
    assert len(found["after"]["generations"]) > len(found["before"]["generations"])
    assert found["before"]["below_at_once"] == 0
    assert found["after"]["below_at_once"] > 0
    assert "whole_positions_are_closed" not in found["assumptions"]
    table = whatif(capsys, session, "--shock", "*=-4%", *changes)
    first, _, heads, *rows = table.splitlines()
    assert first.startswith("2026-01-01 00:04:10 UTC: every symbol moves by -4 %; maintenance of")
    assert "depth of every symbol x0.4; liquidation in steps of 25 %" in first
    assert heads.split("  ")[0] == "symbol"
    assert re.search(r"closed before +closed +generations +accounts +loss before +loss", heads)
    symbols = [row.split()[0] for row in rows[: rows.index("")]]
    assert set(symbols) == {"BTC-PERP", "ETH-PERP", "all"}
    assert symbols[-1] == "all"
    told = found["after"]["below_at_once"]
    assert f"note: after: accounts below maintenance before any price moves: {told}" in rows


def test_a_halted_symbol_stands_still(session, capsys):
    found = json.loads(
        whatif(capsys, session, "--shock", "*=-6%", "--halt", "ETH-PERP", "--format", "json")
    )
    assert found["halted"] == ["ETH-PERP"]
    assert {its["symbol"] for its in found["before"]["sides"]} == {"BTC-PERP", "ETH-PERP"}
    assert {its["symbol"] for its in found["after"]["sides"]} == {"BTC-PERP"}


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.loads, self.cells = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name in ("src", "href")]
        self.cells += tag == "td"
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_one_file_that_loads_nothing(session, capsys):
    page = Page()
    page.feed(whatif(capsys, session, "--shock", "BTC-PERP=-6%", "--format", "html"))
    assert page.open == []
    assert page.loads == []
    assert page.cells == 2 * 8  # the longs, and the sum


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shock", "BTC=-3%"], "no positions of BTC are known; known symbols: BTC-PERP, ETH"),
        (["--halt", "XRP-PERP"], "no positions of XRP-PERP are known"),
        (["--shock", "ETH-PERP=-1%", "--halt", "ETH-PERP"], "ETH-PERP is halted and has a shock"),
        (["--maintenance", "ETH-PERP=x900"], "the maintenance of ETH-PERP times 900"),
    ],
)
def test_what_does_not_fit_the_session_is_said(session, capsys, arguments, message):
    command = ["whatif", "--directory", str(session), "--at", "+250s", *arguments]
    assert main(command) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("+400s", "--at is 2026-01-01T00:06:40Z: "),
        ("2025-12-31T23:00:00Z", " begins at 2026-01-01T00:00:00Z"),
    ],
)
def test_a_moment_outside_the_streams_is_refused(session, capsys, at, message):
    assert main(["whatif", "--directory", str(session), "--at", at, "--shock", "*=1%"]) == 1
    assert message in capsys.readouterr().err


def test_a_directory_without_positions_is_refused(session, capsys, tmp_path):
    for name in ("orders", "cancels", "trades"):
        (tmp_path / f"{name}.ndjson").write_bytes((session / f"{name}.ndjson").read_bytes())
    assert main(["whatif", "--directory", str(tmp_path), "--at", "+1s"]) == 1
    assert "has no positions.ndjson; a scenario needs positions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shock", "BTC-PERP=-3"], "--shock: '-3' is not a percentage such as -3% or 0.5%"),
        (["--shock", "BTC-PERP"], "--shock: 'BTC-PERP' is not written like BTC-PERP=-3%"),
        (["--shock", "A=-100%"], "--shock: '-100%' leaves no price: a fall is above -100%"),
        (["--shock", "A=1%", "--shock", "A=2%"], "--shock: 'A' is named twice"),
        (["--depth", "A=0.4"], "--depth: '0.4' is not a factor above 0 such as x1.5 or x0.4"),
        (["--maintenance", "A=x0"], "--maintenance: 'x0' is not a factor above 0"),
        (["--step", "0%"], "--step: '0%' is not above 0% and at most 100%"),
        (["--step", "0.1"], "--step: '0.1' is not a percentage"),
        (["--mark-window", "60"], "--mark-window: '60' is not a duration above 0 such as 60s"),
        (["--at", "+soon"], "--at: 'soon' is not a duration above 0 such as 60s, 500ms, 2m or 1h"),
        (["--at", "noon"], "--at: 'noon' is not a date such as 2026-01-31, nor a time"),
    ],
)
def test_an_argument_that_cannot_be_read_says_what_would_be_right(capsys, arguments, message):
    with pytest.raises(SystemExit) as left:
        main(["whatif", "--directory", "nowhere", "--at", "+1s", *arguments])
    assert left.value.code == 2
    assert message in capsys.readouterr().err
