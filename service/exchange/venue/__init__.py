"""The exchange's own part: contracts, order matching, positions and margin, liquidations.

May import ``controls`` and ``measures``. Orders enter; the events that an exchange publishes leave.
"""
