"""Plug-ins in a running process: one that works, one that breaks, one that is missing."""

import json
from pathlib import Path

import pytest

from tests.kafka.broker.conftest import Market
from tests.kafka.broker.rig import REQUIRED, Venue, caught_up
from tests.plug_in_packages import install

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).parents[3]
CODE = """
from foreshock import PlugIn

class Still:
    bars = 0

    def learn_one(self, x):
        self.bars += 1

    def score_one(self, x):
        return 0.5

class Breaks(Still):
    def score_one(self, x):
        return 0.5 if self.bars < 30 else 1 / 0

FINE = PlugIn(features=["thin_book.spread"], model=Still, headline="x", learning_bars=5)
BREAKS = PlugIn(features=["thin_book.spread"], model=Breaks, headline="x", learning_bars=5)
"""
SAID = "a plug-in is left out"


async def test_a_plug_in_that_breaks_is_named_and_left_out_and_the_service_goes_on(
    kafka: str, tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch
):
    install(tmp_path, "live_plug_ins", {"fine": "FINE", "breaks": "BREAKS"}, CODE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    allowed = {"PLUGINS__ALLOW": "fine,breaks,missing"}
    (some,) = market.parts(0.6)[:1]
    async with Venue(kafka, tmp_path, REQUIRED, **allowed) as venue:
        service = venue.start()
        await venue.produce(some)
        await service.wait_until(
            "the plug-in breaks, and everything is read",
            lambda its: (
                caught_up(REQUIRED)(its)
                and its.total("plugins_left_out_total", plugin="breaks", reason="exception") > 0
            ),
        )
        assert json.loads(await service.get("/readyz"))  # a status other than 200 raises
        metrics = await service.metrics()
        assert metrics.total("plugins_left_out_total", plugin="missing") == 1
        assert metrics.total("plugins_left_out_total", plugin="fine") == 0
        assert metrics.total("plugin_info") == 2
        assert metrics.total("symbols_set_aside") == 0
        await service.stop()
        (missing,) = service.log(SAID)
        assert (missing["plugin"], missing["reason"]) == ("missing", "not_installed")
        broken = service.log(f"{SAID} for some symbols until a restart")
        assert {its["plugin"] for its in broken} == {"breaks"}
        assert "ZeroDivisionError" in broken[0]["detail"]
        signals = [json.loads(its.value) for its in await venue.records("signals")]
        last = {its["symbol"]: its["detectors"] for its in signals}
        assert {its["fine"]["status"] for its in last.values()} >= {"scoring"}
        assert {its["breaks"]["status"] for its in last.values()} == {"no_input"}
        assert {its["thin_book"]["status"] for its in last.values()} >= {"scoring"}
