"""Whether the inputs can be trusted: gaps, frozen or throttled streams, impossible books, delays.

May import ``market_data`` and ``incidents``. The counts and sequence numbers of a symbol's events
enter; findings and the ``feed_integrity`` incidents leave.
"""
