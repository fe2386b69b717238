"""What /metrics exposes is what docs/metrics.md says, in both formats, and it stays small."""

import asyncio
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from detectors.catalogue import CATALOGUE
from detectors.conduct.crowding import Crowding, Reading, Sample
from detectors.counts import Counts
from detectors.market_data.bar import NEAR_BAND
from detectors.market_data.events import Event, Order
from detectors.parameters import Parameters
from detectors.risk_watch.monitor import RiskMonitor
from detectors.symbol import SymbolMonitor
from service.kafka.counters import ConsumerCounters
from service.kafka.partition import Partition
from service.outputs.alert_queue import DeliveryCounters
from service.outputs.publisher import Published
from service.pipeline.task import PartitionTask
from service.plug_ins import plug_ins
from service.settings.reload import Reloader, Source
from service.settings.types import LimitSettings, PluginSettings, Settings
from service.web.market_metrics import LabelledSymbols
from service.web.metrics import ForeshockCollector, registry
from service.web.server import Health, HttpServer, start_http
from service.web.view import View
from tests.conduct.spread import run, spread_monitor
from tests.kafka_server import unavailable
from tests.pipeline.events import SECOND, by_stream, market
from tests.plug_in_packages import install
from tests.risk_watch.venue import shared
from tests.web.metrics_page import exposed, queries, specified

TOPICS = {stream: f"market.{stream}" for stream in ("orders", "cancels", "trades")}
PARAMETERS = Parameters(warmup_bars=60, false_alarms_per_day=2_000.0, quiet_ns=3_600 * SECOND)
_PERCENTILES = ("10", "50", "90")
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}


def leveraged(events: list[Event]) -> list[Event]:
    """The same events, where orders state a leverage."""
    return [
        msgspec.structs.replace(event, leverage=3.0) if isinstance(event, Order) else event
        for event in events
    ]


