"""Statistics: baselines, tails, the bound on false alarms, and drift.

This package imports only `detectors.table` of the project and contains nothing about markets. Its
inputs are features and scores. Its outputs are deviations, p-values and alarms.
"""
