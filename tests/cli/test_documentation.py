"""What the documentation says of the settings, commands, topics and files is what there is."""

import ast
import re
import shlex
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
import yaml

from service.cli.arguments import parser
from service.describe import expected
from service.pipeline.wire import ALL_STREAMS
from service.settings.entries import ENTRY_TYPES
from service.settings.load import known_settings, variable
from service.settings.types import OutputSettings, Settings, TopicSettings
from tests.web import metrics_page

ROOT = Path(__file__).parents[2]
TOPICS = ROOT / "docs" / "topics.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def code(page: Path) -> list[str]:
    """What a page shows as code: lines that are indented or fenced, and what is in backticks."""
    text = page.read_text("utf-8")
    blocks = re.findall(r"^ {4,}(\S.*)$", text, re.MULTILINE)
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`]+)`", re.sub(r"^ {4,}.*$", "", text, flags=re.MULTILINE))
    return [*blocks, *(line for block in fenced for line in block.splitlines()), *inline]


def test_the_documentation_lists_exactly_the_fields_of_an_entry_with_their_range():
    text = (ROOT / "docs/configuration.md").read_text("utf-8")
    for name, kind in ENTRY_TYPES.items():
        section = text.partition(f"\n## [[{name}]]\n")[2].partition("\n## ")[0]
        rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
        told = {row[0].strip("| `"): row[1] for row in rows}
        fields = msgspec.structs.fields(kind)
        assert told == {field.encode_name: expected(field.type) for field in fields}


def anchors(page: Path) -> set[str]:
    """Where a link into a page can lead: its headings, as they are turned into anchors."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@by_page
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path):
    text = page.read_text("utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@by_page
def test_every_command_that_is_shown_can_be_typed(page: Path, capsys: pytest.CaptureFixture[str]):
    for shown in code(page):
        found = re.match(r"(?:[A-Z_]+=\S+ )*foreshock ([a-z].*)", shown)
        if found is None:
            continue
        arguments = shlex.split(re.split(r" [>|]|&&", found[1])[0], comments=True)
        with suppress(SystemExit):
            parser().parse_args(arguments)
        # Where a command is only spoken of, its directory may be left out.
        said = capsys.readouterr().err
        assert not said or re.search("arguments are required: (DIR|OUT)$", said), shown


@by_page
def test_every_target_that_is_named_is_in_the_makefile(page: Path):
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for shown in code(page):
        if found := re.match(r"make ((?:[a-z-]+ ?)+)(?![a-z=])", shown):
            assert set(found[1].split()) <= targets, shown


@by_page
def test_every_setting_that_is_named_is_one(page: Path):
    known = known_settings()
    sections = {key.partition(".")[0] for key in known}
    topics = {f"market.{stream}" for stream in ALL_STREAMS}
    for shown in code(page):
        named = re.match(r"([a-z]+)\.([a-z_]+)(?: = .*)?$", shown)
        if named and named[1] in sections and f"{named[1]}.{named[2]}" != "wire.fields":
            assert f"{named[1]}.{named[2]}" in {*known, *topics}, shown


def test_every_variable_that_is_named_is_one():
    known = {variable(key) for key in known_settings()} | {"FORESHOCK_CONFIG"}
    for file in (*PAGES, ROOT / "Dockerfile", *(ROOT / "deploy").rglob("*.yaml")):
        named = set(re.findall(r"\bFORESHOCK_[A-Z_]+[A-Z]\b", file.read_text("utf-8")))
        assert {name for name in named if not name.startswith("FORESHOCK_TEST_")} <= known, file


@by_page
def test_every_metric_that_is_named_is_one(page: Path):
    suffixes = ("", "_bucket", "_count", "_sum")
    known = {name + suffix for name in metrics_page.specified() for suffix in suffixes}
    named = set(re.findall(r"\bforeshock_\w*[a-z]\b", page.read_text("utf-8")))
    assert named <= known | {"foreshock_"}


def log_events() -> set[str]:
    """What the service's log lines begin with."""
    return {
        call.args[0].value
        for file in (ROOT / "service").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"info", "warning", "error", "exception"}
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


def test_what_to_look_for_in_the_log_is_what_is_logged():
    events = log_events()
    for page in (ROOT / "docs" / "delivery.md", ROOT / "docs" / "runbook.md"):
        text = page.read_text("utf-8").replace("\n", " ")
        for sentence in re.findall(r"[^.]*\b(?:You see|the log (?:says|tells))\b[^.]*\.", text):
            for named in re.findall(r"`([a-z]+(?:[ ,:]+[a-z]+)+)`", sentence):
                assert any(event.startswith(named) for event in events), named


def test_the_table_of_faults_names_log_lines_and_defaults_as_they_are():
    text = (ROOT / "docs" / "delivery.md").read_text("utf-8")
    table = text.partition("\n## What you see, and when\n")[2].partition("\n## ")[0]
    events, settings = log_events(), Settings()
    lines = re.findall(r"\blog `([^`]+)`", table)
    assert len(lines) > 20
    for line in lines:
        assert any(event.startswith(line) for event in events), line
    told = re.findall(r"`([a-z]+)\.([a-z_]+)` \(([\d.]+) (s|min|day)\)", table)
    assert len(told) > 8
    for section, name, number, unit in told:
        value = getattr(getattr(settings, section), name) / (1e3 if name.endswith("_ms") else 1)
        assert float(number) * {"s": 1, "min": 60, "day": 86_400}[unit] == value, name


def topic_rows(heading: str) -> dict[str, str]:
    """The second column of the table with this heading on the page of topics, by the first."""
    table = TOPICS.read_text("utf-8").partition(f"\n| topic | {heading}")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `([a-z.]+)` \| (.+) \|$", table, re.MULTILINE))


def test_the_page_of_topics_names_the_default_topics():
    inputs, outputs = TopicSettings(), OutputSettings()
    assert list(topic_rows("fields")) == list(msgspec.structs.asdict(inputs).values())
    assert list(topic_rows("what comes out")) == list(msgspec.structs.asdict(outputs).values())


def test_the_page_of_topics_names_required_and_optional_fields():
    document = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text("utf-8"))
    parts = document["components"]
    for topic, text in topic_rows("fields").items():
        payload = parts["messages"][topic.removeprefix("market.")]["payload"]
        payload = parts["schemas"][payload["$ref"].rpartition("/")[2]]
        fields = re.findall(r"[a-z_]+\??", text.removeprefix("optional: "))
        assert {field.rstrip("?") for field in fields} <= payload["properties"].keys(), topic
        required = {field for field in fields if not field.endswith("?")}
        assert required == set(payload["required"]), topic