def lively_view() -> View:
    """A service that has seen something of everything."""
    counters = ConsumerCounters()
    task = PartitionTask(
        list(TOPICS),
        PARAMETERS,
        CATALOGUE,
        max_disorder_ns=0,
        max_symbols=100,
        tally=counters.tally,
    )
    for stream, events in by_stream(leveraged(market(seed=5, seconds=400))).items():
        task.feed(
            stream,
            events,
            first_offset=0,
            next_offset=len(events),
            arrived_ms=[event.ts_event // 1_000_000 + 40 for event in events],
        )
        counters.records[TOPICS[stream]] += len(events)
    assert task.advance().alerts, "the market must make alarms to test"
    counters.dead_letters = Counter({("market.orders", "not_json"): 2})
    counters.records_lost["market.trades"] = 7
    risk = shared()
    risk.run(75)
    opened = {alert.detector for alert in risk.output.alerts}
    assert opened == {"cascade", "contagion"}, "both must be open to test"
    conduct = spread_monitor()
    run(conduct, {0: 140.0}, 5)
    crowding = Crowding()
    crowding.readings["X"] = Reading(1, Sample(9.0, 9.0, 0.0, 9.0), 250.0, "crowded")
    crowding.readings["Y"] = Reading(1, Sample(0.0, 0.0, 0.0, 0.0), 0.0, "ordinary")
    conduct.conduct.detectors += (crowding,)
    counters.ignored["venue.full"] = 5
    counters.of_risk_only["venue.full"] = 4
    counters.more_events["venue.full"] = 3
    counters.unread_fields["venue.full", "orders.leverage"] = 2
    published = Published(alerts={"firing": 3, "resolved": 2})
    delivery = DeliveryCounters(sent=1, up=True)
    return View(
        counters,
        published,
        {0: Partition(0, task, TOPICS, 30.0)},
        {("market.orders", 0): 7, ("market.trades", 0): 0},
        connected=True,
        deliveries={"http://alertmanager:9093": delivery},
        unread={"market.orders": 1},
        risk_wanted=True,
        risk=risk.monitor,
        conduct=conduct.conduct,
        conduct_missing=conduct.conduct.missing(["positions"]),
    )


@pytest.fixture(scope="module")
def view() -> View:
    return lively_view()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with a plug-in that runs, and one that is not installed."""
    install(tmp_path, "aa_own", {"own": "FINE"})
    monkeypatch.syspath_prepend(str(tmp_path))
    plug_ins.cache_clear()
    yield Settings(plugins=PluginSettings(allow=("own", "missing")))
    plug_ins.cache_clear()


@pytest.fixture
async def client(view: View, settings: Settings) -> AsyncIterator[ClientSession]:
    reloader = Reloader(settings, Source(None, {}))
    metrics = registry([ForeshockCollector(settings, lambda: view), reloader])
    server: HttpServer = await start_http(
        "127.0.0.1", 0, registry=metrics, health=lambda: Health(live=True, ready=True, checks={})
    )
    async with ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session
    await server.close()


async def test_what_is_exposed_is_what_is_documented(client: ClientSession):
    response = await client.get("/metrics", headers=OPENMETRICS)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    found = exposed(parse_openmetrics(await response.text()))
    documented = specified()
    assert sorted(found) == sorted(documented)
    for name, metric in found.items():
        assert metric == documented[name], name


async def test_a_plug_in_that_runs_and_one_that_is_left_out_are_told(client: ClientSession):
    text = await (await client.get("/metrics")).text()
    told = {its.name: its for its in parse_text(text)}
    (runs,) = told["foreshock_plugin_info"].samples
    assert runs.labels == {"plugin": "own", "version": "7", "package": "aa_own 1.2"}
    left_out = told["foreshock_plugins_left_out"].samples
    assert {(s.labels["plugin"], s.labels["reason"]): s.value for s in left_out} == {
        ("own", "exception"): 0.0,
        ("own", "wrong_type"): 0.0,
        ("own", "not_finite"): 0.0,
        ("missing", "not_installed"): 1.0,
    }


async def test_prometheus_own_format_has_the_same_types_and_samples(client: ClientSession):
    plain = list(parse_text(await (await client.get("/metrics")).text()))
    open_ = list(
        parse_openmetrics(await (await client.get("/metrics", headers=OPENMETRICS)).text())
    )
    types = {f.name: f.type for f in plain if not f.name.startswith("python")}
    assert (
        types.items() >= {f.name: f.type for f in open_ if not f.name.startswith("python")}.items()
    )
    names = [{s.name for f in families for s in f.samples} for families in (plain, open_)]
    assert names[0] == names[1]


async def test_prometheus_finds_nothing_to_object_to(client: ClientSession):
    if shutil.which("promtool") is None:
        unavailable("promtool is not installed")
    text = await (await client.get("/metrics")).read()
    promtool = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await promtool.communicate(text)
    assert (promtool.returncode, said) == (0, b"")


def test_every_query_of_the_page_is_about_its_metric():
    for name, query in zip(specified(), queries(), strict=True):
        assert name in query, name


def sample(view: View, name: str, **labels: str) -> float | None:
    its = CollectorRegistry()
    its.register(ForeshockCollector(Settings(), lambda: view))
    return its.get_sample_value(f"foreshock_{name}", labels)


def test_a_partition_is_behind_only_where_records_wait(view: View):
    delay = sample(view, "watermark_delay_seconds", partition="0")
    assert sample(view, "behind_seconds", partition="0") == pytest.approx(delay, abs=1.0)
    read = msgspec.structs.replace(view, lags=dict.fromkeys(view.lags, 0))
    assert sample(read, "behind_seconds", partition="0") == 0.0


def test_every_event_that_was_read_is_accounted_for(view: View):
    read = sum(view.counters.records.values())
    counted = [
        sample(view, "events_total", outcome=outcome) for outcome in ("scored", "late", "skipped")
    ]
    assert sum(counted) + sample(view, "buffered_events") == read


def test_an_open_incident_says_since_when(view: View):
    monitors = view.partitions[0].task.monitors.values()
    alerts = [monitor.incidents.open.alert for monitor in monitors if monitor.incidents.open]
    assert sample(view, "symbols_with_incident") == len(alerts) > 0
    for alert in alerts:
        labels = {name: getattr(alert, name) for name in ("symbol", "detector", "severity")}
        started = sample(view, "incident_start_timestamp_seconds", **labels)
        assert started == pytest.approx(alert.starts_at / 1e9)


def test_an_incident_of_a_feed_is_none_of_the_market():
    suspect = lively_view()
    monitors = suspect.partitions[0].task.monitors
    silent = next(m for m in monitors.values() if not m.feed.active)
    before = {s: sample(suspect, "incidents_open", severity=s) for s in ("warning", "critical")}
    last = silent.feed.state.last_bar_ns
    at = last + 600 * SECOND
    found = silent.feed.silence(at, others_since_ns=last)
    assert found is not None
    (opened,) = silent.feed.report_silence(at, found)
    labels = {"symbol": silent.symbol, "detector": "feed_integrity", "severity": "warning"}
    started = sample(suspect, "incident_start_timestamp_seconds", **labels)
    assert started == pytest.approx(opened.starts_at / 1e9)
    assert sample(suspect, "feed_suspect_symbols", check="symbol_frozen_seconds") == 1
    after = {s: sample(suspect, "incidents_open", severity=s) for s in ("warning", "critical")}
    assert after == before


def test_contagion_is_shown_as_its_incident_says(view: View):
    assert view.risk is not None
    alert = view.risk.contagion.alert
    assert alert is not None
    told = {its.feature: its.value for its in alert.evidence}
    low, middle, high = (sample(view, "risk_contagion_radius", percentile=p) for p in _PERCENTILES)
    assert low <= middle <= high
    assert middle == pytest.approx(told["radius"], rel=0.2)
    assert sample(view, "risk_contagion_probability_ratio") == pytest.approx(alert.score, abs=0.1)
    assert sample(view, "risk_contagion_elsewhere_ratio") == pytest.approx(0.5, abs=0.01)
    doubling = sample(view, "risk_contagion_doubling_seconds")
    assert doubling == pytest.approx(told["doubling_seconds"], rel=0.3)
    started = sample(view, "risk_contagion_incident_start_timestamp_seconds")
    assert started == pytest.approx(alert.starts_at / 1e9)


def test_contagion_has_no_series_where_nothing_is_known_of_it_and_no_time_where_it_does_not_grow(
    view: View,
):
    unknown = msgspec.structs.replace(view, risk=RiskMonitor())
    assert sample(unknown, "risk_contagion_radius", percentile="50") is None
    assert sample(unknown, "risk_contagion_incident_start_timestamp_seconds") is None
    few = shared(accounts=1)
    few.run(20)
    calm = msgspec.structs.replace(view, risk=few.monitor)
    assert 0 < sample(calm, "risk_contagion_radius", percentile="50") < 1
    assert sample(calm, "risk_contagion_probability_ratio") < 0.5
    assert sample(calm, "risk_contagion_doubling_seconds") is None
    assert sample(calm, "risk_contagion_incident_start_timestamp_seconds") is None


def test_an_incident_about_the_venue_and_a_stream_that_it_lacks_have_series(view: View):
    assert view.conduct is not None
    (alert,) = view.conduct.open_alerts
    labels = {"symbol": "X", "detector": "spread", "severity": "warning"}
    started = sample(view, "conduct_incident_start_timestamp_seconds", **labels)
    assert started == pytest.approx(alert.starts_at / 1e9)
    assert sample(view, "conduct_no_input", detector="spread", input="references") == 1
    crowded = {"symbol": "X", "state": "crowded"}
    assert sample(view, "conduct_crowding_score", **crowded) == 250.0
    assert sample(view, "conduct_crowding_score", symbol="Y", state="ordinary") is None
    elsewhere = msgspec.structs.replace(view, conduct=None, conduct_missing={})
    assert sample(elsewhere, "conduct_incident_start_timestamp_seconds", **labels) is None
    assert sample(elsewhere, "conduct_no_input", detector="spread", input="references") is None


def test_a_symbol_is_shown_as_its_book_and_its_flow_are(view: View):
    monitor = next(iter(view.partitions[0].task.monitors.values()))
    bar, symbol = monitor.bar, monitor.symbol
    assert bar is not None
    assert bar.closed is not None
    assert sample(view, "symbol_mid_price", symbol=symbol) == bar.closed.mid > 0
    sides = [sample(view, "symbol_depth_notional", symbol=symbol, side=s) for s in ("bid", "ask")]
    assert sum(sides) == pytest.approx(bar.closed.depth[NEAR_BAND])
    assert sample(view, "symbol_usual_depth_notional", symbol=symbol) == bar.usual_depth > 0
    rates = {
        kind: sample(view, "symbol_events_per_second", symbol=symbol, kind=kind)
        for kind in ("orders", "cancels", "trades")
    }
    # The market has eight events a second in each symbol.
    assert 4 < sum(rates.values()) < 16
    assert sample(view, "symbol_leverage_excess_ratio", symbol=symbol) == pytest.approx(0.0)
    assert sample(view, "symbol_near_maximum_leverage_ratio", symbol=symbol) >= 0.0


# Thousands of symbols.


def monitors(count: int) -> list[SymbolMonitor]:
    found = []
    for number in range(count):
        monitor = SymbolMonitor(f"S{number:04}-PERP", PARAMETERS, CATALOGUE, Counts())
        monitor.signal = None
        found.append(monitor)
    return found


def stressed(monitor: SymbolMonitor, ratio: float, view: View) -> None:
    signal = next(m.signal for m in view.partitions[0].task.monitors.values() if m.signal)
    monitor.signal = msgspec.structs.replace(signal, symbol=monitor.symbol, stress_ratio=ratio)


def without_symbol(families: Iterable[Metric]) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """The series that are not of one symbol: their names and labels."""
    samples = [sample for family in families for sample in family.samples]
    return {(s.name, tuple(sorted(s.labels.items()))) for s in samples if "symbol" not in s.labels}


def test_symbols_have_series_up_to_the_cap_and_the_others_are_counted(view: View):
    task = view.partitions[0].task
    crowd = monitors(3_000)
    for number, monitor in enumerate(crowd):
        stressed(monitor, number / 10_000, view)
    crowded = PartitionTask(
        list(TOPICS),
        PARAMETERS,
        CATALOGUE,
        max_disorder_ns=0,
        max_symbols=10_000,
        tally=view.counters.tally,
    )
    crowded.monitors = {m.symbol: m for m in (*task.monitors.values(), *crowd)}
    wide = msgspec.structs.replace(view, partitions={0: Partition(0, crowded, TOPICS, 30.0)})
    settings = Settings(limits=LimitSettings(labelled_symbols=50))
    families = {f.name: f for f in ForeshockCollector(settings, lambda: wide).collect()}
    assert len(families["foreshock_symbol_stress_ratio"].samples) == 50
    assert len(families["foreshock_detector_score"].samples) <= 50 * len(CATALOGUE)
    of_symbols = [s for f in families.values() for s in f.samples if "symbol" in s.labels]
    assert len(of_symbols) <= 50 * (1 + len(CATALOGUE) + 3 + 9)
    (unlabelled,) = families["foreshock_unlabelled_symbols"].samples
    assert unlabelled.value == len(crowded.monitors) - 50
    with_incident = [m.symbol for m in crowded.monitors.values() if m.incidents.open]
    labelled = {
        s.labels["symbol"] for s in families["foreshock_incident_start_timestamp_seconds"].samples
    }
    assert set(with_incident) <= labelled
    narrow = msgspec.structs.replace(view, partitions={0: view.partitions[0]})
    few = list(ForeshockCollector(settings, lambda: narrow).collect())
    assert without_symbol(families.values()) <= without_symbol(few)


def test_stress_that_comes_and_goes_makes_no_new_series(view: View):
    symbols = LabelledSymbols(10)
    crowd = monitors(40)

    def labelled() -> set[str]:
        (family,) = (f for f in symbols.collect(crowd) if f.name.endswith("stress_ratio"))
        return {s.labels["symbol"] for s in family.samples}

    for scrape in range(5):
        for number, monitor in enumerate(crowd):
            stressed(monitor, (number * 7 + scrape * 13) % 40 / 100, view)
        if scrape == 0:
            first = labelled()
        assert labelled() == first
    outsider = next(m for m in crowd if m.symbol not in first)
    stressed(outsider, 1.2, view)
    assert outsider.symbol in labelled()
    assert len(labelled() - first) == 1
