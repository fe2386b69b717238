"""The report: a replay as one HTML page and as a summary.

May import ``presentation`` and ``pipeline``. Bars, signals and alerts enter; one self-contained
page leaves.
"""
