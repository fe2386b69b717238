"""Recorded days: read from files and run through the pipeline at full speed.

May import ``report``, ``settings`` and ``pipeline``. A directory of NDJSON files enters; alerts,
signals, a summary and a report leave. ``files`` also writes such directories.
"""
