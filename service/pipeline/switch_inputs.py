"""What every instance reads for all partitions: verdicts, commands, and the liquidation ladder."""

from msgspec import Struct, field

from service.pipeline.commands import Commands
from service.pipeline.feedback import Judgements
from service.pipeline.ladders import Ladders


class Written(Struct):
    """What was read so far. It outlives the sessions of a process."""

    judgements: Judgements = field(default_factory=Judgements)
    commands: Commands = field(default_factory=Commands)
    ladders: Ladders = field(default_factory=Ladders)
