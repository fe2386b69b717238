"""The exchange itself: contracts, order matching, positions and margin, liquidations.

May import ``controls`` and ``measures``. Input: orders. Output: the events that an exchange
publishes.
"""
