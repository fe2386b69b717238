"""How a venue treats its positions, followed in event time: marks, margins, liquidations.

- ``incident``: what a detector says, and the incident that opens, is told again and resolves by it;
- ``detector``: what a detector is, and what it sees of the venue;
- ``monitor``: gives the detectors the events, and closes once a second of event time;
- ``venue_monitor``: the same beside the watch over the risk of liquidations.

Every other file is a detector. They are no part of the columns of a partition: they need positions,
margins and liquidations of the whole venue, and of the books only a summary a bar.
"""
