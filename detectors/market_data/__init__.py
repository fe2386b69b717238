"""Market data: events, the order book, bars and account baselines.

This package imports nothing else of the project. Its inputs are single events. Its output is a
closed bar with the sums and the depth that the detectors read.
"""
