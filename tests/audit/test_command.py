"""`foreshock audit`: what it writes, how it ends, and what it says of wrong claims."""

import re
from pathlib import Path

import msgspec
import pytest
from junitparser import JUnitXml
from msgspec import structs

from detectors.audit.claims import Claims
from detectors.audit.table import CHECKS
from service.audit.claims_file import read_claims
from service.cli.main import main
from service.errors import ConfigurationError
from service.replay.files import EventWriter
from tests.audit.made import cascade, changed

CLAIMS = """\
venue = "Example"
[mark]
method = "ema_premium"
window_seconds = 30
clamp = 0.05
[liquidation]
strategy = "steps"
share = 0.2
[symbols."BTC-PERP".liquidation]
whole_below_quantity = 0.6667
"""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded directory."""
    directory = tmp_path_factory.mktemp("recorded") / "day"
    with EventWriter(directory) as writer:
        for event in cascade():
            writer.write(event)
    return directory


def test_an_audit_of_a_venue_that_keeps_its_rules_is_written_and_ends_with_0(
    day: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    claims = tmp_path / "venue.toml"
    claims.write_text(CLAIMS)
    written = []
    for attempt in ("first", "second"):
        files = {kind: tmp_path / f"{attempt}.{kind}" for kind in ("html", "json", "junit")}
        options = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
        assert main(["audit", str(day), "--claims", str(claims), *options]) == 0
        written.append([path.read_bytes() for path in files.values()] + [capsys.readouterr().out])
    assert written[0] == written[1]
    html, json, junit, printed = written[0]
    found = msgspec.json.decode(json)
    assert {row["outcome"] for row in found["rows"]} >= {"pass", "inferred", "not_tested"}
    assert found["liquidations"] > 50
    assert "0 fail" in printed
    assert b"Content-Security-Policy" in html
    assert b"<script" not in html
    (suite,) = JUnitXml.fromstring(junit)
    cases = list(suite)
    assert suite.tests == len(found["rows"]) == len(cases)
    assert (suite.failures, suite.errors) == (0, 0)
    assert suite.skipped == sum(case.is_skipped for case in cases) > 0
    counted = (suite.tests, suite.failures, suite.errors, suite.skipped)
    suite.update_statistics()  # as the reader counts them
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == counted


def test_a_broken_rule_ends_with_1_and_names_its_cases(
    day: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    claims = tmp_path / "venue.toml"
    claims.write_text(CLAIMS.replace("share = 0.2", "share = 0.1"))
    junit = tmp_path / "audit.xml"
    assert main(["audit", str(day), "--claims", str(claims), "--junit", str(junit)]) == 1
    printed = capsys.readouterr().out
    assert "fail         strategy" in printed
    assert "asks for" in printed
    assert re.search(r"rate \d+\.\d\d% to \d+\.\d\d%, at stake [\d,.]+", printed)
    (suite,) = JUnitXml.fromfile(str(junit))
    (broken,) = [case for case in suite if case.is_failure]
    assert broken.name == "11 strategy"
    assert "break the rule" in broken.result[0].message
    assert 'strategy = "steps", share = 0.1' in broken.result[0].text
    assert broken.result[0].text.count("asks for") == 20  # the worst twenty


def test_an_audit_without_accounts_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from detectors.market_data.events import Cancel, Order

    directory = tmp_path / "flow"
    with EventWriter(directory) as writer:
        for event in cascade()[:5_000]:
            if isinstance(event, Order | Cancel):
                writer.write(changed(event, sequence=None))
    assert main(["audit", str(directory)]) == 0
    printed = capsys.readouterr().out
    assert "not tested   conservation: missing: positions" in printed
    plan = printed.partition("test plan: what was not tested")[2]
    assert "9  conservation needs positions, trades, references" in plan
    untested = printed.partition("test plan:")[0].count("not tested   ")
    assert plan.count(" needs ") == plan.count("missing ") == untested > 40


def test_an_empty_directory_is_an_error_that_names_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["audit", str(tmp_path)]) == 1
    assert "orders.ndjson" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name either DIR, a directory with recorded streams, or --kafka"),
        (["day", "--kafka"], "name either DIR"),
        (["day", "--from", "2026-01-31"], "--from and --to need --kafka"),
        (["--kafka", "--from", "2026-02-01", "--to", "2026-01-31"], "--from must be before --to"),
    ],
    ids=str,
)
def test_a_wrong_input_is_an_error_of_the_command_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["audit", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[liquidation]\nshare = 2\n", "liquidation.share = 2: it must be a number above 0"),
        ("[liquidation]\nshaer = 0.2\n", "liquidation.shaer: unknown; did you mean share?"),
        ('[mark]\nmethod = "twap"\n', 'mark.method = "twap": it must be one of "ema_premium"'),
        ("[liquidatoin]\n", "liquidatoin: unknown; did you mean liquidation?"),
        ("mark = 3\n", "mark = 3: it must be a table; write [mark]"),
        ("venue = 3\n", "venue = 3: it must be a text"),
        ("symbols = 3\n", "symbols = 3: it must be tables"),
        (
            '[symbols."X".liquidation]\nfee = "much"\n',
            'symbols."X".liquidation.fee = "much": it must be a number',
        ),
        ("[margin]\ntiers = 3\n", "margin.tiers = 3: it must be a list of objects"),
        ("[margin", "is not valid TOML"),
    ],
)
def test_a_wrong_claim_is_named_with_what_would_be_right(text: str, message: str, tmp_path: Path):
    path = tmp_path / "venue.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"venue\.toml") as error:
        read_claims(path)
    assert message in str(error.value)
    assert error.value.exit_code == 2


def test_claims_of_a_symbol_replace_single_fields_of_the_general_ones(tmp_path: Path):
    path = tmp_path / "venue.toml"
    path.write_text(CLAIMS)
    claims = read_claims(path)
    assert claims.of("BTC-PERP").liquidation.whole_below_quantity == 0.6667
    assert claims.of("BTC-PERP").liquidation.strategy == "steps"
    assert claims.of("ETH-PERP").liquidation.whole_below_quantity == 0.0
    assert claims.of("ETH-PERP").mark.window_seconds == 30


def test_a_missing_claims_file_is_an_error_of_the_configuration(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot read the claims file"):
        read_claims(tmp_path / "none.toml")


GUIDE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()


def test_the_guide_names_every_check_and_the_claims_in_it_are_valid(tmp_path: Path):
    for check in CHECKS:
        assert f"{check.number} `{check.name}`" in GUIDE
    path = tmp_path / "venue.toml"
    path.write_text(GUIDE.partition("```toml\n")[2].partition("```")[0])
    claims = read_claims(path)
    assert claims.of("ETH-PERP").liquidation.whole_below == 30_000


def test_every_claim_is_described_where_it_is_defined():
    for section in structs.fields(Claims):
        if section.name == "venue":
            continue
        text = section.type.__doc__ or ""
        for field in structs.fields(section.type):
            assert field.name in text, field.name
