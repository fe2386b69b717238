"""The simulated exchange: a market with matching, margin and liquidations, and its ground truth.

``venue`` matches orders and liquidates positions. ``participants`` trade. ``scenarios`` inject
stress and feed faults. Uses ``replay`` (for its files) and the event types. Input: a scenario
and a seed. Output: events in order, and the ground truth.
"""
