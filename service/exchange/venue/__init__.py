"""The exchange itself: contracts, order matching, positions and margin, liquidations.

Uses ``controls`` and ``measures``. Input: orders. Output: the events that an exchange
publishes.
"""
