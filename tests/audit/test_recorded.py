"""An hour of recorded order flow without accounts: its feed is checked, the rest is planned."""

from pathlib import Path

import msgspec

from service.cli.main import main


def test_recorded_flow_is_checked_as_a_feed_and_the_rest_names_what_is_missing(
    data_dir: Path, tmp_path: Path
):
    out = tmp_path / "audit.json"
    assert main(["audit", str(data_dir / "aapl-2012-06-21-open-hour"), "--json", str(out)]) == 0
    found = msgspec.json.decode(out.read_bytes())
    rows = {row["name"]: row for row in found["rows"]}
    run = {name: row["outcome"] for name, row in rows.items() if row["outcome"] != "not_tested"}
    assert run == {
        "sequence_gaps": "pass",
        "repeats": "pass",
        "time_goes_forward": "pass",
        "unknown_orders": "inferred",  # orders from before the record are cancelled in it
        "trades_in_book": "pass",
    }
    assert rows["unknown_orders"]["sentence"].startswith("0.18% of 45,536 cancels and trades")
    for name, row in rows.items():
        if name not in run:
            assert row["missing"], name
            assert row["plan"], name
            assert row["inputs"], name
