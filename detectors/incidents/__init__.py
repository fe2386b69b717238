"""Incidents of symbols and of the market, and suppression.

This package uses ``judging``, ``market_data``, ``detector`` and the readings of ``scorer``. Its
inputs are readings of closed bars. Its outputs are alerts. Each has an id that is computed from its
trigger.
"""
