"""Feed checks: sequence gaps, frozen or throttled streams, impossible books, transport delays.

This package uses ``market_data`` and ``incidents``. Its inputs are the counts and sequence
numbers of a symbol's events. Its outputs are findings and ``feed_integrity`` incidents.
"""
