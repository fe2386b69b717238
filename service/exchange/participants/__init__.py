"""The participants of the simulated exchange: market makers, traders, manipulators.

May import ``venue``. Input: the state of the market. Output: orders and cancels.
"""
