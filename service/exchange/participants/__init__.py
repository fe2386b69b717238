"""Who trades on the simulated exchange: market makers, traders, manipulators.

May import ``venue``. The state of the market enters; orders and cancels leave.
"""
