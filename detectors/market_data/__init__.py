"""The market as it is: events, the order book, bars, and what is usual of accounts.

Imports nothing else of the project. Events enter one by one; a closed bar leaves, with the sums and
the depth that the detectors read.
"""
