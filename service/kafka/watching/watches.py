"""The watches of a session, with one call per poll."""

from collections.abc import Collection

from service.kafka.partition import Partition
from service.kafka.watching.limit_log import LimitLog
from service.kafka.watching.placement import PlacementWatch
from service.kafka.watching.progress import EndOffset, ProgressWatchdog
from service.pipeline.output import Tally
from service.settings.types import LimitSettings


class Watches:
    """Watches the partitions of a session.

    Parameters
    ----------
    limits
        The memory limits.
    tally
        The counters of the partitions.

    Attributes
    ----------
    progress
        Finds partitions that have work but do not advance.
    placement
        Finds symbols whose events are in several partition numbers.
    """

    def __init__(self, limits: LimitSettings, tally: Tally) -> None:
        self.progress = ProgressWatchdog()
        self.placement = PlacementWatch()
        self._limit_log = LimitLog(limits, tally)

    def note(self, partitions: Collection[Partition], end_offset: EndOffset, now: float) -> None:
        """Check the owned partitions at ``now`` (monotonic seconds)."""
        self.progress.note(partitions, end_offset, now)
        self.placement.note(partitions, now)
        self._limit_log.note(now)
