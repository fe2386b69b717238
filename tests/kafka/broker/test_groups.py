"""Two consumer groups watch the same market and save to the same snapshots topic."""

from pathlib import Path

import pytest

from service.kafka.cluster.inspection import create_missing
from service.settings.load import load_settings
from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import (
    OUTPUTS,
    PARTITIONS,
    REQUIRED,
    Venue,
    caught_up,
    environment,
    identity,
)
from tests.kafka.broker.test_restarts import PATIENT, in_the_middle

pytestmark = pytest.mark.kafka


async def test_a_second_group_on_the_same_snapshots_topic_is_not_taken_for_oneself(
    kafka: str, tmp_path: Path, market: Market
):
    first, second = market.parts(0.5)
    async with Venue(kafka, tmp_path, REQUIRED, **PATIENT) as venue:
        other = Venue(kafka, tmp_path, REQUIRED, **PATIENT)
        own = {f"OUTPUTS__{n.upper()}": other.topic(n) for n in OUTPUTS if n != "snapshots"}
        theirs = {**own, "KAFKA__GROUP_ID": other.prefix}
        variables = environment(**{**venue.settings, **theirs})
        await create_missing(load_settings(None, variables), PARTITIONS, None)
        await venue.produce(first)
        ours = venue.start()
        await in_the_middle(ours)
        await ours.stop()
        # The other group goes further, and saves last.
        await venue.produce(second)
        service = venue.start(**theirs)
        await in_the_middle(service)
        await service.stop()
        ours = venue.start()
        await ours.wait_until("everything is read", caught_up(REQUIRED))
        await venue.wait_for_alerts(market.alerts)
        await ours.stop()
        alerts = await venue.alerts()
    assert {identity(alert) for alert in alerts} == {identity(alert) for alert in market.alerts}
    assert service.log(SAID), "said at its very first start"
    said = ours.log(SAID)
    assert {name for line in said for name in line["other_groups"]} == {other.prefix}


SAID = (
    "another consumer group saves its state on the same topic: its snapshots are left out, and "
    "compaction may remove those of this group. Give each group its own outputs.snapshots"
)
