"""The records of kill switches on their topic: read by a new owner, written by the owner.

The topic is compacted and small. A new owner reads its partition of it, so that it continues every
switch where the last record left it: also after a crash, and without snapshots.

Each record goes to the log of switches too, which is never compacted: the hashes of the records
then show that none is missing and none was changed.
"""

import time

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from detectors.market_data.events import EARLIEST_NS
from service.kafka.counters import ConsumerCounters
from service.kafka.partition import Partition
from service.kafka.read_back import read_back
from service.outputs.publisher import Publisher
from service.pipeline.output import Output
from service.pipeline.switch_inputs import Written
from service.settings.types import OutputSettings

log = structlog.get_logger("foreshock.killswitch")


class SwitchRecords:
    """Reads and writes the records of the owned partitions.

    Parameters
    ----------
    outputs
        The names of the output topics. Without a kill-switch topic, nothing is done.
    publisher
        Sends the records.
    written
        The commands of operators, and the alerts of the liquidation ladder, that were read.
    counters
        The counters to increment.
    """

    def __init__(
        self,
        outputs: OutputSettings,
        publisher: Publisher,
        written: Written,
        counters: ConsumerCounters,
    ) -> None:
        self._topic = outputs.killswitch
        self._publisher = publisher
        self._commands = written.commands
        self._ladders = written.ladders
        self._counters = counters

    async def restore(self, partition: Partition, reader: AIOKafkaConsumer) -> None:
        """Continue the switches of a partition from the topic, where that is later."""
        if not self._topic:
            return
        tp = TopicPartition(self._topic, partition.number)
        ends = await reader.end_offsets([tp])
        records = (await read_back(reader, {tp: 0}, ends))[tp]
        adopted, refused = partition.task.switches.adopt(records, partition.number)
        partition.next_switch_offset = ends[tp]
        # They may have reached the topic, and not the log.
        await self._publisher.log_switches(partition.number, adopted)
        if refused:
            log.warning(
                "some records of the kill-switch topic are no kill switch: who writes to it?",
                topic=self._topic,
                partition=partition.number,
                records=refused,
            )

    async def publish(self, partition: Partition, output: Output) -> None:
        """Send the records of a step."""
        if not self._topic:
            return
        for record in output.switches:
            partition.expect_switch(await self._publisher.switch(partition.number, record))
        for symbol in output.lifted:
            partition.expect_switch(await self._publisher.lift(partition.number, symbol))

    async def attend(self, partition: Partition, *, leads: bool) -> None:
        """Apply new commands, and send a heartbeat if one is due.

        ``leads``: the group has confirmed lately that this process owns the partition. Without
        that, another one may own it, and this one must not say that it is alive.
        """
        if not self._topic:
            return
        switches, aligner = partition.task.switches, partition.task.aligner
        idle_ns = partition.idle_ns(time.monotonic())
        now_ns = switches.now_ns(aligner.watermark_ns, idle_ns, time.time_ns())
        output = Output()
        if partition.laddered != self._ladders.serial:
            switches.note_ladders(self._ladders.severities)
            partition.laddered = self._ladders.serial
        for command in self._commands.since(partition.commanded, time.time() * 1e3):
            answer = switches.command(command, now_ns)
            if answer:
                output.switches += answer
                self._counters.commands[command.action] += 1
                log.warning(
                    "command applied",
                    action=command.action,
                    symbol=command.symbol,
                    by=command.by,
                    reason=command.reason,
                    state=answer[-1].state,
                )
        partition.commanded = self._commands.serial
        # Before the first event, the clock counts only if there is nothing to read.
        knows_time = idle_ns > 0 or aligner.watermark_ns >= EARLIEST_NS
        if leads and knows_time and not partition.task.resuming:
            beats = switches.beat(now_ns)
            output.switches += beats
            self._counters.heartbeats += bool(beats)
        await self.publish(partition, output)
