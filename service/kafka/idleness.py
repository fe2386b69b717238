"""Idle topics: the broker confirms that they have no more records, so no topic waits for them."""

import time
from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct

from service.pipeline.align import Aligner


class OffsetsWentBackError(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """The offsets of a topic start from 0 again: the topic was deleted and created again."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.topic = topic


class BrokerAnswer(NamedTuple):
    """The last answer of the broker about a topic partition.

    ``end`` is the offset of the next record to be written; None before the first answer. ``at``
    differs between two answers.
    """

    end: int | None
    at: int | None


class _Silence(Struct):
    """The state of a topic without unread records.

    ``read`` is the offset at which the silence began: that of the next record to read. ``since`` is
    when the silence was first seen, and ``until`` is the last time for which the broker has
    confirmed it. ``answered`` is when the broker's last answer was seen. Times are in monotonic
    seconds. ``below``: the topic ends before ``read``. A single answer may say so while the topic
    is being written. If it stays so, the topic was created again.
    """

    read: int
    answer_at: int | None
    since: float
    until: float
    answered: float
    below: bool


class Idleness:
    """Decides which topics of one partition number are idle.

    Parameters
    ----------
    inputs
        The stream of each topic partition.
    aligner
        The aligner; it must know which streams are idle.
    """

    def __init__(self, inputs: Mapping[TopicPartition, str], aligner: Aligner) -> None:
        self._inputs = inputs
        self._aligner = aligner
        self._silences: dict[TopicPartition, _Silence] = {}

    def update(
        self,
        answers: Mapping[TopicPartition, BrokerAnswer],
        idle_after: float,
        answer_within: float,
    ) -> bool:
        """Mark the topics that are known to have no more records as idle in the aligner.

        Silence counts only as far as the broker has confirmed it. A topic whose broker does not
        answer is not idle. An idle topic makes the others wait again if the answers about it stop.
        After a gap between two answers, silence begins at the second answer: records that were to
        be written during the gap may still be on their way.

        Parameters
        ----------
        answers
            The broker's last answer about each topic.
        idle_after
            The silence after which a topic is idle, in seconds.
        answer_within
            The longest time between two answers of a broker that can be reached, in seconds.

        Returns
        -------
        bool
            Whether any topic became idle.

        Raises
        ------
        OffsetsWentBackError
            For ``idle_after`` seconds, a topic has ended before the records that were read from it.
        """
        aligner = self._aligner
        now = time.monotonic()
        changed = False
        for tp, stream in self._inputs.items():
            read = aligner.read(stream)
            end, answer_at = answers[tp]
            if end is None or read < end:
                self._silences.pop(tp, None)
                aligner.set_idle(stream, idle=False)
                continue
            silence = self._silences.get(tp)
            below = end < read
            if silence is None or silence.read != read or silence.below != below:
                self._silences[tp] = _Silence(read, answer_at, now, now, now, below)
                if below:
                    aligner.set_idle(stream, idle=False)
                continue
            was_away = now - silence.answered > answer_within
            if was_away:
                aligner.set_idle(stream, idle=False)
            if silence.answer_at != answer_at:
                if was_away:
                    self._silences[tp] = _Silence(read, answer_at, now, now, now, below)
                    continue
                # This answer may have waited long before it was seen. But it was requested after
                # the answer before it, so it confirms the silence up to the time at which that
                # answer was seen.
                silence.until, silence.answered = silence.answered, now
                silence.answer_at = answer_at
            if not was_away and silence.until - silence.since >= idle_after:
                if below:
                    raise OffsetsWentBackError(tp.topic)
                changed |= aligner.set_idle(stream)
        return changed
