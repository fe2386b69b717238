"""A simulated market of one symbol, and the detectors' output."""

from collections.abc import Callable, Sequence

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
    market = scenario(name, **more)
    published = list(simulate(market, seed=seed, symbols=1, duration_ns=seconds * SECOND))
    truths = [event for event in published if isinstance(event, Truth)]
    events = [change(event) for event in published if not isinstance(event, Truth)]
    return watch(events, detectors)[0], truths


def watch(
    events: Sequence[Event], detectors: tuple[Detector, ...] = CATALOGUE
) -> tuple[Output, PartitionTask]:
    """The output for some events, and the task that watched them."""
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
    for event in events:
        batches[streams[event.kind]].append(event)
    for stream, batch in batches.items():
        task.feed(stream, batch, first_offset=0, next_offset=len(batch))
        task.aligner.set_idle(stream)
    return task.advance(), task
