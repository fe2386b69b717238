"""Produce during a measurement, and sample the service as long as it makes progress."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import takewhile

from kafka_load import Message, produce
from process import ServiceProcess

STALLED_SECONDS = 60.0

Sample = dict[str, float]
"""One sample: among others the ``records`` read, and the ``seconds`` since the start."""


@contextmanager
def sending(servers: str, run: str, messages: Iterable[Message]) -> Iterator[Future[None]]:
    """Produce in a separate thread until the messages or the context end.

    The future holds the thread's failure. It is raised at the end, unless another exception is.
    """
    stop = threading.Event()
    until_stop = takewhile(lambda _: not stop.is_set(), messages)
    with ThreadPoolExecutor(1) as thread:
        sender = thread.submit(produce, servers, run, until_stop)
        try:
            yield sender
        finally:
            stop.set()
    sender.result()


def watch(
    service: ServiceProcess,
    sender: Future[None],
    began: float,
    take: Callable[[ServiceProcess, float], Sample],
    every_seconds: float,
) -> Iterator[Sample]:
    """Sample a service at regular intervals, without end, while records are sent to it.

    A sample is skipped if the machine is too busy to answer.

    Parameters
    ----------
    began
        The start, in monotonic seconds.
    take
        Takes a sample, given the service and the start. It may raise OSError.

    Raises
    ------
    SystemExit
        If the service has read nothing for `STALLED_SECONDS`, or has ended, or if the sender has
        failed.
    """
    records, since = 0.0, 0.0
    while True:
        elapsed = time.monotonic() - began
        time.sleep(every_seconds - elapsed % every_seconds)
        if sender.done():
            sender.result()
        try:
            sample = take(service, began)
        except OSError:
            pass
        else:
            if sample["records"] > records:
                records, since = sample["records"], sample["seconds"]
            yield sample
        if (stalled_seconds := time.monotonic() - began - since) > STALLED_SECONDS:
            raise service.failed(
                f"{records:,.0f} records read, none in the last {stalled_seconds:.0f} s"
            )
