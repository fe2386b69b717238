"""What the page "Connect your venue" shows works as it is: its messages, mapping and command."""

import re
from pathlib import Path

import pytest

from service.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "connect.md"


def shown(begins: str) -> str:
    """The lines of code of the page from the first that begins so, as far as they are together."""
    blocks = re.findall(r"(?:^ {8}.*\n|^\n(?= {8}))+", PAGE.read_text("utf-8"), re.MULTILINE)
    found = next(block for block in blocks if block.strip().startswith(begins))
    return "".join(f"{line[8:]}\n" for line in found.splitlines())


def test_its_mapping_turns_its_messages_into_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("venue.full.ndjson").write_text(shown('{"type"'), "utf-8")
    Path("foreshock.toml").write_text(shown("[[mappings]]"), "utf-8")
    assert main(shown("foreshock map").split()[1:]) == 0
    out = capsys.readouterr().out
    assert "4 messages: 1 cancels, 1 orders, 1 trades; 1 ignored, 0 rejected" in out
    assert '"side":"sell","maker_order_id":"71"' in out  # the aggressor's
