"""Incidents of symbols and of the market, suppression, and the kill switch.

This package uses ``judging``, ``market_data``, ``detector`` and the readings of ``scorer``. Its
inputs are readings of closed bars. Its outputs are alerts and kill switches. Each has an id that
is computed from its trigger.
"""
