"""The participants of the simulated exchange: market makers, traders, manipulators.

Uses ``venue``. Input: the state of the market. Output: orders and cancels.
"""
