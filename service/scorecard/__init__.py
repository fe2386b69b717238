"""The scorecard: detection quality, measured on labelled markets and recorded flow.

May import ``exchange``, ``replay`` and ``pipeline``. Input: scenarios, seeds and recordings.
Output: recall, delays and false alarms, next to those of baselines.
"""
