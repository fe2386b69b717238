"""Producing beside a measurement, and sampling the service for as long as it goes on at all."""

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
"""What was seen at once: the ``records`` that had been read, and ``seconds`` since the beginning,
among others."""


@contextmanager
def sending(servers: str, run: str, messages: Iterable[Message]) -> Iterator[Future[None]]:
    """Produce in a thread of its own until the messages or the context end.

    The future holds what ended the thread. It is raised at the end, if nothing else is.
    """
    stop = threading.Event()
    wanted = takewhile(lambda _: not stop.is_set(), messages)
    with ThreadPoolExecutor(1) as thread:
        sender = thread.submit(produce, servers, run, wanted)
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
    """Sample a service, regularly and without end, while records are sent to it.

    A machine too busy to answer is one sample less.

    Parameters
    ----------
    began
        The beginning, in monotonic seconds.
    take
        Takes a sample, given the service and the beginning. It may raise OSError.

    Raises
    ------
    SystemExit
        The service has read nothing more for `STALLED_SECONDS`, or has ended; or the sender has
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
        if (silent := time.monotonic() - began - since) > STALLED_SECONDS:
            raise service.failed(f"{records:,.0f} records read, and none for {silent:.0f} s")
