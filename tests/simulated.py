"""A simulated market of one symbol, and the detectors' output."""

from collections.abc import Callable

from detectors.catalogue import CATALOGUE
from detectors.detector import Detector
from detectors.market_data.events import Event, Kind
from detectors.parameters import Parameters
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import scenario
from service.exchange.simulation import simulate
from service.pipeline.output import Output, Tally
from service.pipeline.task import PartitionTask
from service.pipeline.wire import STREAMS

SECOND = 1_000_000_000


def run_scenario(
    name: str,
    *,
    seed: int,
    seconds: int,
    detectors: tuple[Detector, ...] = CATALOGUE,
    change: Callable[[Event], Event] = lambda event: event,
    **more: float,
) -> tuple[Output, list[Truth]]:
    """The output for a scenario, with each event changed by ``change``, and the ground truth."""
    task = PartitionTask(
        list(STREAMS),
        Parameters(),
        detectors,
        max_disorder_ns=100_000_000,
        max_symbols=10,
        tally=Tally(),
    )
    streams = dict(zip(Kind, STREAMS, strict=False))
    batches: dict[str, list[Event]] = {stream: [] for stream in STREAMS}
    truths = []
    market = scenario(name, **more)
    for event in simulate(market, seed=seed, symbols=1, duration_ns=seconds * SECOND):
        if isinstance(event, Truth):
            truths.append(event)
        else:
            batches[streams[event.kind]].append(change(event))
    for stream, events in batches.items():
        task.feed(stream, events, first_offset=0, next_offset=len(events))
        task.aligner.set_idle(stream)
    return task.advance(), truths
