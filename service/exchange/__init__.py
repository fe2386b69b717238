"""The simulated exchange: a market with matching, margin and liquidations, and its ground truth.

``venue`` matches orders and liquidates, ``participants`` trade, ``scenarios`` inject stress and
faults. May import ``replay`` (for its files) and the event types. A scenario and a seed enter;
events in order and the ground truth leave.
"""
