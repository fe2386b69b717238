"""Which topics are silent: they have no more records, as the broker says, and hold nothing back."""

import time
from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct

from service.pipeline.align import Aligner


class OffsetsWentBackError(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """A topic's records are numbered from the beginning: it was deleted and made again."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.topic = topic


class BrokerAnswer(NamedTuple):
    """What the broker last said of a topic partition.

    ``end`` is the offset that the next record will get, None where nothing was heard yet; ``at``
    tells one answer from the next.
    """

    end: int | None
    at: int | None


class _Silence(Struct):
    """A topic without unread records.

    ``read`` is the offset where it fell silent, ``since`` when that was first seen, ``until`` up to
    when it is known, ``answered`` when the broker's last answer was seen (monotonic seconds).
    ``below``: the topic ends before what was read. One answer may say so of a topic that is being
    written; if it lasts, the topic was made again.
    """

    read: int
    heard_at: int | None
    since: float
    until: float
    answered: float
    below: bool


class Idleness:
    """The silence of one partition number's topics.

    Parameters
    ----------
    inputs
        The stream of each topic partition.
    aligner
        Is told which streams are idle.
    """

    def __init__(self, inputs: Mapping[TopicPartition, str], aligner: Aligner) -> None:
        self._inputs = inputs
        self._aligner = aligner
        self._silences: dict[TopicPartition, _Silence] = {}

    def update(
        self, heard: Mapping[TopicPartition, BrokerAnswer], idle_after: float, unheard_after: float
    ) -> bool:
        """Let topics that are known to have no more records hold nothing back.

        Silence counts as far as the broker has confirmed it: a topic that cannot be reached is not
        idle, and one that was idle holds the others back again until it is heard of.

        Parameters
        ----------
        heard
            What the broker last said of each topic.
        idle_after
            How long a topic must be silent, in seconds.
        unheard_after
            After how many seconds without an answer its silence is no longer known.

        Returns
        -------
        bool
            Whether any topic became idle.

        Raises
        ------
        OffsetsWentBackError
            A topic ends before what was read of it, and has for as long.
        """
        aligner = self._aligner
        now = time.monotonic()
        changed = False
        for tp, stream in self._inputs.items():
            read = aligner.read(stream)
            end, at = heard[tp]
            if end is None or read < end:
                self._silences.pop(tp, None)
                aligner.set_idle(stream, idle=False)
                continue
            silence = self._silences.get(tp)
            below = end < read
            if silence is None or silence.read != read or silence.below != below:
                self._silences[tp] = _Silence(read, at, now, now, now, below)
                if below:
                    aligner.set_idle(stream, idle=False)
                continue
            if silence.heard_at != at:
                # It may have waited long to be seen, but was asked for after the one before.
                silence.until, silence.answered = silence.answered, now
                silence.heard_at = at
            if silence.until - silence.since >= idle_after:
                if below:
                    raise OffsetsWentBackError(tp.topic)
                known = now - silence.until < unheard_after
                changed |= aligner.set_idle(stream, idle=known) and known
        return changed
