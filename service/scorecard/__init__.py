"""The scorecard: how good the detection is, measured on labelled markets and recorded flow.

May import ``exchange``, ``replay`` and ``pipeline``. Scenarios, seeds and recordings enter; recall,
delays and false alarms beside those of baselines leave.
"""
