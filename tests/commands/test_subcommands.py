"""Every subcommand of ``foreshock`` is run by a test, to its end and with a result."""

import argparse

import pytest
import yaml

from service.cli.arguments import parser
from service.cli.main import main
from tests.commands.named import exists

RUN_BY = {
    "run": "tests/kafka/broker/test_outside.py::test_a_log_that_nobody_reads_does_not_stop_it",
    "replay": "tests/pipeline/test_nonpositive_prices.py"
    "::test_a_replay_takes_the_setting_from_the_environment",
    "whatif": "tests/what_if/test_command.py"
    "::test_the_first_generation_is_who_the_recorded_liquidation_prices_say",
    "demo": "tests/demo/test_command.py::test_it_ends_by_itself_and_accounts_for_every_event",
    "simulate": "tests/cli/test_cli.py"
    "::test_simulate_writes_streams_and_truth_and_overwrites_nothing",
    "scorecard": "tests/scorecard/test_recorded.py"
    "::test_the_command_labels_its_rows_and_leaves_the_recording_alone",
    "check-config": "tests/cli/test_cli.py"
    "::test_check_config_prints_settings_that_can_be_read_again",
    "topics": "tests/cli/test_cli.py::test_topics_tells_what_is_missing_and_creates_it",
    "feedback": "tests/kafka/broker/test_feedback.py"
    "::test_a_verdict_is_credited_once_and_outlives_a_restart",
    "review": "tests/kafka/broker/test_feedback.py"
    "::test_the_console_judges_and_the_review_tells_of_it",
    "audit": "tests/audit/test_command.py"
    "::test_an_audit_of_a_venue_that_keeps_its_rules_is_written_and_ends_with_0",
    "killswitch": "tests/kafka/broker/test_kill_switch.py"
    "::test_a_death_closes_the_gateways_and_a_trip_outlives_deaths_and_lost_snapshots",
    "map": "tests/mapping/test_map_command.py::test_each_message_is_shown_with_what_it_becomes",
    "import": "tests/venues/test_import.py::test_a_file_becomes_the_recording_of_its_events",
    "asyncapi": "tests/commands/test_subcommands.py::test_asyncapi_prints_a_document_of_the_topics",
    "detectors": "tests/python/test_plug_ins.py"
    "::test_what_is_not_allowed_is_listed_and_not_imported",
}
"""Subcommand: a test that runs it until it has done what it is for."""

HELPERS = {
    "run": "start",
    "whatif": "whatif",
    "demo": "started",
    "map": "mapped",
    "feedback": "judged",
    "killswitch": "command",
}
"""Functions beside those tests that start the subcommand."""


def subcommands() -> list[str]:
    """The names that the command line accepts."""
    (action,) = (
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return list(action.choices)


def test_every_subcommand_has_a_test_that_runs_it():
    assert sorted(RUN_BY) == sorted(subcommands())


@pytest.mark.parametrize("name", RUN_BY)
def test_the_named_test_is_there_and_runs_the_subcommand(name: str):
    source = exists(RUN_BY[name])
    if helper := HELPERS.get(name):
        assert f"{helper}(" in source
        source = exists(f"{RUN_BY[name].partition('::')[0]}::{helper}")
    assert f'"{name}"' in source


def test_asyncapi_prints_a_document_of_the_topics(capsys: pytest.CaptureFixture[str]):
    assert main(["asyncapi", "--config", "/dev/null"]) == 0
    assert "alerts" in yaml.safe_load(capsys.readouterr().out)["channels"]
