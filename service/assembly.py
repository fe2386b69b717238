"""From settings to parts: the one place that knows which setting goes where."""

from collections.abc import Container, Mapping

from detectors.catalogue import CATALOGUE
from detectors.parameters import Parameters
from service.settings import Settings
from service.task import PartitionTask, Tally
from service.wire import STREAMS, Decoder


def input_topics(settings: Settings, existing: Container[str]) -> dict[str, str]:
    """The topic of each stream that is read, in the order that decides between ties.

    An optional topic that is not ``existing`` is not read: its detectors do without.
    """
    topics = {stream: getattr(settings.topics, stream) for stream in STREAMS}
    return {stream: topic for stream, topic in topics.items() if topic and topic in existing}


def parameters(settings: Settings) -> Parameters:
    """How symbols are watched."""
    return Parameters(
        bar_ns=round(settings.time.bar_seconds * 1e9),
        false_alarms_per_day=settings.detection.false_alarms_per_day,
        warmup_bars=settings.detection.warmup_bars,
        quiet_ns=round(settings.detection.quiet_seconds * 1e9),
        max_orders=settings.limits.resting_orders,
        max_accounts=settings.limits.accounts,
    )


def partition_task(
    settings: Settings, streams: Mapping[str, object], tally: Tally
) -> PartitionTask:
    """A task over the given streams, which counts into ``tally``."""
    return PartitionTask(
        list(streams),
        parameters(settings),
        CATALOGUE,
        max_disorder_ns=settings.time.max_disorder_ms * 1_000_000,
        max_symbols=settings.limits.symbols,
        tally=tally,
    )


def decoders(settings: Settings, streams: Mapping[str, object]) -> dict[str, Decoder]:
    """A decoder for each stream, its field mapping resolved."""
    return {
        stream: Decoder(
            stream,
            getattr(settings.wire.fields, stream),
            settings.wire.time_unit,
            settings.wire.max_record_bytes,
        )
        for stream in streams
    }
