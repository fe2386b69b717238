"""The scorecard: detection quality, measured on labelled markets and recorded flow.

Uses ``exchange``, ``replay``, ``report`` (its summary), ``settings`` and ``pipeline``. Input:
scenarios, seeds and recordings. Output: recall, delays and false alarms, next to those of
baselines.
"""
