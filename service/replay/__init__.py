"""Replay: runs recorded days from files through the pipeline at full speed.

Uses ``report``, ``settings`` and ``pipeline``. Input: a directory of NDJSON files. Output:
alerts, signals, a summary and a report. ``files`` also writes such directories.
"""
