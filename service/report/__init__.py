"""The report: a replay as one HTML page and as a summary.

Uses ``presentation``, ``settings`` and ``pipeline``. Input: bars, signals and alerts. Output: one
self-contained page.
"""
